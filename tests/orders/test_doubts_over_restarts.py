"""What is in doubt stays so over a restart: orders in quarantine, and markets whose payment is not final."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.contract import MarketStatus
from kalshi_daemon.domain.events import MarketLifecycle
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.errors import StateCorrupt
from kalshi_daemon.ground.units import HOUR, SECOND, Count, Nanos
from kalshi_daemon.orders.lifecycle import Acked, ReportedCanceled, ReportedExecuted, ReportedResting
from tests.guardrails.guard_rig import market_of
from tests.orders.fake_venue import FakeVenue
from tests.orders.order_rig import START, WINDOW, Rig, drive, quotes, spin, ticker
from tests.orders.test_settlement_corrections import amend, held

LATER = Nanos(START + 60 * SECOND)
IDS = st.sampled_from(["ex-1", "ex-2", "ex-3", "ex-9"])
COUNTS = st.integers(0, 300).map(Count)
WORDS = st.one_of(
    st.builds(Acked, st.just(LATER), IDS, COUNTS, COUNTS),
    st.builds(ReportedResting, st.just(LATER), IDS, COUNTS),
    st.builds(ReportedExecuted, st.just(LATER), IDS, COUNTS),
    st.builds(ReportedCanceled, st.just(LATER), IDS, COUNTS),
)
STEPS = st.lists(st.tuples(st.integers(0, 2), st.one_of(WORDS, st.just("release"), st.just("restart"))), max_size=12)


@settings(max_examples=15, deadline=None)
@given(STEPS)
async def test_a_restart_at_any_point_leaves_the_same_orders_in_quarantine(tmp_path_factory, steps):
    clock = ManualClock(START)
    rig = Rig(tmp_path_factory.mktemp("restarts"), clock, FakeVenue(clock))
    orders = await rig.manager.place(quotes(3))
    for which, step in [*steps, (0, "restart")]:
        name, store = orders[which].client_order_id, rig.manager._store
        if step == "restart":
            before = rig.state.quarantined
            rig = rig.reborn()
            rig.manager.load()
            assert rig.state.quarantined.keys() == before.keys()
            assert {one.leaves for one in rig.state.quarantined.values()} == {one.leaves for one in before.values()}
        elif step == "release":
            found = store.find(name, None)
            if name in store.quarantine and found is not None:
                store.release(found, "test")
        else:
            store.apply(name, step)
        assert {row.client_order_id for row in rig.journal.quarantined()} == set(rig.state.quarantined)
    rig.journal.close()


DISPUTES = st.lists(
    st.sampled_from(["yes", "no", "DISPUTED", "AMENDED", "FINALIZED", "unlisted", "list_yes", "list_no", "hours"]),
    min_size=1,
    max_size=10,
)


@settings(max_examples=12, deadline=None)
@given(DISPUTES)
async def test_a_restart_at_any_point_leaves_the_same_markets_in_dispute(tmp_path_factory, steps):
    clock = ManualClock(START)
    rig = Rig(tmp_path_factory.mktemp("disputes"), clock, FakeVenue(clock))
    async with rig.running():
        await held(rig)
    for step in steps:
        books, markets = rig.manager._bookkeeping, rig.state.venue.markets
        if step in {"yes", "no"}:
            books.payments.determined(ticker(), step)
        elif step == "unlisted":
            markets.pop(ticker(), None)
        elif step.startswith("list_"):
            amend(rig, step.removeprefix("list_"))
            await drive(clock, rig.manager._settler.read(Nanos(0)))
        elif step == "hours":
            clock.advance(Nanos(7 * HOUR))
        else:
            markets[ticker()] = replace(market_of(WINDOW, 6800), status=MarketStatus[step])
        books.payments.look_at_disputes()
        before, at_risk, markets = dict(books.payments.disputed), rig.state.ledger.disputed, dict(markets)
        rig = rig.reborn()
        rig.manager.load()
        assert rig.manager._bookkeeping.payments.disputed == before
        assert rig.state.ledger.disputed == at_risk
        rig.state.venue.markets.update(markets)  # the listing is read again
    rig.journal.close()


async def test_an_order_in_quarantine_comes_back_with_its_words_and_is_cleared_by_the_exchange(rig):
    async with rig.running():
        (order,) = await rig.manager.place(quotes(1))
        await rig.manager.cancel([order.client_order_id], "edge_lost")
        store = rig.manager._store
        store.apply(order.client_order_id, ReportedExecuted(rig.clock.now_ns(), "ex-9", order.count))
        await spin()
    again = rig.reborn()
    again.manager.load()
    (row,) = again.journal.quarantined()
    assert (row.word, "ex-9" in row.problem) == ("ReportedExecuted", True)
    assert set(again.state.quarantined) == {order.client_order_id}, "although it has ended in our books"
    async with again.running():
        await again.pass_time(20)
        assert again.state.quarantined == {}
        assert again.journal.quarantined() == []
    again.journal.close()


async def test_a_word_that_cannot_be_written_down_is_not_acted_upon(rig, monkeypatch):
    (order,) = await rig.manager.place(quotes(1))

    def full(_row):
        raise StateCorrupt("journal", "full")

    monkeypatch.setattr(rig.journal, "quarantine", full)
    try:
        rig.manager._store.doubt(order, "word", "problem")
    except StateCorrupt:
        assert rig.state.quarantined == {}
    else:
        raise AssertionError("said nothing")
    rig.manager._store.tolerant = True
    rig.manager._store.doubt(order, "word", "problem")
    assert set(rig.state.quarantined) == {order.client_order_id}, "the way down counts it all the same"


async def test_a_market_not_listed_any_more_stays_in_dispute_for_a_day(rig):
    async with rig.running():
        await held(rig)
        rig.state.venue.markets[ticker()] = replace(market_of(WINDOW, 6800), status=MarketStatus.DISPUTED)
        await rig.pass_time(1)
        rig.state.venue.markets.clear()
        rig.clock.advance(Nanos(23 * HOUR))
        await rig.pass_time(2)
        assert rig.state.ledger.disputed == 10_000
        rig.clock.advance(HOUR)
        await rig.pass_time(2)
        assert rig.state.ledger.disputed == 0
        assert rig.journal.disputes() == []


async def test_a_stream_that_takes_its_word_back_is_written_down_too(rig):
    async with rig.running():
        await held(rig)
        for result in ("no", "yes"):
            rig.venue.emit(MarketLifecycle("determined", ticker(), rig.clock.now_ns(), result=result))
            await rig.pass_time(1)
            assert bool(rig.journal.disputes()) is (result == "no")
