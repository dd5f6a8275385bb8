"""Which quotes a scan proposes, keeps and pulls."""

import math
from dataclasses import replace

import pytest

from kalshi_daemon.domain.contract import MarketStatus
from kalshi_daemon.domain.order import Status
from kalshi_daemon.ground.units import MINUTE, SECOND, Count, Nanos, Price
from kalshi_daemon.ladder.ideal import Needs, best_price, certain_loss, tick_at
from kalshi_daemon.ladder.selection import Appraisal, appraise, lost_edge, mids, propose
from kalshi_daemon.settings.model import PricingSettings
from tests.ladder.scan_samples import (
    ASK,
    BID,
    CENTS,
    EVENT,
    FREE,
    MAKER_FEES,
    NOW,
    PROFILE,
    TAPERED,
    TARGET,
    above,
    below,
    between,
    market,
    order,
    scan,
    view,
)

T6850 = above(6850).market_ticker


def outcome(plan, strike=6850):
    return {look.market_ticker: look.outcome for look in plan.looks}[above(strike).market_ticker]


def only(plan):
    [quote] = plan.quotes
    return quote


def test_a_cheap_book_is_bid_at_fair_minus_the_edge():
    quote = only(propose(scan({6850: 0.50}, {6850: (4500, 5200)})))
    assert (quote.side, quote.price, quote.count) == (BID, 4800, 100)
    assert (quote.ev, quote.fee, quote.fair, quote.required_edge) == (200, 0, 0.50, 0.02)
    assert quote.max_loss == 4800


def test_an_ask_is_the_mirror_image_on_the_yes_scale():
    plan = propose(scan({6850: 0.50}, {6850: (5100, 5700)}))
    assert (only(plan).side, only(plan).price) == (ASK, 5200)
    assert only(plan).max_loss == 4800


def test_defect_10_a_price_is_on_the_grid_on_the_right_side_and_never_the_mid():
    """The predecessor sent the mid (.445), sub-tick, on an inverted side."""
    bid = only(propose(scan({6850: 0.60}, {6850: (4400, 4500)}, pricing=PricingSettings(book_weight=0.0))))
    assert (bid.side, bid.price) == (BID, 4400)  # not 4450
    ask = only(propose(scan({6850: 0.30}, {6850: (4400, 4500)}, pricing=PricingSettings(book_weight=0.0))))
    assert (ask.side, ask.price) == (ASK, 4500)


def test_the_impact_cap_bounds_how_far_a_quote_leans_into_a_wide_spread():
    plan = propose(scan({6850: 0.50}, {6850: (2000, 8500)}))
    assert (only(plan).side, only(plan).price) == (ASK, 8000)  # 5 cents inside; .30 of ev beats the bid's .25
    narrow = replace(PROFILE, impact_cap=Price(200))
    assert only(propose(scan({6850: 0.50}, {6850: (2000, 8500)}, profile=narrow))).price == 8300


def test_a_quote_stays_inside_the_full_book_even_where_that_is_our_own_order():
    # The others ask .60; another profile of ours asks .55: a bid must stay below .55.
    books = {6850: (5000, 6000)}
    mine = order(T6850, ASK, 5500, profile="size")
    inputs = scan({6850: 0.70}, books, own=(mine,))
    inputs = replace(inputs, views={T6850: view(T6850, 5000, 6000, full_ask=5500)})
    assert only(propose(inputs)).price == 5400
    unseen = replace(inputs, views={T6850: view(T6850, 5000, 6000)})  # not in the book yet
    assert only(propose(unseen)).price == 5400


@pytest.mark.parametrize(
    ("book", "reason"),
    [((None, None), "one_sided"), ((4500, None), "one_sided"), ((None, 5200), "one_sided"), ((4900, 5100), "no_edge")],
)
def test_defect_09_an_empty_or_one_sided_book_is_never_a_price(book, reason):
    plan = propose(scan({6850: 0.50 if reason == "no_edge" else 0.90}, {6850: book}))
    if reason == "no_edge":
        assert only(plan).price == 4800  # behind the best bid, with its edge
    else:
        assert plan.quotes == ()
        assert outcome(plan) == reason


def test_defect_09_a_closed_market_is_never_quoted():
    """The predecessor proposed 192 quotes on settled events."""
    for status in set(MarketStatus) - {MarketStatus.ACTIVE}:
        plan = propose(scan({6850: 0.50}, {6850: (4500, 5200)}, markets=(market(above(6850), status=status),)))
        assert (plan.quotes, outcome(plan)) == ((), "market_inactive")
    late = scan({6850: 0.50}, {6850: (4500, 5200)}, now_ns=TARGET)
    assert outcome(propose(late)) == "market_inactive"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"views": {}}, "stale_book"),
        ({"views": {T6850: view(T6850, 4500, 5200, synced=False)}}, "stale_book"),
        ({"views": {T6850: view(T6850, 4500, 5200, recv=NOW - 61 * SECOND)}}, "stale_book"),
        ({"model": {}}, "no_forecast"),
        ({"model": {T6850: float("nan")}}, "no_forecast"),
        ({"last_mids": {T6850: Price(4300)}}, "mid_jump"),
        ({"last_mids": {T6850: Price(5400)}}, "mid_jump"),
        ({"model": {T6850: 0.03}}, "tail"),
        ({"model": {T6850: 0.97}}, "tail"),
        ({"tick_age_ns": Nanos(-2 * SECOND)}, "no_edge"),
    ],
)
def test_what_may_not_be_quoted_is_not_and_what_rests_there_is_pulled(changes, reason):
    resting = order(T6850, BID, 4800)
    plan = propose(scan({6850: 0.50}, {6850: (4500, 5200)}, own=(resting,), **changes))
    assert (plan.quotes, plan.keep) == ((), ())
    assert outcome(plan) == reason
    [(pulled, why)] = plan.cancel
    assert pulled == resting.client_order_id
    assert why == ("edge_lost" if reason == "no_edge" else reason)


def test_a_mid_that_moved_within_the_cap_is_no_jump():
    plan = propose(scan({6850: 0.50}, {6850: (4500, 5200)}, last_mids={T6850: Price(4350)}))
    assert outcome(plan) == "quoted"


def test_min_ev_counts_when_it_is_the_larger_need():
    profile = replace(PROFILE, min_ev=Price(450))
    assert only(propose(scan({6850: 0.50}, {6850: (4400, 5200)}, profile=profile))).price == 4500


def test_a_maker_fee_is_paid_from_the_edge():
    quote = only(propose(scan({6850: 0.50}, {6850: (4500, 5200)}, fees=MAKER_FEES)))
    assert (quote.price, quote.fee) == (4700, 44)
    assert quote.ev == 256  # .50 - .47 - .0044


def test_the_model_and_the_blend_must_both_see_the_profit():
    # A tight book at .70 pulls a model of .45 up to .58: a bid at .46 pays against the blend, not against the model.
    pricing = PricingSettings(book_weight=0.5, k_stale=0.0, vol_error=0.0, base_edge=0.02)
    plan = propose(scan({6850: 0.45}, {6850: (6800, 7200)}, pricing=pricing))
    assert only(plan).side is ASK
    needs = Needs(0.58, 0.45, 0.02, Price(50), Price(500), Count(100), FREE)
    assert best_price(BID, CENTS, view(T6850, 6800, 7200), needs, ()).reason == "model_disagrees"


def test_the_best_candidates_fill_the_bins_nearer_the_money_first_on_a_tie():
    fairs = {6840: 0.70, 6845: 0.60, 6850: 0.50, 6855: 0.40, 6860: 0.30}
    books = {strike: (round(fair * 1e4) - 500, round(fair * 1e4) + 200) for strike, fair in fairs.items()}
    plan = propose(scan(fairs, books, profile=replace(PROFILE, bins=2)))
    assert [quote.market_ticker for quote in plan.quotes] == [T6850, above(6845).market_ticker]
    assert outcome(plan, 6840) == "not_in_top_bins"
    assert len(plan.looks) == 5


def test_a_quote_far_behind_the_touch_gives_way_to_one_that_leads_it():
    # 6850: either side would stand behind the best for .02 of ev; 6855: it leads for .02 of ev.
    books = {6850: (5000, 5100), 6855: (3700, 4100)}
    plan = propose(scan({6850: 0.50, 6855: 0.40}, books, profile=replace(PROFILE, bins=1)))
    assert (only(plan).market_ticker, only(plan).side, only(plan).price) == (above(6855).market_ticker, BID, 3800)


def test_more_expected_value_comes_first():
    plan = propose(scan({6850: 0.50, 6855: 0.40}, {6850: (4500, 5200), 6855: (3000, 4200)}))
    assert [quote.market_ticker for quote in plan.quotes] == [above(6855).market_ticker, T6850]
    assert [quote.ev for quote in plan.quotes] == [500, 200]


@pytest.mark.parametrize(("price", "kept"), [(4800, True), (4700, True), (4900, True), (4600, False)])
def test_a_resting_order_near_its_ideal_price_stays(price, kept):
    resting = order(T6850, BID, price)
    plan = propose(scan({6850: 0.50}, {6850: (4500, 5200)}, own=(resting,)))
    if kept:
        assert (plan.keep, plan.cancel, plan.quotes) == ((resting.client_order_id,), (), ())
        assert outcome(plan) == "kept"
    else:
        assert (plan.keep, plan.cancel) == ((), ((resting.client_order_id, "repriced"),))
        assert only(plan).price == 4800


def test_a_resting_order_without_enough_edge_left_goes():
    resting = order(T6850, BID, 5000)
    plan = propose(scan({6850: 0.50}, {6850: (4500, 5600)}, own=(resting,)))
    assert plan.cancel == ((resting.client_order_id, "edge_lost"),)


def test_a_resting_order_without_any_possible_price_goes():
    resting = order(T6850, BID, 4800)
    greedy = replace(PROFILE, min_ev=Price(6000))
    plan = propose(scan({6850: 0.50}, {6850: (4500, 5600)}, own=(resting,), profile=greedy))
    assert plan.cancel == ((resting.client_order_id, "no_edge"),)


def test_kept_markets_take_bins():
    resting = [order(above(strike).market_ticker, BID, 4800) for strike in (6845, 6850)]
    fairs = dict.fromkeys((6845, 6850, 6855), 0.50)
    books = dict.fromkeys(fairs, (4500, 5200))
    plan = propose(scan(fairs, books, own=tuple(resting), profile=replace(PROFILE, bins=2)))
    assert (len(plan.keep), plan.quotes) == (2, ())
    assert outcome(plan, 6855) == "not_in_top_bins"
    fewer = propose(scan(fairs, books, own=tuple(resting), profile=replace(PROFILE, bins=1)))
    assert len(fewer.keep) == 1
    assert fewer.cancel == ((resting[1].client_order_id, "not_in_top_bins"),)


@pytest.mark.parametrize("status", [Status.INTENDED, Status.IN_FLIGHT, Status.UNKNOWN, Status.PENDING_CANCEL])
def test_an_order_on_its_way_takes_its_market_and_is_left_to_the_order_room(status):
    moving = order(T6850, BID, 1000, status=status)
    twin = order(T6850, BID, 4800, name="twin")
    plan = propose(scan({6850: 0.50}, {6850: (4500, 5200)}, own=(twin, moving)))
    assert moving.client_order_id in plan.keep
    assert (plan.quotes, plan.cancel) == ((), (("twin", "duplicate"),))
    stale = propose(scan({6850: 0.50}, {}, own=(moving,)))
    assert (stale.keep, stale.cancel) == ((moving.client_order_id,), ())


def test_of_two_resting_orders_in_one_market_the_older_stays():
    pair = (order(T6850, BID, 4800, name="young", created=2), order(T6850, BID, 4800, name="old", created=1))
    plan = propose(scan({6850: 0.50}, {6850: (4500, 5200)}, own=pair))
    assert (plan.keep, plan.cancel) == (("old",), (("young", "duplicate"),))


def test_orders_of_other_profiles_and_windows_are_not_touched():
    others = (
        order(T6850, BID, 100, profile="size"),
        order("KXINXU-26NOV23H1200-T6850", BID, 100, event="KXINXU-26NOV23H1200"),
        order(T6850, BID, 100, status=Status.CANCELED),
    )
    plan = propose(scan({6850: 0.50}, {6850: (4500, 5200)}, own=others))
    assert (plan.keep, plan.cancel) == ((), ())
    assert outcome(plan) == "quoted"


def test_what_rests_in_a_market_no_longer_listed_is_pulled():
    lost = order(f"{EVENT}-GONE", BID, 4800)
    unsure = order(f"{EVENT}-GONE2", BID, 4800, status=Status.UNKNOWN)
    plan = propose(scan({6850: 0.50}, {6850: (4500, 5200)}, own=(lost, unsure)))
    assert plan.cancel == ((lost.client_order_id, "not_listed"),)
    assert plan.keep == (unsure.client_order_id,)


def test_a_pair_that_can_only_lose_is_not_offered():
    # We ask .45 for >= 6850 (another profile). A bid of .46 for >= 6855 would buy what that sale already contains.
    mine = order(T6850, ASK, 4500, profile="size")
    fairs, books = {6850: 0.44, 6855: 0.60}, {6850: (3000, 4600), 6855: (4500, 5000)}
    plan = propose(scan(fairs, books, own=(mine,)))
    assert outcome(plan, 6855) == "certain_loss"
    assert all(quote.market_ticker != above(6855).market_ticker for quote in plan.quotes)


@pytest.mark.parametrize(
    ("first", "second", "certain"),
    [
        ((above(6855), BID, 4500), (above(6850), ASK, 4500), True),
        ((above(6855), BID, 4400), (above(6850), ASK, 4500), False),
        ((above(6850), BID, 4500), (above(6855), ASK, 4500), False),
        ((above(6850), ASK, 4500), (above(6850), BID, 4600), True),
        ((between(6850, 6875), BID, 4600), (above(6850, event="KXINXU-X"), ASK, 4500), True),
        ((between(6850, 6875), BID, 4600), (below(6875), ASK, 4500), True),
        ((between(6850, 6875), BID, 4600), (below(6870), ASK, 4500), False),
        ((below(6850), BID, 5000), (above(6850), BID, 5000), True),
        ((above(6850), BID, 5000), (below(6850), BID, 4900), False),
        ((above(6850), BID, 5000), (below(6855), BID, 5100), False),
        ((below(6850), ASK, 5000), (above(6850), ASK, 5000), True),
        ((above(6850), ASK, 5000), (below(6860), ASK, 4900), True),
        ((below(6850), ASK, 5000), (above(6855), ASK, 4000), False),
        ((above(6850), ASK, 100), (between(6800, 6850), ASK, 100), False),
        ((above(6850), BID, 9900), (above(6850, settles=Nanos(TARGET + MINUTE)), ASK, 100), False),
    ],
)
def test_pairs_that_lose_whatever_happens(first, second, certain):
    assert certain_loss(first, second) is certain
    assert certain_loss(second, first) is certain


def test_an_always_paying_contract_covers_everything():
    everything = replace(below(6850), highest=None)
    assert certain_loss((everything, ASK, Price(100)), (above(6850), ASK, Price(100)))


def test_edges_between_scans():
    resting = order(T6850, BID, 4800)

    def why(fair, model=None, **changes):
        return lost_edge(
            replace(resting, **changes), Appraisal(fair, fair if model is None else model, 0.02), FREE, 0.35
        )

    assert why(0.50) == ""
    assert why(0.4875) == ""
    assert why(0.4865) == "edge_lost"
    assert why(0.50, model=0.47) == "model_disagrees"
    assert why(0.10, filled=Count(100)) == ""
    assert lost_edge(resting, Appraisal(0.9, 0.9, math.inf), FREE, 0.0) == "edge_lost"


def test_an_appraisal_blends_a_tight_book_and_asks_more_of_a_bin_and_of_an_old_tick():
    pricing = PricingSettings()

    def look(contract, tick_age_s=1):
        return appraise(
            market(contract),
            0.5,
            view(contract.market_ticker, 4000, 4400),
            pricing=pricing,
            tau_ns=Nanos(1_800 * SECOND),
            tick_age_ns=Nanos(tick_age_s * SECOND),
            calibration_error=0.01,
        )

    plain = look(above(6850))
    assert 0.42 < plain.fair < 0.5
    assert plain.model_fair == 0.5
    assert look(between(6850, 6875)).required > plain.required
    assert look(above(6850), tick_age_s=9).required > plain.required


def test_mids_of_a_plan_are_what_the_next_scan_compares_with():
    plan = propose(scan({6850: 0.50, 6855: 0.40}, {6850: (4500, 5301), 6855: (None, 5000)}))
    assert mids(plan) == {("wide", T6850): 4900}


@pytest.mark.parametrize(
    ("grid", "price", "tick"), [(CENTS, 4000, 100), (TAPERED, 990, 10), (TAPERED, 1000, 100), (CENTS, 9900, 100)]
)
def test_the_tick_around_a_price(grid, price, tick):
    assert tick_at(grid, Price(price)) == tick


def test_a_lonely_price_has_no_tick():
    lonely = replace(CENTS, bands=(replace(CENTS.bands[0], start=Price(5000), end=Price(5001), step=Price(100)),))
    assert tick_at(lonely, Price(5000)) == 0


def test_no_price_is_found_where_the_grid_ends_or_the_fee_eats_everything():
    needs = Needs(0.05, 0.05, 0.02, Price(50), Price(500), Count(100), FREE)
    assert best_price(BID, CENTS, view(T6850, 100, 400), needs, ()).price == 300
    broke = replace(needs, fair=0.005)
    assert best_price(BID, CENTS, view(T6850, 100, 300), broke, ()).reason == "no_edge"
    assert best_price(BID, CENTS, view(T6850, None, 300), needs, ()).reason == "one_sided"
    taxed = replace(needs, fair=0.9, model_fair=0.9, fees=replace(MAKER_FEES, multiplier_ppm=10**10))
    assert best_price(BID, CENTS, view(T6850, 8000, 8800), taxed, ()).reason == "no_edge"
    assert best_price(ASK, CENTS, view(T6850, 9200, 9500), replace(taxed, fair=0.1), ()).reason == "no_edge"
    fine = replace(CENTS, bands=(replace(CENTS.bands[0], step=Price(1)),))
    assert best_price(BID, fine, view(T6850, 8000, 8800), taxed, ()).reason == "no_edge", "the search is bounded"


def test_every_look_says_what_its_market_pays_also_after_it_was_chosen():
    contract = above(6850)
    [look] = propose(scan({6850: 0.50}, {6850: (4500, 5200)})).looks
    assert look.outcome == "quoted"
    assert (look.lowest, look.highest) == (contract.lowest, contract.highest)
    assert look.lowest is not None
