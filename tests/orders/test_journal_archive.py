"""The journal stays small: what is over moves to archives, and nothing is lost, doubled or moved too early."""

import contextlib
import sqlite3

import pytest

from kalshi_daemon.domain.order import Status
from kalshi_daemon.ground.errors import StateCorrupt
from kalshi_daemon.ground.units import DAY, SECOND, Count, Nanos
from kalshi_daemon.orders import journal_archive
from kalshi_daemon.orders.booked import Inherited, Result
from kalshi_daemon.orders.journal import Journal
from kalshi_daemon.orders.journal_archive import TRADED_KEPT, Moved, archives, move_old
from tests.orders.order_rig import TARGET, quote, ticker
from tests.orders.test_order_journal import EVENT, NOW, booked, order

OLD = Nanos(NOW - 20 * DAY)
WEEK = Nanos(NOW - 7 * DAY)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "proc" / "journal.sqlite3"


@pytest.fixture
def journal(path):
    with contextlib.closing(Journal.open(path, NOW, synchronous="normal")) as opened:
        yield opened


def ended(journal, seq, at, **changes):
    journal.record_intents([order(seq, created_ns=at, updated_ns=at)])
    status = changes.pop("status", Status.CANCELED)
    journal.record_outcome(order(seq, status=status, updated_ns=at, **changes), at, "CancelAcked", {"n": seq})


def names(journal):
    return {int(o.client_order_id.rpartition("-")[2]) for o in journal.orders_since(Nanos(0), 100)}


def archived(path):
    (file,) = archives(path)
    return contextlib.closing(Journal.read(file))


def test_ended_orders_go_and_live_or_young_ones_stay(journal, path):
    ended(journal, 1, OLD)
    journal.record_intents([order(2, created_ns=OLD, updated_ns=OLD)])
    ended(journal, 3, NOW)
    assert move_old(path, NOW, WEEK) == Moved(1, 0, 0)
    assert names(journal) == {2, 3}
    with archived(path) as old:
        assert names(old) == {1}
        assert [(event, detail) for _at, event, _status, detail in old.history(order(1).client_order_id)] == [
            ("Intended", {}),
            ("CancelAcked", {"n": 1}),
        ]
    assert journal.history(order(1).client_order_id) == []


def test_what_traded_goes_with_its_settled_market_and_not_before(journal, path):
    for seq, market in ((1, "SETTLED"), (2, "OPEN")):
        ended(journal, seq, OLD, status=Status.FILLED, order_id=f"ex-{seq}", filled=Count(100))
        journal.add_fill(booked(f"t{seq}", at=OLD, market=market, order_id=f"ex-{seq}"), OLD)
    journal.add_result("SETTLED", EVENT, Result("yes", OLD), OLD)
    journal.inherit([Inherited("SETTLED", EVENT, "KXINXU", Count(1)), Inherited("OPEN", EVENT, "KXINXU", Count(1))])
    assert move_old(path, NOW, WEEK) == Moved(1, 1, 1)
    assert [b.fill.trade_id for b in journal.fills_since(Nanos(0))] == ["t2"]
    assert names(journal) == {2}, "an order stays as long as its fill"
    assert [held.market_ticker for held in journal.inherited(Nanos(0))] == ["OPEN"]
    assert journal.results_since(Nanos(0)) == {}
    with archived(path) as old:
        assert [b.fill.trade_id for b in old.fills_since(Nanos(0))] == ["t1"]
        assert set(old.results_since(Nanos(0))) == {"SETTLED"}
        assert [held.market_ticker for held in old.inherited(Nanos(0))] == ["SETTLED"]


@pytest.mark.parametrize(("age", "stays"), [(TRADED_KEPT - SECOND, True), (TRADED_KEPT + SECOND, False)])
def test_trades_stay_for_as_long_as_the_ledger_may_ask_whatever_the_setting(journal, path, age, stays):
    at = Nanos(NOW - age)
    journal.add_fill(booked("t", at=at, market="SETTLED"), at)
    journal.add_result("SETTLED", EVENT, Result("yes", at), at)
    move_old(path, NOW, Nanos(NOW - DAY))
    assert bool(journal.fills_since(Nanos(0))) is stays


def test_after_a_long_absence_fills_near_the_cursor_stay_known(journal, path):
    journal.set_cursor("fills", OLD)
    journal.add_fill(booked("t", at=Nanos(OLD - SECOND), market="SETTLED"), OLD)
    journal.add_result("SETTLED", EVENT, Result("yes", OLD), OLD)
    assert move_old(path, NOW, WEEK).fills == 0, "the exchange may list it again at the next look"


def test_a_crash_between_copy_and_delete_repeats_harmlessly(journal, path, monkeypatch):
    ended(journal, 1, OLD)

    def crash(_db):
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patched:
        patched.setattr(journal_archive, "_delete", crash)
        with pytest.raises(StateCorrupt, match="archived"):
            move_old(path, NOW, WEEK)
    assert names(journal) == {1}, "still here"
    assert move_old(path, NOW, WEEK) == Moved(1, 0, 0)
    with archived(path) as old:
        assert len(old.history(order(1).client_order_id)) == 2, "once"


def test_a_move_is_bounded_and_the_rest_goes_next_time(journal, path, monkeypatch):
    monkeypatch.setattr(journal_archive, "ORDERS_AT_ONCE", 2)
    for seq in range(1, 6):
        ended(journal, seq, OLD)
    assert [move_old(path, NOW, WEEK).orders for _ in range(4)] == [2, 2, 1, 0]


async def test_a_start_and_a_sessions_end_archive(rig):
    async with rig.running():
        (one,) = await rig.manager.place([quote()])
        await rig.manager.cancel([one.client_order_id], "test")
    rig.clock.set(Nanos(TARGET + 8 * DAY))
    rig.manager.archive()
    assert rig.journal.order(one.client_order_id) is None
    with archived(rig.journal.path) as old:
        kept = old.order(one.client_order_id)
        assert kept is not None
        assert kept.market_ticker == ticker()
