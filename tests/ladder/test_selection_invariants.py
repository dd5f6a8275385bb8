"""Rules every plan keeps, whatever the books, forecasts and orders of ours."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.order import Status
from kalshi_daemon.ground.units import SECOND, Count, Nanos, Price
from kalshi_daemon.ladder.ideal import Needs, best_price
from kalshi_daemon.ladder.selection import propose
from kalshi_daemon.settings.model import PricingSettings
from tests.ladder.scan_samples import (
    ASK,
    BID,
    CENTS,
    FREE,
    MAKER_FEES,
    PROFILE,
    TAPERED,
    above,
    market,
    order,
    scan,
    view,
)

T6850 = above(6850).market_ticker
cents = st.integers(1, 99).map(lambda price: price * 100)


@st.composite
def scans(draw):
    """A ladder of up to eight strikes with falling fairs, any books, any of our orders."""
    strikes = [6840 + 5 * step for step in range(draw(st.integers(1, 8)))]
    probabilities = sorted((draw(st.floats(0.0, 1.0)) for _ in strikes), reverse=True)
    books, views, own, last = {}, {}, [], {}
    for strike in strikes:
        ticker = above(strike).market_ticker
        bid = draw(st.none() | cents)
        ask = draw(st.none() | cents)
        if bid is not None and ask is not None and bid >= ask:
            bid = None
        books[strike] = (bid, ask)
        mine = draw(st.none() | st.tuples(st.sampled_from([BID, ASK]), cents))
        full_bid, full_ask = bid, ask
        if mine is not None:
            side, price = mine
            if side is BID and (ask is None or price < ask):
                full_bid = max(price, bid or 0)
            elif side is ASK and (bid is None or price > bid):
                full_ask = min(price, ask or 10_000)
            else:
                mine = None
        if mine is not None:
            profile = draw(st.sampled_from(["wide", "size"]))
            status = draw(st.sampled_from([Status.RESTING, Status.RESTING, Status.IN_FLIGHT, Status.UNKNOWN]))
            own.append(order(ticker, mine[0], mine[1], profile=profile, status=status))
        views[ticker] = view(ticker, bid, ask, full_bid=full_bid, full_ask=full_ask, synced=draw(st.integers(0, 9)) > 0)
        if draw(st.booleans()) and bid is not None and ask is not None:
            last[ticker] = Price((bid + ask) // 2 + draw(st.integers(-800, 800)))
    grid = draw(st.sampled_from([CENTS, TAPERED]))
    profile = replace(
        PROFILE,
        lots=draw(st.integers(1, 2)),
        bins=draw(st.integers(1, 4)),
        impact_cap=Price(draw(st.sampled_from([200, 500]))),
        min_ev=Price(draw(st.sampled_from([0, 50, 300]))),
    )
    return scan(
        dict(zip(strikes, probabilities, strict=True)),
        books,
        markets=tuple(market(above(strike), grid=grid) for strike in strikes),
        views=views,
        own=tuple(own),
        last_mids=last,
        profile=profile,
        fees=draw(st.sampled_from([FREE, MAKER_FEES])),
        pricing=PricingSettings(book_weight=draw(st.sampled_from([0.0, 0.5]))),
        calibration_error=draw(st.sampled_from([0.0, 0.02])),
        tick_age_ns=Nanos(draw(st.integers(0, 5)) * SECOND),
    )


@given(inputs=scans())
@settings(max_examples=300, deadline=None)
def test_every_proposed_quote_keeps_every_rule(inputs):
    plan = propose(inputs)
    grids = {one.ticker: one.grid for one in inputs.markets}
    for quote in plan.quotes:
        seen = inputs.views[quote.market_ticker]
        assert seen.synced
        assert seen.best_bid is not None
        assert seen.best_ask is not None
        assert grids[quote.market_ticker].contains(quote.price)
        facing = [
            one.price for one in inputs.own if one.market_ticker == quote.market_ticker and one.side is not quote.side
        ]
        if quote.side is BID:
            assert quote.price < seen.full_ask
            assert quote.price <= seen.best_bid + inputs.profile.impact_cap
            assert all(quote.price < price for price in facing)
        else:
            assert quote.price > seen.full_bid
            assert quote.price >= seen.best_ask - inputs.profile.impact_cap
            assert all(quote.price > price for price in facing)
        gain = quote.side.sign * (quote.fair - quote.price / 1e4) - quote.fee / quote.count / 100
        assert gain >= max(quote.required_edge, inputs.profile.min_ev / 1e4) - 1e-9
        assert quote.ev >= inputs.profile.min_ev - 1
        assert quote.side.sign * (quote.model_fair - quote.price / 1e4) > 0
        assert 0.04 <= quote.fair <= 0.96
        assert quote.count == inputs.profile.lots * 100


@given(inputs=scans())
@settings(max_examples=200, deadline=None)
def test_a_plan_is_bounded_complete_and_repeatable(inputs):
    plan = propose(inputs)
    mine = {one.client_order_id: one for one in inputs.own if one.profile == inputs.profile.name}
    pulled = {client_order_id for client_order_id, _ in plan.cancel}
    assert pulled | set(plan.keep) == set(mine)
    assert not pulled & set(plan.keep)
    assert all(mine[one].status is Status.RESTING for one in pulled)
    kept = {mine[one].market_ticker for one in plan.keep}
    quoted = [quote.market_ticker for quote in plan.quotes]
    assert len(quoted) == len(set(quoted))
    assert not kept & set(quoted)
    moving = {one.market_ticker for one in mine.values() if one.status is not Status.RESTING}
    assert len(kept | set(quoted)) <= max(inputs.profile.bins, len(moving))
    assert [look.market_ticker for look in plan.looks] == [one.ticker for one in inputs.markets]
    outcomes = {look.market_ticker: look.outcome for look in plan.looks}
    assert {ticker for ticker, word in outcomes.items() if word == "quoted"} == set(quoted)
    assert "candidate" not in outcomes.values()
    assert propose(inputs).quotes == plan.quotes


@given(
    side=st.sampled_from([BID, ASK]),
    fair=st.integers(1, 999),
    model=st.integers(1, 999),
    required=st.integers(0, 300),
    book=st.tuples(cents, cents).filter(lambda pair: pair[0] < pair[1]),
    facing=st.none() | cents,
    cap=st.sampled_from([200, 500]),
    fees=st.sampled_from([FREE, MAKER_FEES]),
)
@settings(max_examples=300, deadline=None)
def test_yes_and_no_are_mirror_images(side, fair, model, required, book, facing, cap, fees):
    """The bid for YES is the ask of NO: complement everything and the price is the complement."""
    other = ASK if side is BID else BID
    own = () if facing is None else (order(T6850, other, facing),)
    turned_own = tuple(replace(one, side=side, price=Price(10_000 - one.price)) for one in own)
    needs = Needs(fair / 1000, model / 1000, required / 10_000, Price(50), Price(cap), Count(100), fees)
    turned = replace(needs, fair=1 - fair / 1000, model_fair=1 - model / 1000)
    seen = view(T6850, *book)
    straight = best_price(side, CENTS, seen, needs, own)
    mirror = best_price(other, CENTS, _flipped(seen), turned, turned_own)
    if abs(model - fair) > 1:  # where both agree exactly, a float decides between "no_edge" and "model_disagrees"
        assert straight.reason == mirror.reason
    if straight.price is not None and mirror.price is not None:
        assert straight.price + mirror.price == 10_000
        assert (straight.fee, straight.behind) == (mirror.fee, mirror.behind)
        assert abs(straight.ev - mirror.ev) <= 1


def _flipped(one):
    def turn(price):
        return None if price is None else Price(10_000 - price)

    return replace(
        one,
        best_bid=turn(one.best_ask),
        best_ask=turn(one.best_bid),
        full_bid=turn(one.full_ask),
        full_ask=turn(one.full_bid),
    )
