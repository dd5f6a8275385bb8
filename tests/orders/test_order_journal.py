"""The journal: intents before outcomes, each fill once, and what it does when it is not what it should be."""

import sqlite3
from dataclasses import replace
from typing import Literal

import pytest

from kalshi_daemon.domain.order import Fill, Order, Settlement, Status
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.errors import StateCorrupt
from kalshi_daemon.ground.units import DAY, Count, Dollars, Nanos, Price
from kalshi_daemon.orders import journal_file
from kalshi_daemon.orders.booked import BookedFill, Inherited, Result
from kalshi_daemon.orders.journal import Journal, journal_path
from kalshi_daemon.orders.journal_schema import MIGRATIONS
from kalshi_daemon.orders.ledger import FLAT

NOW = Nanos(1_795_000_000_000_000_000)
EVENT = "KXINXU-26NOV23H1100"


def order(seq=1, **changes):
    made = Order(
        client_order_id=f"kd-0011223344556677-{seq}",
        market_ticker=f"{EVENT}-T6799.9999",
        event_ticker=EVENT,
        series_ticker="KXINXU",
        profile="wide",
        side=Side.ASK,
        price=Price(4200),
        count=Count(200),
        status=Status.INTENDED,
        expires_ns=Nanos(NOW + 90),
        created_ns=NOW,
        updated_ns=NOW,
        fair=0.4321,
        required_edge=0.02,
    )
    return replace(made, **changes)


def booked(trade="t1", count=100, at=NOW, market=f"{EVENT}-T6799.9999", order_id="ex-1"):
    fill = Fill(trade, order_id, market, Side.ASK, Price(4200), Count(count), Dollars(3), is_taker=False, event_ns=at)
    return BookedFill(fill, EVENT, "KXINXU")


@pytest.fixture
def path(tmp_path):
    return journal_path(tmp_path / "sim")


@pytest.fixture
def journal(path):
    made = Journal.open(path, NOW)
    yield made
    made.close()


def test_an_order_comes_back_as_it_was_written(journal):
    journal.record_intents([order()])
    assert journal.order(order().client_order_id) == order()
    done = order(status=Status.RESTING, order_id="ex-1", filled=Count(100), updated_ns=Nanos(NOW + 1), reason="r")
    journal.record_outcome(done, Nanos(NOW + 1), "Acked", {"remaining": 100})
    assert journal.order(order().client_order_id) == done
    assert journal.order_of("ex-1") == done
    assert journal.history(order().client_order_id) == [
        (NOW, "Intended", "intended", {}),
        (NOW + 1, "Acked", "resting", {"remaining": 100}),
    ]


def test_an_id_is_never_used_twice(journal):
    journal.record_intents([order()])
    with pytest.raises(StateCorrupt, match="UNIQUE"):
        journal.record_intents([order(2), order()])
    assert [o.client_order_id for o in journal.live_orders()] == [order().client_order_id], "none of the batch"


def test_an_outcome_without_an_intent_is_refused(journal):
    with pytest.raises(StateCorrupt, match="no intent"):
        journal.record_outcome(order(), NOW, "Acked", {})


def test_only_live_orders_are_loaded(journal):
    journal.record_intents([order(seq) for seq in range(1, 10)])
    for seq, status in enumerate(Status, start=1):
        journal.record_outcome(order(seq, status=status), NOW, "test", {})
    assert {o.status for o in journal.live_orders()} == {status for status in Status if status.live}
    assert len(journal.orders_since(NOW, 3)) == 3


def test_a_fill_is_taken_once(journal):
    assert journal.add_fill(booked(), NOW)
    assert not journal.add_fill(booked(count=999), NOW)
    assert journal.fill("t1") == booked()
    assert journal.filled_total("ex-1") == 100
    journal.add_fill(booked("t2", 50), NOW)
    assert journal.filled_total("ex-1") == 150
    assert [b.fill.trade_id for b in journal.fills_of("ex-1")] == ["t1", "t2"]
    assert journal.filled_total("ex-2") == 0


def test_a_listed_settlement_overrides_a_result_but_not_the_other_way(journal):
    market = booked().fill.market_ticker
    listed = Settlement(market, EVENT, "no", Count(0), Count(100), Dollars(10_000), Dollars(3), Nanos(NOW + 2))
    journal.add_result(market, EVENT, Result("yes", NOW), NOW)
    journal.add_settlement(listed, NOW)
    journal.add_result(market, EVENT, Result("yes", NOW), NOW)
    assert journal.results_since(Nanos(0)) == {market: Result("no", Nanos(NOW + 2), Dollars(10_000))}


def test_a_result_may_be_corrected_until_it_is_listed(journal):
    journal.add_result("M", EVENT, Result(FLAT, NOW), NOW)
    journal.add_result("M", EVENT, Result("yes", Nanos(NOW + 1)), NOW)
    assert journal.results_since(Nanos(0)) == {"M": Result("yes", Nanos(NOW + 1))}


def test_fills_that_matter_leave_out_markets_settled_long_ago(journal):
    journal.add_fill(booked("old", market="OLD"), NOW)
    journal.add_fill(booked("new", market="NEW"), NOW)
    journal.add_fill(booked("open", market="OPEN"), NOW)
    journal.add_result("OLD", EVENT, Result("yes", Nanos(NOW - 9 * DAY)), NOW)
    journal.add_result("NEW", EVENT, Result("yes", NOW), NOW)
    assert {b.fill.trade_id for b in journal.fills_that_matter(Nanos(NOW - DAY))} == {"new", "open"}


def test_inherited_positions_and_cursors(journal):
    held = Inherited("M", EVENT, "KXINXU", Count(-300))
    journal.inherit([held])
    assert journal.inherited(Nanos(0)) == [held]
    journal.add_result("M", EVENT, Result("yes", NOW), NOW)
    assert journal.inherited(Nanos(NOW + 1)) == []
    assert journal.cursor("fills") is None
    journal.set_cursor("fills", NOW)
    journal.set_cursor("fills", Nanos(NOW + 1))
    assert journal.cursor("fills") == NOW + 1


def test_expiries_are_updated_without_an_event(journal):
    journal.record_intents([order()])
    journal.record_expiries([order(expires_ns=Nanos(NOW + 500))])
    assert journal.order(order().client_order_id).expires_ns == NOW + 500
    assert len(journal.history(order().client_order_id)) == 1


def test_a_transaction_that_fails_leaves_nothing_behind(journal):
    def half_way():
        with journal.transaction():
            journal.record_intents([order()])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half_way()
    assert journal.live_orders() == []
    journal.record_intents([order()])
    assert len(journal.live_orders()) == 1


def test_what_was_committed_survives_the_loss_of_the_process(path):
    first = Journal.open(path, NOW)
    first.record_intents([order()])
    # No close: the next process finds the write-ahead log as a kill leaves it.
    second = Journal.open(path, NOW)
    assert second.live_orders() == [order()]
    first.close()
    second.close()


def test_durability_follows_the_settings(path):
    words: tuple[Literal["full", "normal"], ...] = ("normal", "full")
    for number, word in enumerate(words, start=1):
        opened = Journal.open(path, NOW, synchronous=word)
        assert opened._db.execute("PRAGMA synchronous").fetchone() == (number,)
        assert opened._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        opened.close()


def test_reopening_migrates_once(path):
    Journal.open(path, NOW).close()
    opened = Journal.open(path, Nanos(NOW + 1))
    assert opened._db.execute("SELECT version, applied_ns FROM schema").fetchall() == [
        (number, NOW) for number in range(1, len(MIGRATIONS) + 1)
    ]
    opened.close()


def test_a_journal_of_a_newer_daemon_is_left_alone(path):
    Journal.open(path, NOW).close()
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO schema VALUES (99, 0)")
    db.close()
    for opening in (lambda: Journal.open(path, NOW), lambda: Journal.read(path)):
        with pytest.raises(StateCorrupt, match="schema 99"):
            opening()


@pytest.mark.parametrize("damage", ["text", "cut"])
def test_a_damaged_file_names_itself_and_what_to_do(path, damage):
    opened = Journal.open(path, NOW)
    opened.record_intents([order(seq) for seq in range(200)])
    opened.close()
    whole = path.read_bytes()
    path.write_bytes(b"not a database at all" * 100 if damage == "text" else whole[: len(whole) // 2])
    with pytest.raises(StateCorrupt) as caught:
        Journal.open(path, NOW)
    assert str(path) in str(caught.value)
    assert "move the file" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_in_the_way_is_named(path):
    path.mkdir(parents=True)
    with pytest.raises(StateCorrupt, match="cannot be opened"):
        Journal.open(path, NOW)


def test_reading_beside_a_writer(journal, path):
    journal.record_intents([order()])
    reader = Journal.read(path)
    assert reader.live_orders() == [order()]
    with pytest.raises(StateCorrupt, match="cannot be written"):
        reader.set_cursor("fills", NOW)
    reader.close()


def test_reading_what_is_not_there(path):
    with pytest.raises(StateCorrupt, match="cannot be read"):
        Journal.read(path)


def test_reads_are_bounded(journal, monkeypatch):
    journal.record_intents([order(seq) for seq in range(5)])
    monkeypatch.setattr(journal_file, "ROWS_MAX", 4)
    with pytest.raises(StateCorrupt, match="more than 4 rows"):
        journal.live_orders()


def test_a_closed_journal_is_corrupt_state_not_a_traceback(path):
    opened = Journal.open(path, NOW)
    opened.close()
    with pytest.raises(StateCorrupt, match="read"):
        opened.live_orders()
    with pytest.raises(StateCorrupt, match="written"):
        opened.set_cursor("fills", NOW)
