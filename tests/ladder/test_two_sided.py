"""Plans with both sides of a market: rules every one keeps, and what moves a side."""

from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.order import Status
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import Count, Dollars, Price
from kalshi_daemon.ladder.outcomes import OUTCOMES, PULLS
from kalshi_daemon.ladder.payoff import Holding, Resting, resting_from, worst_by_group
from kalshi_daemon.ladder.two_sided import Room, SideTerms, propose_both
from tests.ladder.scan_samples import FREE, NOW, TARGET, above, order, scan
from tests.ladder.test_selection_invariants import scans

T6850 = above(6850).market_ticker
WIDE_ROOM = Room((), (), Dollars(10**9))


def one(**changes):
    """One market, fair .5, the others at 45 and 55; an edge of 2 c is asked for."""
    return scan({6850: 0.5}, {6850: (4_500, 5_500)}, **changes)


def prices(plan):
    return {quote.side: quote.price for quote in plan.quotes}


def terms_of(draw_shift, loading, closed=""):
    return {
        (T6850, Side.BID): SideTerms(draw_shift, loading, closed),
        (T6850, Side.ASK): SideTerms(-draw_shift, loading),
    }


def test_both_sides_of_one_market_take_one_bin():
    plan = propose_both(one(), {}, WIDE_ROOM)
    assert prices(plan) == {Side.BID: 4_800, Side.ASK: 5_200}
    assert plan.looks[0].outcome == "quoted"


def test_inventory_moves_both_sides_the_same_way():
    plan = propose_both(one(), terms_of(0.01, 0.0), WIDE_ROOM)
    assert prices(plan) == {Side.BID: 4_700, Side.ASK: 5_100}, "long: a bid asks for more, an ask is let off"


def test_a_side_is_never_let_off_below_the_least_expected_value():
    plan = propose_both(one(), terms_of(-0.5, 0.0), WIDE_ROOM)
    assert prices(plan)[Side.BID] == 4_900, "min_ev of half a cent, on a grid of cents"


def test_toxic_fills_move_both_away():
    assert prices(propose_both(one(), terms_of(0.0, 0.02), WIDE_ROOM)) == {Side.BID: 4_600, Side.ASK: 5_400}


def test_a_closed_side_is_not_quoted_and_what_rests_there_goes():
    resting = order(T6850, Side.BID, 4_800, name="b")
    plan = propose_both(one(own=(resting,)), terms_of(0.0, 0.0, "one_way_fills"), WIDE_ROOM)
    assert plan.cancel == (("b", "one_way_fills"),)
    assert prices(plan) == {Side.ASK: 5_200}


def test_room_is_for_the_fixing_and_a_quote_that_makes_it_smaller_is_welcome():
    long = Holding(T6850, above(6850), Count(1_000), Dollars(-50_000))
    plan = propose_both(one(), {}, Room((long,), (), Dollars(40_000)))
    assert prices(plan) == {Side.ASK: 5_200}
    refused = propose_both(one(), {}, Room((), (), Dollars(100)))
    assert not refused.quotes
    assert refused.looks[0].outcome == "no_room"
    assert "limit 0.01" in refused.looks[0].detail


def test_what_rests_well_stays_and_what_could_stand_closer_moves():
    near, far = order(T6850, Side.BID, 4_700, name="near"), order(T6850, Side.ASK, 5_900, name="far")
    plan = propose_both(one(own=(near, far)), {}, WIDE_ROOM)
    assert plan.keep == ("near",), "better than the others: its place is worth more than a cent"
    assert plan.cancel == (("far", "repriced"),)
    assert prices(plan) == {Side.ASK: 5_200}


@settings(deadline=None, max_examples=250)
@given(
    scans(),
    st.floats(-0.1, 0.1),
    st.floats(0.0, 0.1),
    st.sampled_from(["", "", "one_way_fills"]),
    st.integers(1_000, 60_000),
)
def test_whatever_the_picture_a_plan_keeps_its_rules(inputs, shift, loading, closed, loss_max):
    terms = {
        (market.ticker, side): SideTerms(shift * side.sign, loading, closed if side is Side.BID else "")
        for market in inputs.markets
        for side in Side
    }
    own_resting = resting_from(inputs.own, {one.ticker: one for one in inputs.markets}, {"KXINXU": FREE})
    room = Room((), own_resting, Dollars(loss_max))
    plan = propose_both(inputs, terms, room)
    assert len(plan.looks) == len(inputs.markets)
    assert {look.outcome for look in plan.looks} <= OUTCOMES.keys()
    assert {reason for _name, reason in plan.cancel} <= PULLS.keys()
    going = {name for name, _reason in plan.cancel}
    staying = [one for one in inputs.own if one.profile == inputs.profile.name and one.client_order_id not in going]
    sides = Counter((one.market_ticker, one.side) for one in (*staying, *plan.quotes))
    assert max((sides[quote.market_ticker, quote.side] for quote in plan.quotes), default=1) == 1
    on_their_way = {one.market_ticker for one in staying if one.status is not Status.RESTING}
    markets = {one.market_ticker for one in (*staying, *plan.quotes)}
    assert len(markets) <= max(inputs.profile.bins, len(on_their_way))
    for quote in plan.quotes:
        view, side = inputs.views[quote.market_ticker], quote.side
        facing = view.full_ask if side is Side.BID else view.full_bid
        assert facing is None or (facing - quote.price) * side.sign > 0, "crosses the book"
        others = [one for one in (*staying, *plan.quotes) if one.market_ticker == quote.market_ticker]
        assert all((one.price - quote.price) * side.sign > 0 for one in others if one.side is not side), "crosses us"
        assert not terms[quote.market_ticker, side].closed
        assert quote.ev >= inputs.profile.min_ev
    before = worst_by_group((), own_resting)
    new = [
        Resting(q.market_ticker, above(int(q.market_ticker.rpartition("T")[2])), q.side, q.price, q.count, q.fee)
        for q in plan.quotes
    ]
    after = worst_by_group((), (*own_resting, *new))
    for key, case in after.items():
        assert case.loss <= max(loss_max, before[key].loss if key in before else 0)


def test_an_order_that_moves_away_is_no_reason_against_its_successor():
    """The old ask at the price of the new bid is being cancelled: the loop sends the cancel first."""
    old = order(T6850, Side.ASK, 4_800, name="old")
    inputs = replace(one(own=(old,)), now_ns=NOW)
    plan = propose_both(inputs, {}, WIDE_ROOM)
    assert plan.cancel[0][0] == "old"
    assert prices(plan)[Side.BID] == Price(4_800)
    assert inputs.window.target_ns == TARGET
