"""However it is told to stop, everything is off the exchange's book, or the daemon says that it could not make sure."""

import signal
import sys
import time

import pytest

from tests.e2e.quick import QUICK, stopping_within
from tests.support.processes import Daemon, Processes, Simulator, pause

pytestmark = pytest.mark.e2e

RESTING = 200


def quoting(processes: Processes, sim: Simulator, **env: str) -> Daemon:
    """A daemon of which at least two orders rest."""
    daemon = processes.daemon("--connect", sim.admin_url, env=QUICK | env).wait_ready()
    daemon.event("order.acked")
    sim.until_truth(lambda truth: len(truth["resting"]) >= 2, "something rests")
    return daemon


def far_markets(sim: Simulator) -> list[str]:
    """Markets nobody trades in, so that what rests there stays."""
    _status, listed = sim.call("GET", "/markets?event_ticker=KXINXU-26NOV23H1600&limit=100")
    return [market["ticker"] for market in listed["markets"]][:20]


def rest_many(sim: Simulator, wanted: int) -> int:
    """Fill up to `wanted` resting orders with the account's key, at the pace the exchange allows a basic account."""
    tickers = far_markets(sim)
    number = 0
    deadline = time.monotonic() + 60
    while (count := len(sim.resting())) < wanted:
        assert time.monotonic() < deadline, f"only {count} rest"
        orders = [
            {
                "ticker": tickers[(number + place) % len(tickers)],
                "side": "bid",
                "price": f"{0.01 + (number + place) // len(tickers) % 40 * 0.01:.4f}",
                "count": "1.00",
                "client_order_id": f"by-hand-{number + place}",
                "post_only": True,
                "time_in_force": "good_till_canceled",
                "self_trade_prevention_type": "taker_at_cross",
            }
            for place in range(10)
        ]
        status, answer = sim.call("POST", "/portfolio/events/orders/batched", {"orders": orders})
        if status == 429:
            pause(0.1)
            continue
        assert status == 201, answer
        number += 10
    return len(sim.resting())


def test_sigterm_with_200_resting_orders_ends_verified_within_5_seconds(processes, sim, capsys):
    daemon = quoting(processes, sim)
    # Orders it does not know are cancelled on sight; it must not see these before the signal.
    sim.faults(inject={"operation": "orders", "times": 10_000})
    resting = rest_many(sim, RESTING)
    assert resting >= RESTING
    assert any(order["client_order_id"].startswith("kd-") for order in sim.resting()), "its own are among them"
    sim.faults(clear=True)
    began = time.monotonic()
    assert daemon.stop(signal.SIGTERM) == 0
    took_s = time.monotonic() - began
    with capsys.disabled():
        sys.stdout.write(f"\n  SIGTERM with {resting} resting: gone, verified and exited in {took_s:.2f} s\n")
    assert took_s < 5.0, daemon.tail()
    assert sim.resting() == []
    assert daemon.summary["verified"] is True
    assert daemon.summary["resting_at_end"] == 0
    assert daemon.summary["stop_reason"] == "SIGTERM"
    assert daemon.events("stop.verified")


def test_a_create_on_the_wire_is_heard_out_before_its_task_is_ended(processes, sim):
    """Let go it would be unknown, and the exchange's lists are believed about such a one only after ten seconds."""
    daemon = quoting(processes, sim)
    sim.faults(inject={"operation": "batch_create", "manner": "late", "hang_s": 0.6})
    sim.until_truth(lambda truth: truth["requests"].get("batch_create held back"), "a create that is held back")
    assert daemon.stop(signal.SIGTERM) == 0
    assert not daemon.events("order.unknown")
    assert not daemon.events("stop.create_unanswered")
    assert daemon.events("stop.verified")[0]["took_ms"] < 5_000
    assert sim.resting() == []


def test_sigint_is_the_same_and_further_signals_do_not_skip_the_cancelling(processes, sim):
    daemon = quoting(processes, sim)
    # The first list takes half a second, so that the second and third signal fall into the cancelling.
    sim.faults(inject={"operation": "orders", "manner": "hang", "hang_s": 0.5, "times": 2})
    daemon.signal(signal.SIGINT)
    daemon.event("stop.asked")
    daemon.signal(signal.SIGINT)
    daemon.event("stop.asked_again", reason="SIGINT")
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0
    assert sim.resting() == []
    assert daemon.summary["verified"] is True
    assert daemon.summary["stop_reason"] == "SIGINT"
    assert daemon.err == []


def test_an_exchange_that_refuses_every_cancel_is_unverified_and_bounded(processes, sim):
    daemon = quoting(processes, sim, **stopping_within(3))
    sim.faults(refuse_cancels=True)
    began = time.monotonic()
    assert daemon.stop() == 3
    assert time.monotonic() - began < 3 + 12, "the deadline and the summary, on a busy machine"
    assert daemon.events("stop.unverified")[0]["took_ms"] < 3_000 + 1_500, "the deadline and a request that is out"
    truth = sim.truth()
    assert truth["resting"], "they are still there, as was said"
    assert daemon.summary["verified"] is False
    assert daemon.summary["resting_at_end"] >= len(truth["resting"])
    assert daemon.events("stop.unverified")[0]["level"] == "error"
    assert not daemon.events("stop.verified")
    assert all(order["expires_ns"] for order in truth["resting"]), "what is left ends by itself"


def test_a_dead_exchange_is_unverified_and_bounded(processes, sim):
    daemon = quoting(processes, sim, **stopping_within(3))
    daemon.signal(signal.SIGSTOP)  # it must not notice before the signal is there
    sim.kill()
    daemon.signal(signal.SIGTERM)
    began = time.monotonic()
    daemon.signal(signal.SIGCONT)
    assert daemon.wait() == 3
    # The deadline, the look at the books, files, and a busy machine: with the shipped deadline it would be 28.
    assert time.monotonic() - began < 3 + 3 + 5 + 15
    assert daemon.summary["verified"] is False
    assert daemon.summary["books_equal"] is False
    assert daemon.summary["exchange_pnl_dollars"] is None
    assert daemon.events("stop.unverified")
    assert daemon.err == []


def test_the_kill_switch_clears_the_book_and_keeps_the_process(processes):
    sim = processes.simulator("--from", "13:10", "--until", "15:59", "--speed", "20").wait_ready()
    state = processes.folder / "killed"
    daemon = processes.daemon("--connect", sim.admin_url, state="killed", env=QUICK).wait_ready()
    sim.until_truth(lambda truth: len(truth["resting"]) >= 2, "something rests")
    done = processes.command("kill", "--state-dir", str(state), "--reason", "a test of the switch")
    assert done.returncode == 0, done.stderr
    daemon.event("kill_switch.verified")
    assert sim.resting() == []
    orders = sim.truth()["orders_total"]
    scans = len(daemon.events("scan.done"))
    daemon.until(lambda: len(daemon.events("scan.done")) >= scans + 4 or None, "four more scans")
    assert sim.truth()["orders_total"] == orders, "not one order while it is engaged"
    assert daemon.running

    placed = len(daemon.events("order.acked"))
    assert processes.command("unkill", "--state-dir", str(state)).returncode == 0
    daemon.event("kill_switch.released", reason="", level="info")
    daemon.until(lambda: len(daemon.events("order.acked")) > placed or None, "quotes again", 90)
    assert daemon.stop() == 0
    assert sim.resting() == []
    assert daemon.summary["verified"] is True
    assert daemon.summary["books_equal"] is True
