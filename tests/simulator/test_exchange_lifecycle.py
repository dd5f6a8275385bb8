"""Time: expiry, close, determination, settlement, pauses, cutoff records, order groups."""

from typing import Any

import pytest

from kalshi_daemon.domain.contract import MarketStatus, PriceBand, PriceGrid
from kalshi_daemon.ground.units import HOUR, MINUTE, SECOND, Count, Nanos, Price, lots
from kalshi_daemon.simulator.exchange.exchange import Exchange, Rules
from kalshi_daemon.simulator.exchange.lifecycle import settlement_level
from kalshi_daemon.simulator.exchange.listener import LifecycleEvent, NobodyListens
from kalshi_daemon.simulator.exchange.order_groups import LIMIT_MAX, GroupEvent, OrderGroup
from kalshi_daemon.simulator.exchange.order_terms import (
    EXCHANGE_PAUSED,
    GROUP_NOT_FOUND,
    GROUP_TRIGGERED,
    MARKET_INACTIVE,
    NOT_FOUND,
    TRADING_PAUSED,
    OrderState,
    Reason,
    Refusal,
)
from kalshi_daemon.simulator.exchange.sim_fees import FeeKind, FeeModel
from tests.simulator.exchange_kit import EVENT, OTHER, RANGE_EVENT, START, TARGET, TICKER, put, small_exchange, spec


class Ear(NobodyListens):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.orders: list[Any] = []
        self.markets: list[Any] = []
        self.groups: list[Any] = []
        self.positions: list[Any] = []

    def order_changed(self, order, reason, now_ns):
        self.orders.append((order.client_order_id, order.state.value, reason.value, now_ns))

    def market_changed(self, market, event, now_ns):
        self.markets.append((market.spec.ticker, event, now_ns))

    def group_changed(self, account, group, event, now_ns):
        self.groups.append(event)

    def position_changed(self, account, market, now_ns):
        self.positions.append((account.name, market.spec.ticker, account.position(market.spec.ticker)))


def test_an_order_expires_at_its_second_even_when_nobody_looks_for_long():
    exchange, clock = small_exchange()
    ear = Ear()
    exchange.set_listener(ear)
    expiry = Nanos(START + 30 * SECOND)
    made = put(exchange, "ann", "bid", 42, client_order_id="a", expires_ns=expiry)
    clock.advance(29 * SECOND)
    assert put(exchange, "bob", "bid", 40).order.booked
    assert made.order.booked
    clock.advance(MINUTE)
    exchange.run_until(clock())
    assert ear.orders[-1] == ("a", "canceled", "ExpiryCancel", expiry)
    assert exchange.accounts["ann"].cancels == {"ExpiryCancel": 1}


def test_an_expired_order_cannot_trade_with_a_request_that_comes_later():
    exchange, clock = small_exchange()
    put(exchange, "ann", "bid", 42, expires_ns=Nanos(START + SECOND))
    clock.advance(SECOND)
    assert put(exchange, "bob", "ask", 42).fill_count == 0


def test_status_follows_the_clock():
    exchange, clock = small_exchange()
    market = exchange.catalogue.markets[TICKER]
    assert market.status(Nanos(market.spec.open_ns - 1)) is MarketStatus.INITIALIZED
    assert market.status(market.spec.open_ns) is MarketStatus.ACTIVE
    assert market.status(TARGET) is MarketStatus.CLOSED
    clock.set(market.spec.open_ns - 1)
    assert not market.trades_at(clock())


def test_orders_are_swept_after_close_and_nothing_works_from_the_close_on():
    exchange, clock = small_exchange()
    ear = Ear()
    exchange.set_listener(ear)
    made = put(exchange, "ann", "bid", 42, client_order_id="a")
    clock.set(TARGET)
    assert exchange.cancel("ann", made.order_id).refusal is MARKET_INACTIVE
    assert exchange.decrease("ann", made.order_id, by=lots(1)).refusal is MARKET_INACTIVE
    assert exchange.submit("ann", spec("bid", 42)).refusal is MARKET_INACTIVE
    assert exchange.cancel_all("ann") == 0
    exchange.run_until(clock.advance(SECOND))
    assert ear.orders[-1][:3] == ("a", "canceled", "CloseCancel")
    assert exchange.accounts["ann"].reserved == 0


def test_settlement_pays_by_the_single_print_and_takes_its_time():
    asked = []
    exchange, clock = small_exchange()
    ear = Ear()
    exchange.set_listener(ear)

    def index_value(index, ns):
        asked.append((index, ns))
        return 6852.344999

    exchange.lifecycle._index_value = index_value
    put(exchange, "bob", "ask", 40, 10)
    put(exchange, "ann", "bid", 40, 10)
    put(exchange, "bob", "ask", 30, 10, ticker=OTHER)
    put(exchange, "ann", "bid", 30, 10, ticker=OTHER)
    market, other = exchange.catalogue.markets[TICKER], exchange.catalogue.markets[OTHER]
    exchange.run_until(clock.set(TARGET + 64 * SECOND))
    assert market.status(clock()) is MarketStatus.CLOSED
    exchange.run_until(clock.advance(SECOND))
    assert (market.status(clock()), market.result, other.result) == (MarketStatus.DETERMINED, "yes", "no")
    assert market.settlement_value == 68_523_400
    assert asked[0][1] == TARGET
    before = exchange.accounts["ann"].cash
    exchange.run_until(clock.advance(60 * SECOND))
    assert market.status(clock()) is MarketStatus.FINALIZED
    ann, bob = exchange.accounts["ann"], exchange.accounts["bob"]
    assert ann.cash - before == 10_000_000
    paid = {s.ticker: (s.result, s.yes_count, s.no_count, s.revenue) for s in ann.settlements}
    assert paid == {TICKER: ("yes", lots(10), 0, 10_000_000), OTHER: ("no", lots(10), 0, 0)}
    assert {s.ticker: s.revenue for s in bob.settlements} == {TICKER: 0, OTHER: 10_000_000}
    assert bob.settlements[0].no_count == lots(10)
    assert ("ann", TICKER, 0) in ear.positions
    events = [(event, ns) for ticker, event, ns in ear.markets if ticker == TICKER]
    assert events == [
        (LifecycleEvent.DETERMINED, TARGET + 65 * SECOND),
        (LifecycleEvent.SETTLED, TARGET + 125 * SECOND),
    ]


@pytest.mark.parametrize(("value", "level"), [(6850.125, 68_501_300), (6850.1249, 68_501_200), (25200.0, 252_000_000)])
def test_settlement_values_have_two_decimals(value, level):
    assert settlement_level(value) == level


def test_a_held_settlement_comes_later():
    exchange, clock = small_exchange()
    exchange.lifecycle.settlement_holds[EVENT] = Nanos(10 * MINUTE)
    exchange.run_until(clock.set(TARGET + 10 * MINUTE))
    assert exchange.catalogue.markets[TICKER].determined_ns is None
    exchange.run_until(clock.set(TARGET + 65 * SECOND + 10 * MINUTE))
    assert exchange.catalogue.markets[TICKER].determined_ns is not None
    assert exchange.catalogue.by_event[RANGE_EVENT][0].settled_ns is not None


def test_a_traded_out_position_settles_without_a_payment():
    exchange, clock = small_exchange()
    for first, second in (("bob", "ann"), ("ann", "bob")):
        put(exchange, first, "ask", 40, 1)
        put(exchange, second, "bid", 40, 1)
    exchange.run_until(clock.set(TARGET + 5 * MINUTE))
    assert exchange.accounts["ann"].settlements == []


# -- the record around the cutoff -------------------------------------------------------------------------------


def test_the_cutoff_record_counts_what_rests_two_minutes_before_and_after():
    exchange, clock = small_exchange()
    cutoff = Nanos(TARGET - 2 * MINUTE)
    put(exchange, "ann", "bid", 42, expires_ns=cutoff)
    stays = put(exchange, "ann", "bid", 41)
    put(exchange, "bob", "bid", 40, expires_ns=cutoff)
    exchange.run_until(clock.set(cutoff))
    record = exchange.lifecycle.cutoffs["ann", EVENT]
    assert (record.at_cutoff, record.most_after, record.at_target) == (1, 1, None)
    put(exchange, "ann", "bid", 40)
    assert record.most_after == 2
    exchange.cancel("ann", stays.order_id)
    put(exchange, "ann", "bid", 43, ticker=exchange.catalogue.by_event[RANGE_EVENT][0].spec.ticker)
    exchange.run_until(clock.set(TARGET))
    assert (record.at_cutoff, record.most_after, record.at_target) == (1, 2, 1)
    quiet = exchange.lifecycle.cutoffs["bob", EVENT]
    assert (quiet.at_cutoff, quiet.most_after, quiet.at_target) == (0, 0, 0)


def test_an_amend_after_the_cutoff_counts_too():
    exchange, clock = small_exchange()
    from kalshi_daemon.domain.quote import Side  # noqa: PLC0415
    from kalshi_daemon.simulator.exchange.exchange import Amendment  # noqa: PLC0415

    made = put(exchange, "ann", "bid", 42)
    exchange.run_until(clock.set(TARGET - MINUTE))
    exchange.amend("ann", made.order_id, Amendment(TICKER, Side.BID, Price(4100), lots(1)))
    assert exchange.lifecycle.cutoffs["ann", EVENT].most_after == 1


# -- pauses -----------------------------------------------------------------------------------------------------


def test_a_trading_pause_cancels_orders_that_asked_for_it_and_still_lets_others_cancel():
    exchange, _clock = small_exchange()
    ear = Ear()
    exchange.set_listener(ear)
    put(exchange, "ann", "bid", 42, client_order_id="a", cancel_on_pause=True)
    stays = put(exchange, "ann", "bid", 41)
    exchange.venue.pause()
    assert ear.orders[-1][:3] == ("a", "canceled", "HaltCancel")
    assert exchange.submit("ann", spec("bid", 42)).refusal is TRADING_PAUSED
    assert exchange.cancel("ann", stays.order_id).refusal is None
    exchange.venue.resume()
    assert put(exchange, "ann", "bid", 42).order.booked


def test_an_exchange_pause_stops_everything_until_it_ends():
    exchange, clock = small_exchange()
    made = put(exchange, "ann", "bid", 42, expires_ns=Nanos(START + SECOND))
    exchange.venue.pause(exchange=True)
    exchange.run_until(clock.advance(MINUTE))
    assert made.order.booked, "no state change at all"
    assert exchange.cancel("ann", made.order_id).refusal is EXCHANGE_PAUSED
    assert exchange.submit("ann", spec("bid", 42)).refusal is EXCHANGE_PAUSED
    exchange.venue.resume()
    assert made.order.reason is Reason.EXPIRY


def test_reactivating_a_market_cancels_what_rests_in_it():
    exchange, _clock = small_exchange()
    made = put(exchange, "ann", "bid", 42)
    exchange.venue.deactivate([TICKER])
    assert exchange.catalogue.markets[TICKER].status(START) is MarketStatus.INACTIVE
    assert exchange.submit("ann", spec("bid", 42)).refusal is MARKET_INACTIVE
    exchange.venue.activate([TICKER])
    assert made.order.state is OrderState.CANCELED
    assert put(exchange, "ann", "bid", 42).order.booked


def test_cancel_all_also_takes_what_is_placed_in_the_minute_after():
    exchange, clock = small_exchange()
    put(exchange, "ann", "bid", 42)
    put(exchange, "ann", "ask", 60, ticker=OTHER)
    assert exchange.cancel_all("ann") == 2
    caught = put(exchange, "ann", "bid", 42)
    exchange.run_until(clock.advance(SECOND))
    assert caught.order.state is OrderState.CANCELED
    clock.advance(MINUTE)
    kept = put(exchange, "ann", "bid", 42)
    exchange.run_until(clock.advance(SECOND))
    assert kept.order.booked


def test_without_the_blackout_rule_new_orders_stay():
    exchange, clock = small_exchange(rules=Rules(cancel_all_blackout_ns=Nanos(0)))
    exchange.cancel_all("ann")
    kept = put(exchange, "ann", "bid", 42)
    exchange.run_until(clock.advance(SECOND))
    assert kept.order.booked


# -- fees and grids over time -----------------------------------------------------------------------------------


def test_a_fee_change_applies_from_its_instant():
    exchange, clock = small_exchange()
    maker_fees = FeeModel(FeeKind.QUADRATIC_WITH_MAKER_FEES)
    exchange.venue.change_series_fees("KXINXU", maker_fees, Nanos(START + HOUR // 4))
    put(exchange, "bob", "ask", 50, 1)
    put(exchange, "ann", "bid", 50, 1)
    assert exchange.accounts["bob"].fees == 0
    clock.advance(HOUR // 4)
    put(exchange, "bob", "ask", 50, 1)
    put(exchange, "ann", "bid", 50, 1)
    assert exchange.accounts["bob"].fees == 4_400
    assert exchange.catalogue.series_fees["KXINXU"] == maker_fees
    with pytest.raises(KeyError):
        exchange.venue.change_series_fees("NONE", maker_fees, clock())


def test_an_event_can_have_its_own_fees():
    exchange, clock = small_exchange()
    own = FeeModel(FeeKind.QUADRATIC, 2_000_000)
    exchange.venue.change_event_fees(EVENT, own)
    exchange.venue.change_series_fees("KXINXU", FeeModel(FeeKind.QUADRATIC, 500_000), clock())
    exchange.run_until(clock.advance(SECOND))
    assert exchange.catalogue.markets[TICKER].fees == own
    exchange.venue.change_event_fees(EVENT, None)
    assert exchange.catalogue.markets[TICKER].fees.multiplier_ppm == 500_000


def test_a_finer_grid_admits_finer_prices_and_keeps_resting_orders():
    exchange, _clock = small_exchange()
    made = put(exchange, "ann", "bid", 42)
    fine = PriceGrid((PriceBand(Price(0), Price(10_000), Price(10)),))
    exchange.venue.change_grid(TICKER, fine, "deci_cent")
    assert made.order.booked
    better = exchange.submit("bob", spec("bid", 42).__class__(TICKER, made.order.side, Price(4210), lots(1)))
    assert better.refusal is None


def test_listing_twice_adds_nothing_and_old_events_settle_at_once():
    from tests.simulator.exchange_kit import HandClock, small_listing  # noqa: PLC0415

    clock = HandClock(Nanos(TARGET + HOUR))
    exchange = Exchange(clock, 7, lambda _index, _ns: 6850.0, small_listing())
    count = len(exchange.catalogue.markets)
    exchange.list_markets(small_listing())
    assert len(exchange.catalogue.markets) == count
    exchange.run_until(clock())
    assert exchange.catalogue.markets[TICKER].status(clock()) is MarketStatus.FINALIZED


# -- order groups -----------------------------------------------------------------------------------------------


def make_group(exchange, contracts: int, name: str = "ann") -> OrderGroup:
    group = exchange.groups.create(exchange.accounts[name], lots(contracts), exchange.now())
    assert isinstance(group, OrderGroup)
    return group


def test_a_group_is_triggered_when_its_rolling_count_exceeds_the_limit():
    exchange, _clock = small_exchange()
    ear = Ear()
    exchange.set_listener(ear)
    group = make_group(exchange, 3)
    first = put(exchange, "ann", "bid", 42, 9, group_id=group.group_id)
    second = put(exchange, "ann", "bid", 41, 5, group_id=group.group_id)
    outside = put(exchange, "ann", "bid", 40, 5)
    put(exchange, "bob", "ask", 42, 3)
    assert ear.groups == [GroupEvent.CREATED], "at the limit is not beyond it"
    put(exchange, "bob", "ask", 41, 5)
    assert group.triggered
    assert first.order.state is OrderState.CANCELED
    assert first.order.filled == lots(8)
    assert second.order.state is OrderState.CANCELED
    assert outside.order.booked
    refused = exchange.submit("ann", spec("bid", 42, group_id=group.group_id))
    assert refused.refusal is GROUP_TRIGGERED
    assert ear.groups == [GroupEvent.CREATED, GroupEvent.TRIGGERED]


def test_one_fill_may_overshoot_the_limit():
    exchange, _clock = small_exchange()
    group = make_group(exchange, 1)
    made = put(exchange, "ann", "bid", 42, 50, group_id=group.group_id)
    put(exchange, "bob", "ask", 42, 40)
    assert (made.order.filled, made.order.state) == (lots(40), OrderState.CANCELED)


def test_a_taker_in_a_triggered_group_stops_where_it_is():
    exchange, _clock = small_exchange()
    group = make_group(exchange, 1)
    for cents in (40, 41, 42, 43):
        put(exchange, "bob", "ask", cents, 1)
    taker = put(exchange, "ann", "bid", 45, 4, group_id=group.group_id)
    assert (taker.fill_count, taker.remaining) == (lots(2), 0)
    assert taker.order.state is OrderState.CANCELED


def test_matches_older_than_fifteen_seconds_no_longer_count():
    exchange, clock = small_exchange()
    group = make_group(exchange, 3)
    put(exchange, "ann", "bid", 42, 9, group_id=group.group_id)
    for _fill in range(4):
        put(exchange, "bob", "ask", 42, 2)
        clock.advance(15 * SECOND)
    assert not group.triggered
    put(exchange, "bob", "ask", 42, 1)
    clock.advance(14 * SECOND)
    put(exchange, "bob", "ask", 42, 1)
    assert not group.triggered


def test_reset_trigger_limit_and_delete():
    exchange, clock = small_exchange()
    ann = exchange.accounts["ann"]
    desk = exchange.groups
    group = make_group(exchange, 5)
    put(exchange, "ann", "bid", 42, 9, group_id=group.group_id)
    put(exchange, "bob", "ask", 42, 4)
    assert desk.set_limit(ann, group.group_id, lots(3), clock()) is None
    assert group.triggered, "lowered below what was just matched"
    assert desk.reset(ann, group.group_id, clock()) is None
    again = put(exchange, "ann", "bid", 42, 9, group_id=group.group_id)
    assert desk.trigger(ann, group.group_id, clock()) is None
    assert again.order.state is OrderState.CANCELED
    desk.reset(ann, group.group_id, clock())
    last = put(exchange, "ann", "bid", 42, 9, group_id=group.group_id)
    assert [order.order_id for order in desk.live_orders(group.group_id)] == [last.order_id]
    assert desk.delete(ann, group.group_id, clock()) is None
    assert last.order.state is OrderState.CANCELED
    assert exchange.submit("ann", spec("bid", 42, group_id=group.group_id)).refusal is GROUP_NOT_FOUND


def test_unknown_groups_and_impossible_limits_are_refused():
    exchange, clock = small_exchange()
    ann = exchange.accounts["ann"]
    desk = exchange.groups
    now = clock()
    group = make_group(exchange, 5)
    assert isinstance(desk.create(ann, Count(0), now), Refusal)
    assert isinstance(desk.create(ann, Count(LIMIT_MAX + 1), now), Refusal)
    assert isinstance(desk.set_limit(ann, group.group_id, Count(0), now), Refusal)
    for refused in (
        desk.set_limit(ann, "none", lots(1), now),
        desk.trigger(ann, "none", now),
        desk.reset(ann, "none", now),
        desk.delete(ann, "none", now),
    ):
        assert refused is GROUP_NOT_FOUND
    assert desk.trigger(exchange.accounts["bob"], group.group_id, now) is GROUP_NOT_FOUND
    made = put(exchange, "ann", "bid", 42)
    exchange.cancel("ann", made.order_id)
    assert exchange.cancel("ann", made.order_id).refusal is NOT_FOUND
