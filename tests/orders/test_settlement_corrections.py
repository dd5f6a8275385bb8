"""A settlement is not final: corrections stand beside the first entry, disputes count as they are worse."""

from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from kalshi_daemon.domain.contract import MarketStatus
from kalshi_daemon.domain.events import MarketLifecycle
from kalshi_daemon.domain.order import Fill
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import DAY, HOUR, MINUTE, SECOND, Count, Dollars, Nanos, Price
from kalshi_daemon.orders.booked import BookedFill, Result
from kalshi_daemon.orders.journal import Journal
from kalshi_daemon.orders.journal_archive import archives, move_old
from kalshi_daemon.orders.ledger import FLAT, Ledger
from kalshi_daemon.orders.payments import CORRECTIONS_MAX
from kalshi_daemon.orders.settling import WATCH_EVERY
from tests.guardrails.guard_rig import market_of
from tests.orders.order_rig import TARGET, WINDOW, drive, quote, spin, ticker

NOW = Nanos(TARGET + 2 * MINUTE)
WATCH_S = WATCH_EVERY // SECOND + 1


async def held(rig, result="yes", side=Side.BID):
    """One contract of 0.42 (or its other side), paid by `result`."""
    (order,) = await rig.manager.place([quote(side=side)])
    rig.venue.trade(order.client_order_id, 100)
    await spin()
    rig.clock.set(NOW)
    rig.venue.settle(ticker(), result)
    await rig.pass_time(20)


def amend(rig, result):
    """The list and the cash change; whether anybody says so is up to the test."""
    (place,) = [i for i, one in enumerate(rig.venue.settled) if one.market_ticker == ticker()]
    paid = rig.venue.settled[place]
    revenue = Dollars((paid.yes_count if result == "yes" else paid.no_count) * 100)
    rig.venue.cash += revenue - paid.revenue
    rig.venue.settled[place] = replace(paid, result=result, revenue=revenue)


def said(logs, event):
    return [line for line in logs if line["event"] == event]


async def test_a_list_that_changes_in_silence_is_corrected_beside_the_first_entry(rig):
    async with rig.running():
        await held(rig)
        assert rig.state.ledger.realized_today == 5_800
        amend(rig, "no")
        with capture_logs() as logs:
            await rig.pass_time(WATCH_S, step_ms=1_000)
        check = await drive(rig.clock, rig.manager.books_equal())
    assert (rig.state.ledger.realized_today, rig.state.ledger.realized_week) == (-4_200, -4_200)
    assert check.equal, check.detail
    (line,) = said(logs, "settlement.corrected")
    assert (line["market"], line["previous_result"], line["result"]) == (ticker(), "yes", "no")
    assert (line["previous_profit"], line["profit"], line["difference"]) == ("0.5800", "-0.4200", "-1.0000")
    (settled,), (corrected,) = rig.said("settle"), rig.said("correct")
    today = (settled["series_profit_today"], corrected["series_profit_today"])
    assert today == ("0.5800", "-0.4200"), "the report's profit of the day is the ledger's"
    assert rig.journal.results_since(Nanos(0))[ticker()].result == "yes", "the first entry stays"
    assert [one.result for one in rig.journal.corrections()[ticker()]] == ["no"]


async def test_a_correction_counts_on_its_own_day(rig):
    async with rig.running():
        await held(rig)
        rig.clock.set(Nanos(NOW + DAY))
        await rig.pass_time(2)
        assert rig.state.ledger.realized_today == 0
        amend(rig, "no")
        await rig.pass_time(WATCH_S, step_ms=1_000)
        assert rig.state.ledger.realized_today == -10_000
        assert rig.state.ledger.realized_week == -4_200


async def test_corrections_survive_a_restart_and_are_not_booked_again(rig):
    async with rig.running():
        await held(rig)
        for result in ("no", "yes", "no"):
            amend(rig, result)
            await rig.pass_time(WATCH_S, step_ms=1_000)
    again = rig.reborn()
    async with again.running():
        await again.pass_time(WATCH_S, step_ms=1_000)
        assert again.state.ledger.realized_today == -4_200
        check = await drive(again.clock, again.manager.books_equal())
    assert check.equal, check.detail
    assert len(again.journal.corrections()[ticker()]) == 3
    again.journal.close()


async def test_what_was_corrected_while_no_daemon_lived_is_found_at_the_start(rig):
    async with rig.running():
        await held(rig)
    amend(rig, "no")
    again = rig.reborn()
    async with again.running():
        await again.pass_time(2)
        assert again.state.ledger.realized_today == -4_200
        check = await drive(again.clock, again.manager.books_equal())
    assert check.equal, check.detail
    again.journal.close()


async def test_a_second_result_of_the_stream_counts_as_it_is_worse_until_the_list_has_spoken(rig):
    async with rig.running():
        await held(rig)
        with capture_logs() as logs:
            rig.venue.emit(MarketLifecycle("determined", ticker(), rig.clock.now_ns(), result="no"))
            await rig.pass_time(1)
            assert rig.state.ledger.realized_today == 5_800, "nothing is booked by the stream's second word"
            assert rig.state.ledger.disputed == 10_000
            amend(rig, "no")
            await rig.pass_time(20)
        assert rig.state.ledger.realized_today == -4_200
        assert rig.state.ledger.disputed == 0
    (line,) = said(logs, "settlement.disputed")
    assert (line["market"], line["at_risk"]) == (ticker(), "1.0000")
    assert len(said(logs, "settlement.corrected")) == 1
    assert len(said(logs, "settlement.dispute_ended")) == 1


async def test_a_market_paid_again_by_the_stream_is_not_booked_twice(rig):
    async with rig.running():
        await held(rig)
        for kind in ("determined", "settled"):
            rig.venue.emit(MarketLifecycle(kind, ticker(), rig.clock.now_ns(), result="no"))
        await rig.pass_time(1)
        assert rig.state.ledger.realized_today == 5_800
        assert rig.state.ledger.disputed == 10_000
        rig.venue.emit(MarketLifecycle("determined", ticker(), rig.clock.now_ns(), result="yes"))
        await rig.pass_time(1)
        assert rig.state.ledger.disputed == 0, "the stream took it back"


async def test_a_second_result_that_nobody_confirms_is_let_go_after_a_day(rig):
    async with rig.running():
        await held(rig)
        rig.venue.emit(MarketLifecycle("determined", ticker(), rig.clock.now_ns(), result="no"))
        await rig.pass_time(2)
        rig.clock.advance(Nanos(23 * HOUR))
        await rig.pass_time(2)
        assert rig.state.ledger.disputed == 10_000
        rig.clock.advance(HOUR)
        await rig.pass_time(2)
        assert rig.state.ledger.disputed == 0


@pytest.mark.parametrize("status", [MarketStatus.DISPUTED, MarketStatus.AMENDED])
async def test_a_market_listed_as_in_dispute_counts_as_it_is_worse_until_it_is_not(rig, status):
    async with rig.running():
        await held(rig)
        rig.state.venue.markets[ticker()] = replace(market_of(WINDOW, 6800), status=status)
        await rig.pass_time(1)
        assert rig.state.ledger.disputed == 10_000
        rig.state.venue.markets[ticker()] = replace(market_of(WINDOW, 6800), status=MarketStatus.FINALIZED)
        await rig.pass_time(1)
        assert rig.state.ledger.disputed == 0


async def test_a_lost_market_in_dispute_has_nothing_to_take_back(rig):
    async with rig.running():
        await held(rig, "no")
        rig.venue.emit(MarketLifecycle("determined", ticker(), rig.clock.now_ns(), result="yes"))
        await rig.pass_time(1)
        assert rig.state.ledger.disputed == 0


async def test_a_list_that_never_stands_still_shuts_the_reconciliation_guard(rig):
    async with rig.running():
        await held(rig)
        for step in range(CORRECTIONS_MAX + 1):
            amend(rig, "no" if step % 2 == 0 else "yes")
            await rig.pass_time(WATCH_S + 5, step_ms=5_000)
        await rig.pass_time(120, step_ms=1_000)
        assert len(rig.journal.corrections()[ticker()]) == CORRECTIONS_MAX
        assert "corrected 20 times" in rig.state.reconciliation.problem
        amend(rig, "yes")
        await rig.pass_time(WATCH_S + 60, step_ms=1_000)
        assert rig.state.reconciliation.agreed, rig.state.reconciliation.problem


async def test_the_list_is_read_again_seldom_when_nothing_is_in_doubt(rig):
    async with rig.running():
        await held(rig)
        await rig.pass_time(WATCH_S, step_ms=1_000)
        asked = len(rig.sent("settlements"))
        await rig.pass_time(HOUR // SECOND, step_ms=5_000)
        assert 5 <= len(rig.sent("settlements")) - asked <= 7


# --- the ledger -------------------------------------------------------------------------------------------------------

LISTED = st.one_of(
    st.sampled_from(["yes", "no"]).map(lambda word: (word, None)),
    st.tuples(st.sampled_from(["scalar", "void"]), st.integers(0, 10_000)),
)


def fill(trade, side, count, price=4_200):
    made = Fill(trade, "ex", "M", side, Price(price), Count(count), Dollars(3), is_taker=False, event_ns=Nanos(0))
    return BookedFill(made, "E", "KXINXU")


def listed(entry, count, at):
    word, revenue = entry
    if revenue is None:
        revenue = max(0, count if word == "yes" else -count) * 100
    return Result(word, Nanos(at), Dollars(revenue))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 400)), min_size=1, max_size=5),
    st.lists(LISTED, min_size=1, max_size=8),
    st.sampled_from([None, "yes", "no", FLAT]),
    st.randoms(use_true_random=False),
)
def test_any_sequence_of_results_that_ends_in_one_gives_the_cash_of_that_one_alone(trades, sequence, first, chance):
    fills = [fill(f"t{n}", side, count) for n, (side, count) in enumerate(trades)]
    count = sum(side.sign * size for side, size in trades)
    results = [listed(entry, count, at) for at, entry in enumerate(sequence, start=10)]
    alone, mixed = Ledger(), Ledger()
    for one in fills:
        alone.add_fill(one)
    alone.set_result("M", results[-1])
    steps = [*([] if first is None else [Result(first, Nanos(5))]), *results]
    repeated = [again for one in steps for again in [one] * chance.randint(1, 3)]
    late = chance.choice([0, len(fills)])
    for one in fills[late:]:
        mixed.add_fill(one)
    for one in repeated:
        mixed.set_result("M", one)
        mixed.set_result("M", Result("no", Nanos(99)) if one.revenue is not None else one)  # an old word of the stream
    for one in fills[:late]:
        mixed.add_fill(one)
    assert mixed.exchange_cash() == alone.exchange_cash()
    assert mixed.profit("M") == alone.profit("M")
    assert mixed.realized(Nanos(0)) == alone.realized(Nanos(0))
    assert mixed.at_risk("M") == alone.at_risk("M")
    assert sum(profit for _, profit in mixed.entries("M")) == mixed.profit("M")


def test_an_entry_of_the_week_before_is_not_forgotten_while_its_correction_counts():
    ledger = Ledger()
    ledger.add_fill(fill("t", Side.BID, 100))
    ledger.set_result("M", Result("yes", Nanos(DAY), Dollars(10_000)))
    ledger.set_result("M", Result("no", Nanos(9 * DAY), Dollars(0)))
    ledger.forget_settled(Nanos(5 * DAY))
    assert ledger.realized(Nanos(8 * DAY)) == -10_000
    ledger.forget_settled(Nanos(10 * DAY))
    assert ledger.result("M") is None
    assert ledger.exchange_cash() == -4_203


# --- the journal ------------------------------------------------------------------------------------------------------


async def test_a_correction_keeps_its_market_in_the_journal_and_moves_with_it_into_the_archive(rig):
    async with rig.running():
        await held(rig)
        rig.clock.set(Nanos(NOW + 7 * DAY))
        amend(rig, "no")
        await rig.pass_time(WATCH_S, step_ms=1_000)
        week = Nanos(rig.clock.now_ns() - DAY)
        assert set(rig.journal.results_since(week)) == {ticker()}
        assert [b.fill.market_ticker for b in rig.journal.fills_that_matter(week)] == [ticker()]
    corrected = rig.clock.now_ns()
    path = rig.journal.path
    rig.journal.set_cursor("fills", Nanos(corrected + 40 * DAY))
    assert move_old(path, Nanos(NOW + 16 * DAY), Nanos(NOW + 16 * DAY)).settlements == 0, "corrected a week ago"
    for _ in range(2):  # a crash between the two halves of a move does it again
        move_old(path, Nanos(corrected + 16 * DAY), Nanos(corrected + 16 * DAY))
    assert rig.journal.corrections() == {}
    (file,) = archives(path)
    with closing(Journal.read(file)) as old:
        assert [one.result for one in old.corrections()[ticker()]] == ["no"]
