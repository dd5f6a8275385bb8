import io
import json
import time

import pytest

from kalshi_daemon.cli.clearing import Clearing, Fate
from kalshi_daemon.cli.main import main
from kalshi_daemon.domain.events import CancelAck, RemoteOrder
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.clock import SystemClock
from kalshi_daemon.ground.errors import (
    AuthFailed,
    OrderOutcomeUnknown,
    PartlyUnreadable,
    UnreadableRecord,
    VenueRejected,
    VenueUnreachable,
)
from kalshi_daemon.ground.units import MILLISECOND, SECOND, Count, Nanos, Price, lots
from kalshi_daemon.operations.kill_switch import engage, kill_switch_path, read_kill_switch
from kalshi_daemon.operations.lock import InstanceLock
from kalshi_daemon.simulator.exchange.faults import Injection, Manner
from tests.e2e.quick import stopping_within
from tests.support.exchange_thread import KEY_ID, exchange_thread


@pytest.fixture
def exchange(tmp_path, monkeypatch):
    """Mode demo, pointed at an exchange on loopback."""
    with exchange_thread(tmp_path) as found:
        monkeypatch.setenv("KALSHI_DAEMON_MODE", "demo")
        monkeypatch.setenv("KALSHI_DAEMON_KALSHI__REST_URL", found.rest_url)
        monkeypatch.setenv("KALSHI_DAEMON_KALSHI__KEY_ID", KEY_ID)
        monkeypatch.setenv("KALSHI_DAEMON_KALSHI__PRIVATE_KEY_PATH", str(found.key_path))
        yield found


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_cancels_the_whole_account_and_says_what_and_that_it_is_verified(exchange, capsys):
    ours, foreign = exchange.rest(2), exchange.rest(3, place=1, name="somebody-else")
    assert main(["cancel-all"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    _heading, first, second, count, verdict = said.out.splitlines()
    assert first.split() == [exchange.tickers[0], "bid", "0.1000", "2.00", ours, "yes", "gone"]
    assert second.split() == [exchange.tickers[1], "bid", "0.1000", "3.00", foreign, "no", "gone"]
    assert count == "2 of 2 taken off the book"
    assert verdict == "verified: zero resting"
    assert exchange.resting() == set()


def test_own_leaves_other_peoples_orders_alone(exchange, capsys):
    ours = exchange.rest()
    exchange.rest(name="somebody-else")
    assert main(["cancel-all", "--own", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(order["client_order_id"], order["outcome"]) for order in found["orders"]] == [(ours, "cancelled")]
    assert (found["verified"], found["scope"], found["remaining"], found["foreign"]) == (True, "own", 0, 1)
    assert exchange.resting() == {"somebody-else"}


def test_scope_comes_from_the_settings_and_the_option_wins(exchange, capsys, monkeypatch):
    monkeypatch.setenv("KALSHI_DAEMON_ORDERS__SCOPE", "own")
    exchange.rest(name="somebody-else")
    assert main(["cancel-all"]) == 0
    assert "1 not ours, left alone" in capsys.readouterr().out
    assert exchange.resting() == {"somebody-else"}
    assert main(["cancel-all", "--account"]) == 0
    assert exchange.resting() == set()


def test_nothing_resting_is_verified_too(exchange, capsys):
    assert main(["cancel-all"]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == ["0 of 0 taken off the book", "verified: zero resting"]


def test_two_hundred_orders_are_gone_and_verified_within_5_s(exchange, capsys):
    for number in range(200):
        exchange.rest(place=number)
    started = time.monotonic()
    assert main(["cancel-all", "--json"]) == 0
    assert time.monotonic() - started < 5
    assert len(json.loads(capsys.readouterr().out)["orders"]) == 200
    assert exchange.resting() == set()


def test_without_the_venues_cancel_all_the_batches_do_it(exchange, capsys):
    exchange.rest()
    exchange.faults.injections.append(Injection("cancel_all", status=403, code="forbidden", times=99))
    assert main(["cancel-all", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["orders"][0]["outcome"] == "cancelled"
    assert exchange.resting() == set()


def test_a_cancel_whose_answer_is_lost_is_found_out_by_asking(exchange, capsys):
    exchange.rest()
    exchange.faults.injections.append(Injection("batch_cancel", manner=Manner.DROP))
    exchange.faults.injections.append(Injection("orders", status=503, times=2))
    assert main(["cancel-all", "--own"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "verified: zero resting"
    assert exchange.resting() == set()


def _stop_within(seconds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in stopping_within(seconds).items():
        monkeypatch.setenv(name, value)


def test_refused_cancels_end_unverified_in_bounded_time_with_3(exchange, capsys, monkeypatch):
    _stop_within(2, monkeypatch)
    name = exchange.rest()
    exchange.faults.refuse_cancels = True
    started = time.monotonic()
    assert main(["cancel-all"]) == 3
    assert time.monotonic() - started < 4
    out = capsys.readouterr().out
    assert out.splitlines()[1].split()[-2:] == ["not", "confirmed"]
    assert out.splitlines()[-1].startswith("UNVERIFIED: ")
    assert "verified: zero" not in out
    assert exchange.resting() == {name}


def test_an_exchange_that_hangs_ends_unverified_within_the_deadline(exchange, capsys, monkeypatch):
    _stop_within(1, monkeypatch)
    exchange.rest()
    exchange.faults.injections.append(Injection("*", manner=Manner.HANG, times=999))
    started = time.monotonic()
    assert main(["cancel-all", "--json"]) == 3
    assert time.monotonic() - started < 4
    found = json.loads(capsys.readouterr().out)
    assert (found["verified"], found["remaining"]) == (False, None)


def test_an_exchange_that_cannot_be_reached_is_69_and_says_unverified(exchange, capsys, monkeypatch):
    _stop_within(1, monkeypatch)
    exchange.stop()
    assert main(["cancel-all"]) == 69
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("kalshi-daemon: cancel-all: exchange not reachable: ")
    assert "nothing was cancelled, UNVERIFIED" in said.err
    assert said.err.count("\n") == 1


# ---- live ----------------------------------------------------------------------------------------------------------


def test_live_without_a_terminal_needs_yes(exchange, capsys, monkeypatch):
    name = exchange.rest()
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    assert main(["cancel-all", "--mode", "live", "--kill"]) == 4
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "kalshi-daemon: cancel-all: nothing was cancelled: mode live and nobody to ask here; say --yes\n"
    )
    assert exchange.resting() == {name}
    assert main(["cancel-all", "--mode", "live", "--yes"]) == 0
    assert exchange.resting() == set()


@pytest.mark.parametrize("answer", ["no\n", "\n", ""])
def test_live_on_a_terminal_takes_anything_but_yes_for_no(exchange, capsys, monkeypatch, answer):
    name = exchange.rest()
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    assert main(["cancel-all", "--mode", "live"]) == 4
    assert "LIVE: cancel every resting order on subaccount 0" in capsys.readouterr().err
    assert exchange.resting() == {name}


def test_live_on_a_terminal_with_a_yes(exchange, capsys, monkeypatch):
    exchange.rest()
    monkeypatch.setattr("sys.stdin", Terminal("yes\n"))
    assert main(["cancel-all", "--mode", "live", "--own", "--json"]) == 0
    said = capsys.readouterr()
    assert "LIVE: cancel our own orders" in said.err
    assert json.loads(said.out)["verified"] is True, "the question is not part of the JSON"
    assert exchange.resting() == set()


# ---- beside a running daemon ---------------------------------------------------------------------------------------


def test_warns_of_a_running_daemon_which_would_quote_again(exchange, elsewhere, capsys):
    with InstanceLock(elsewhere / "state" / "demo", 4711):
        assert main(["cancel-all", "--json"]) == 0
    said = capsys.readouterr()
    assert said.err.startswith("warning: a daemon of this mode runs (process 4711) and will quote again: use --kill")
    found = json.loads(said.out)
    assert found["daemon_pid"] == 4711
    assert len(found["warnings"]) == 1
    assert not read_kill_switch(kill_switch_path(elsewhere / "state" / "demo")).engaged


def test_no_warning_for_a_lock_left_behind_or_another_modes_daemon(exchange, elsewhere, capsys):
    folder = elsewhere / "state" / "demo"
    folder.mkdir(parents=True)
    (folder / "daemon.lock").write_text("4711\n")
    with InstanceLock(elsewhere / "state" / "live", 4712):
        assert main(["cancel-all"]) == 0
    assert capsys.readouterr().err == ""


def test_kill_engages_the_switch_first_and_waits_until_the_daemon_has_seen_it(exchange, elsewhere, capsys):
    exchange.rest()
    path = kill_switch_path(elsewhere / "state" / "demo")
    with InstanceLock(elsewhere / "state" / "demo", 4711):
        started = time.monotonic()
        assert main(["cancel-all", "--kill"]) == 0
        assert time.monotonic() - started >= 1.0
    said = capsys.readouterr()
    assert said.err == ""
    assert read_kill_switch(path).reason == "cancel-all"
    assert "the kill switch is engaged" in said.out
    assert exchange.resting() == set()


def test_a_switch_engaged_before_keeps_its_reason_and_silences_the_warning(exchange, elsewhere, capsys):
    path = kill_switch_path(elsewhere / "state" / "demo")
    engage(path, "odd fills", SystemClock().now_ns())
    with InstanceLock(elsewhere / "state" / "demo", 4711):
        assert main(["cancel-all", "--kill"]) == 0
    assert capsys.readouterr().err == ""
    assert read_kill_switch(path).reason == "odd fills"


# ---- the clearing itself, against a scripted exchange ----------------------------------------------------------------


def listed(order_id: str, client_order_id: str = "somebody-else") -> RemoteOrder:
    one = lots(1)
    return RemoteOrder(order_id, client_order_id, "T", "resting", Side.BID, Price(1000), one, Count(0), one, None, 0)


class Scripted:
    """Answers from a list, the last one for ever; exceptions are raised."""

    def __init__(self, lists, mass=None, acks=True) -> None:
        self.lists, self.mass, self.acks = list(lists), mass, acks
        self.calls: list[str] = []

    async def cancel_all(self) -> None:
        self.calls.append("cancel_all")
        if self.mass is not None:
            raise self.mass

    async def orders(self, *, status=None, market_ticker=None, min_ts_ns=None):
        assert status == "resting"
        self.calls.append("orders")
        answer = self.lists.pop(0) if len(self.lists) > 1 else self.lists[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def cancel_orders(self, orders):
        self.calls.append(f"cancel {len(orders)}")
        removed = lots(1) if self.acks else Count(0)
        return [CancelAck(ref.order_id, removed, Nanos(0)) for ref in orders]


class Hasty(SystemClock):
    """The machine's clock, with sleeps that only count."""

    def __init__(self) -> None:
        self.now = 0

    def now_ns(self) -> Nanos:
        return Nanos(self.now)

    async def sleep_until(self, when_ns: Nanos) -> None:
        await super().sleep(Nanos(60 * SECOND))  # a deadline no scripted answer reaches

    async def sleep(self, duration_ns: Nanos) -> None:
        self.now += duration_ns


async def clear(api, scope="account", deadline_s=20, count_from_ns=0):
    clock = Hasty()
    clearing = Clearing(
        api, clock, scope=scope, deadline_ns=Nanos(deadline_s * SECOND), count_from_ns=Nanos(count_from_ns)
    )
    return await clearing.run(), clock


async def test_one_empty_list_is_not_enough():
    api = Scripted([[], [], [listed("a")], [], []])
    cleared, _ = await clear(api)
    assert cleared.verified
    assert api.calls == ["orders", "cancel_all", "orders", "orders", "cancel 1", "orders", "orders"]
    assert [(order.order_id, fate) for order, fate in cleared.orders] == [("a", Fate.CANCELLED)]


async def test_trouble_between_two_empty_lists_starts_the_count_anew():
    api = Scripted([[], OrderOutcomeUnknown("orders", "lost"), [], []])
    cleared, _ = await clear(api, scope="own")
    assert cleared.verified
    assert api.calls.count("orders") == 4


async def test_lists_do_not_count_while_a_daemon_may_still_place():
    cleared, clock = await clear(Scripted([[]]), count_from_ns=1000 * MILLISECOND)
    assert cleared.verified
    assert clock.now >= 1000 * MILLISECOND


async def test_an_acknowledged_cancel_that_removed_nothing_is_no_cancel():
    cleared, _ = await clear(Scripted([[listed("a", "kd-00000000000000aa-1")], []], acks=False), scope="own")
    assert [fate for _, fate in cleared.orders] == [Fate.GONE]


async def test_an_order_that_stays_listed_is_never_called_cancelled():
    cleared, clock = await clear(Scripted([[listed("a")]]))
    assert not cleared.verified
    assert cleared.remaining == 1
    assert [fate for _, fate in cleared.orders] == [Fate.NOT_CONFIRMED]
    assert clock.now <= 20 * SECOND


async def test_a_network_that_comes_back_before_the_deadline_is_enough():
    down = VenueUnreachable("orders", "no route")
    cleared, _ = await clear(Scripted([down, down, [listed("a")], []], mass=down))
    assert cleared.verified


async def test_a_refused_key_stops_at_once_but_not_after_the_exchange_has_listened():
    refused = AuthFailed("orders", 401, "unauthorized", "bad signature")
    with pytest.raises(AuthFailed):
        await clear(Scripted([refused]), scope="own")
    cleared, _ = await clear(Scripted([[listed("a")], refused]), deadline_s=3)
    assert not cleared.verified
    assert "401" in cleared.detail


def partly(*orders: RemoteOrder) -> PartlyUnreadable:
    bad = UnreadableRecord("orders order_id x", "T", "order.yes_price_dollars: 'NaN' is not a decimal string")
    return PartlyUnreadable("orders", list(orders), [bad])


@pytest.mark.parametrize("scope", ["account", "own"])
async def test_a_partly_unreadable_list_is_cancelled_as_far_as_it_goes_and_unverified(scope):
    mine = listed("a", "kd-00000000000000aa-1")
    api = Scripted([partly(mine), partly(mine), partly()], mass=VenueRejected("cancel_all", 403, "no", "not entitled"))
    cleared, _ = await clear(api, scope=scope)
    assert "cancel 1" in api.calls
    assert not cleared.verified
    assert cleared.remaining == 1
    assert "0 resting and 1 that cannot be read; orders order_id x (T): order.yes_price_dollars" in cleared.detail
    assert [(order.order_id, fate) for order, fate in cleared.orders] == [("a", Fate.CANCELLED)]


async def test_a_list_that_can_be_read_again_is_verified():
    cleared, _ = await clear(Scripted([partly(), [], []]), scope="own")
    assert cleared.verified
    assert cleared.remaining == 0


async def test_an_unreadable_list_between_two_empty_ones_starts_the_count_anew():
    api = Scripted([[], partly(), [], []])
    cleared, _ = await clear(api, scope="own")
    assert cleared.verified
    assert api.calls.count("orders") == 4
