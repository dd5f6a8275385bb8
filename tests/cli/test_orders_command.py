import contextlib
import json
from datetime import date, time
from typing import Any

import pytest

from kalshi_daemon.cli.main import main
from kalshi_daemon.domain.order import Fill, Order, Status
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.clock import SystemClock
from kalshi_daemon.ground.new_york import eastern_day, eastern_ns
from kalshi_daemon.ground.units import MINUTE, SECOND, Count, Dollars, Nanos, Price, lots
from kalshi_daemon.orders.booked import BookedFill
from kalshi_daemon.orders.journal import Journal, journal_path

MONDAY, TUESDAY = date(2026, 11, 23), date(2026, 11, 24)
EVENT = "KXINXU-26NOV23H1000"
TICKER = f"{EVENT}-T6849.9999"
OTHER = "KXNASDAQ100U-26NOV23H1000-T25199.99"


@contextlib.contextmanager
def journal(folder, mode="sim"):
    path = journal_path(folder / "state" / mode)
    with contextlib.closing(Journal.open(path, Nanos(0))) as found:
        yield found


def order(seq: int, placed_ns: int, status: Status = Status.RESTING, **more: Any) -> Order:
    values: dict[str, Any] = {
        "client_order_id": f"kd-00000000000000aa-{seq}",
        "market_ticker": TICKER,
        "event_ticker": EVENT,
        "series_ticker": "KXINXU",
        "profile": "wide",
        "side": Side.BID,
        "price": Price(4200),
        "count": lots(2),
        "status": status,
        "expires_ns": Nanos(placed_ns + MINUTE),
        "created_ns": Nanos(placed_ns),
        "updated_ns": Nanos(placed_ns),
        "order_id": f"x-{seq}",
    }
    return Order(**(values | more))


def fill(seq: int, order_seq: int, at_ns: int, count: Count, fee: int) -> BookedFill:
    made = Fill(
        f"t-{seq}",
        f"x-{order_seq}",
        TICKER,
        Side.BID,
        Price(4200),
        count,
        Dollars(fee),
        is_taker=False,
        event_ns=Nanos(at_ns),
    )
    return BookedFill(made, EVENT, "KXINXU")


def at(day: date, hour: int, minute: int = 0) -> int:
    return eastern_ns(day, time(hour, minute))


def shown(capsys, *argv: str) -> dict[str, Any]:
    assert main(["orders", "--json", *argv]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def numbers(found: dict) -> list[str]:
    return [each["client_order_id"].rpartition("-")[2] for each in found["orders"]]


def test_shows_a_day_with_status_and_fills(elsewhere, capsys):
    placed = at(MONDAY, 9, 40)
    with journal(elsewhere) as book:
        book.record_intents(
            [
                order(2, placed + MINUTE, Status.CANCELED, filled=lots(1), reason="edge_lost"),
                order(1, placed),
                order(3, placed + 2 * MINUTE, Status.REJECTED, order_id=None, reason="post_only_cross"),
            ]
        )
        book.add_fill(fill(1, 2, placed + 90 * SECOND, Count(40), 25), Nanos(placed))
        book.add_fill(fill(2, 2, placed + 91 * SECOND, Count(60), 30), Nanos(placed))
    assert main(["orders"]) == 0
    title, heading, first, second, third, total = capsys.readouterr().out.splitlines()
    assert title == "orders of Mon 2026-11-23, mode sim", "a simulated session has a date of its own"
    assert heading.split()[:3] == ["placed", "(ET)", "market"]
    assert first.split()[:7] == ["09:40:00", TICKER, "wide", "bid", "0.4200", "2.00", "0.00"]
    assert second.split()[6:10] == ["1.00", "0.0055", "canceled", "edge_lost"]
    assert "post_only_cross" in third
    assert total == "3 orders, 1 canceled, 1 rejected, 1 resting; 2 fills, 1.00 contracts, fees $0.0055"
    found = shown(capsys)
    assert found["day"] == "2026-11-23"
    assert [one["count"] for one in found["orders"][1]["fills"]] == ["0.40", "0.60"]
    assert found["orders"][1]["fees_dollars"] == "0.0055"
    assert found["orders"][2]["order_id"] is None


def test_a_day_is_a_new_york_day_by_when_orders_were_placed(elsewhere, capsys):
    late, early = at(MONDAY, 23, 59), at(TUESDAY, 0, 0)
    with journal(elsewhere) as book:
        book.record_intents([order(1, late, updated_ns=Nanos(early + MINUTE)), order(2, early)])
    assert numbers(shown(capsys, "--day", "2026-11-23")) == ["1"]
    assert numbers(shown(capsys, "--day", "2026-11-24")) == ["2"]
    assert numbers(shown(capsys, "--day", "2026-11-25")) == []


def test_outside_sim_the_day_is_today_even_when_nothing_was_placed(elsewhere, capsys):
    now = SystemClock().now_ns()
    with journal(elsewhere, "demo") as book:
        book.record_intents([order(1, at(date(2026, 1, 5), 10))])
    found = shown(capsys, "--mode", "demo")
    assert found["orders"] == []
    assert found["day"] in {str(eastern_day(now)), str(eastern_day(SystemClock().now_ns()))}


def test_filters_by_market_event_or_series(elsewhere, capsys):
    placed = at(MONDAY, 10)
    other: dict[str, Any] = {
        "market_ticker": OTHER,
        "event_ticker": OTHER.rpartition("-")[0],
        "series_ticker": "KXNASDAQ100U",
    }
    with journal(elsewhere) as book:
        book.record_intents([order(1, placed), order(2, placed, **other)])
    for ticker in (TICKER, EVENT, "kxinxu"):
        assert numbers(shown(capsys, "--market", ticker)) == ["1"], ticker
    assert numbers(shown(capsys, "--market", OTHER)) == ["2"]
    assert numbers(shown(capsys, "--market", "KXIN")) == [], "a ticker, not the beginning of one"


def test_live_shows_whatever_may_still_trade_of_any_day(elsewhere, capsys):
    with journal(elsewhere) as book:
        book.record_intents(
            [
                order(1, at(MONDAY, 10), Status.UNKNOWN),
                order(2, at(TUESDAY, 10), Status.FILLED),
                order(3, at(TUESDAY, 11), Status.PENDING_CANCEL),
            ]
        )
    found = shown(capsys, "--live")
    assert (found["day"], numbers(found)) == (None, ["1", "3"])
    assert numbers(shown(capsys, "--live", "--day", "2026-11-24")) == ["3"]
    assert main(["orders", "--live"]) == 0
    title, _, first, *_ = capsys.readouterr().out.splitlines()
    assert title == "orders that may still trade, mode sim"
    assert first.startswith("2026-11-23 10:00:00"), "without a day the date is part of the row"


def test_reads_while_a_daemon_has_the_journal_open_for_writing(elsewhere, capsys):
    with journal(elsewhere) as book:
        book.record_intents([order(1, at(MONDAY, 10))])
        with book.transaction():
            book.record_intents([order(2, at(MONDAY, 11))])
            assert numbers(shown(capsys)) == ["1"], "what is not committed is not shown"
        assert numbers(shown(capsys)) == ["1", "2"]


def test_no_journal_is_4_and_makes_none(elsewhere, capsys):
    assert main(["orders"]) == 4
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("kalshi-daemon: state/sim/data/proc/journal.sqlite3: no journal")
    assert said.err.count("\n") == 1
    assert not (elsewhere / "state").exists()


def test_a_journal_that_cannot_be_read_is_one_line(elsewhere, capsys):
    path = journal_path(elsewhere / "state" / "sim")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a database" * 100)
    assert main(["orders"]) == 1
    said = capsys.readouterr()
    assert "journal cannot be read" in said.err
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("argv", [["--day", "yesterday"], ["--market", " "], ["--market"]])
def test_nonsense_is_a_usage_error(elsewhere, capsys, argv):
    with journal(elsewhere):
        pass
    assert main(["orders", *argv]) == 2
    assert capsys.readouterr().err.count("\n") == 1
