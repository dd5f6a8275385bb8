"""How listing answers and lifecycle messages fold into the state."""

import pytest

from kalshi_daemon.domain.contract import FeeSchedule, FeeType, MarketStatus
from kalshi_daemon.domain.events import MarketLifecycle
from kalshi_daemon.ground.errors import MalformedField
from kalshi_daemon.ground.units import DAY, HOUR, MINUTE, SECOND, Nanos
from kalshi_daemon.state import VenueState
from kalshi_daemon.venue.listing import EVENTS_PER_SERIES_MAX, SLOW, UNSETTLED_MAX, Listing, new_york_day
from tests.support.instruments import SERIES
from tests.venue.listing_samples import event_object, ladder_objects, market_object, range_objects
from tests.venue.monitor_rig import EVENT, TARGET, TEN_ET

POLL = Nanos(120 * SECOND)
FIRST = f"{EVENT}-T6699.9999"


def listing():
    venue = VenueState()
    return venue, Listing(venue, SERIES, POLL)


def listed(objects=None, *, now=TEN_ET, event=EVENT, **event_fields):
    venue, components = listing()
    components.note_event(event.partition("-")[0], event_object(event, **event_fields))
    record = components.events[event]
    changed = components.fold(record, ladder_objects(EVENT, 6700, 6720) if objects is None else objects, now)
    return venue, components, record, changed


def message(event_type, ticker=FIRST, **fields):
    return MarketLifecycle(event_type, ticker, TEN_ET, **fields)


def test_an_event_appears_with_its_markets_from_the_lowest_strike_up():
    venue, _, record, changed = listed(list(reversed(ladder_objects(EVENT, 6700, 6720))))
    assert changed
    assert venue.events[EVENT][0] == FIRST
    assert [venue.markets[one].contract.lowest for one in venue.events[EVENT]] == sorted(
        venue.markets[one].contract.lowest for one in venue.events[EVENT]
    )
    assert record.close_ns == TARGET
    assert venue.listing_problem == {}


def test_reading_the_same_again_changes_nothing():
    venue, components, record, _ = listed()
    before = dict(venue.markets)
    assert not components.fold(record, ladder_objects(EVENT, 6700, 6720), Nanos(TEN_ET + POLL))
    assert all(venue.markets[ticker] is market for ticker, market in before.items())


def test_a_market_that_cannot_be_read_is_left_out_named_and_stopped():
    venue, components, record, _ = listed()
    objects = ladder_objects(EVENT, 6700, 6720)
    objects[0]["strike_type"] = "functional"
    assert components.fold(record, objects, Nanos(TEN_ET + 1))
    assert FIRST not in venue.events[EVENT]
    assert venue.markets[FIRST].status is MarketStatus.INACTIVE, "its contract still serves a position in it"
    assert "1 of 5 markets refused" in venue.listing_problem[EVENT]
    assert "functional" in venue.listing_problem[EVENT]
    assert components.fold(record, ladder_objects(EVENT, 6700, 6720), Nanos(TEN_ET + 2))
    assert venue.listing_problem == {}
    assert venue.markets[FIRST].status is MarketStatus.ACTIVE


def test_a_market_of_another_event_is_refused():
    venue, *_ = listed([market_object("KXINXU-26NOV23H1200-T6699.9999")])
    assert venue.events[EVENT] == ()
    assert "listed under" in venue.listing_problem[EVENT]


def test_an_object_without_a_ticker_does_not_hide_the_others():
    venue, *_ = listed([{}, *ladder_objects(EVENT, 6700, 6720)])
    assert len(venue.events[EVENT]) == 5
    assert "#0" in venue.listing_problem[EVENT]


def test_an_event_without_markets_says_so():
    venue, *_ = listed([])
    assert (venue.events[EVENT], venue.listing_problem[EVENT]) == ((), "no markets")


@pytest.mark.parametrize("flag", [{"mutually_exclusive": True}, {"collateral_return_type": "MECNET"}])
def test_a_range_event_that_does_not_tile_the_line_is_never_traded(flag):
    event = "KXINX-26NOV23H1600"
    objects = range_objects(event, 6800, 6900)
    venue, components, record, _ = listed(objects, event=event, **flag)
    assert venue.listing_problem == {}
    assert {one.status for one in venue.markets.values()} == {MarketStatus.ACTIVE}
    components.fold(record, objects[:2] + objects[3:], Nanos(TEN_ET + 1))
    assert "nothing pays between" in venue.listing_problem[event]
    assert {one.status for one in venue.markets.values()} == {MarketStatus.INACTIVE}


def test_tomorrows_events_are_remembered_but_not_shown_and_not_read_again():
    venue, components = listing()
    tomorrow = "KXINXU-26NOV24H1000"
    components.note_event("KXINXU", event_object(tomorrow, strike_date="2026-11-24T15:00:00Z"))
    assert components.due("KXINXU", TEN_ET) == []
    components.note_event("KXINXU", event_object("KXINXU-26NOV24H1100"))
    [record] = components.due("KXINXU", TEN_ET)
    objects = ladder_objects("KXINXU-26NOV24H1100", 6700, 6720, close_time="2026-11-24T16:00:00Z")
    assert not components.fold(record, objects, TEN_ET)
    assert venue.events == {}
    assert components.due("KXINXU", Nanos(TEN_ET + HOUR)) == []
    assert len(components.due("KXINXU", Nanos(TEN_ET + DAY))) == 2


def test_near_events_are_read_on_every_poll_and_far_ones_seldom():
    _, components, record, _ = listed()
    assert components.due("KXINXU", Nanos(TEN_ET + POLL - 1)) == []
    assert components.due("KXINXU", Nanos(TEN_ET + POLL)) == [record]
    early = Nanos(TARGET - 75 * MINUTE)
    _, components, record, _ = listed(now=Nanos(early - POLL))
    assert components.due("KXINXU", early) == []
    assert components.due("KXINXU", Nanos(early + POLL * (SLOW - 1))) == [record]


def test_an_event_is_read_when_its_markets_open_and_close():
    """The venue sends nothing at open_time and close_time."""
    objects = ladder_objects(EVENT, 6700, 6720, open_time="2026-11-23T15:00:30Z", status="initialized")
    _, components, record, _ = listed(objects)
    assert components.edge_passed(Nanos(TEN_ET + 29 * SECOND)) == set()
    assert components.edge_passed(Nanos(TEN_ET + 30 * SECOND)) == {"KXINXU"}
    assert components.due("KXINXU", Nanos(TEN_ET + 30 * SECOND)) == [record]
    components.fold(record, objects, Nanos(TEN_ET + 31 * SECOND))
    assert components.edge_passed(Nanos(TARGET - 1)) == set()
    assert components.edge_passed(TARGET) == {"KXINXU"}


def test_a_settled_event_is_not_read_again_and_is_forgotten_in_the_end():
    venue, components, record, _ = listed()
    done = ladder_objects(EVENT, 6700, 6720, status="finalized", result="yes", expiration_value="6731.2200")
    components.fold(record, done, Nanos(TARGET + 3 * MINUTE))
    assert venue.markets[FIRST].expiration_value == "6731.2200"
    assert components.due("KXINXU", Nanos(TARGET + HOUR)) == []
    assert components.prune(Nanos(TARGET + UNSETTLED_MAX)) == set()
    assert FIRST in components.prune(Nanos(TARGET + UNSETTLED_MAX + 1))
    assert (venue.events, venue.markets, components.events) == ({}, {}, {})


def test_an_unsettled_event_of_yesterday_is_still_followed():
    venue, components, record, _ = listed()
    assert components.due("KXINXU", Nanos(TARGET + 20 * HOUR)) == [record]
    assert EVENT in venue.events


def test_lifecycle_of_other_series_is_ignored():
    _, components, _, _ = listed()
    assert components.on_lifecycle(message("created", "KXBTC-26NOV2311-T1")) == ""


@pytest.mark.parametrize(
    ("event_type", "fields", "status", "reread"),
    [
        ("determined", {"result": "yes"}, MarketStatus.DETERMINED, ""),
        ("settled", {"result": "no"}, MarketStatus.FINALIZED, "KXINXU"),
        ("deactivated", {}, MarketStatus.INACTIVE, "KXINXU"),
        ("metadata_updated", {}, MarketStatus.INACTIVE, "KXINXU"),
        ("something_new", {}, MarketStatus.INACTIVE, "KXINXU"),
        ("close_date_updated", {}, MarketStatus.INACTIVE, "KXINXU"),
        ("activated", {}, MarketStatus.ACTIVE, "KXINXU"),
        ("price_level_structure_updated", {}, MarketStatus.ACTIVE, "KXINXU"),
    ],
)
def test_lifecycle_messages_fail_closed_until_the_market_was_read_again(event_type, fields, status, reread):
    venue, components, record, _ = listed()
    assert components.on_lifecycle(message(event_type, **fields)) == reread
    market = venue.markets[FIRST]
    assert market.status is status
    assert market.result == fields.get("result", "")
    assert record.dirty is bool(reread)
    assert (record in components.due("KXINXU", Nanos(TEN_ET + 1))) is bool(reread)


def test_a_moved_close_is_believed_at_once():
    venue, components, _, _ = listed()
    components.on_lifecycle(message("close_date_updated", close_ns=Nanos(TARGET - MINUTE)))
    market = venue.markets[FIRST]
    assert market.close_ns == market.contract.settles_ns == TARGET - MINUTE


def test_a_created_market_makes_its_event_be_read():
    _, components, record, _ = listed()
    assert components.on_lifecycle(message("created", f"{EVENT}-T6724.9999")) == "KXINXU"
    assert record.dirty
    assert components.on_lifecycle(message("created", "KXINXU-26NOV23H1500-T6724.9999")) == "KXINXU"


def test_events_that_cannot_be_ours_are_refused():
    _, components = listing()
    for event_ticker in (None, "KXNASDAQ100U-26NOV23H1100", 5):
        with pytest.raises(MalformedField):
            components.note_event("KXINXU", {"event_ticker": event_ticker})


def test_the_number_of_events_is_bounded():
    _, components = listing()
    for number in range(EVENTS_PER_SERIES_MAX):
        components.note_event("KXINXU", event_object(f"KXINXU-{number}"))
    with pytest.raises(MalformedField):
        components.note_event("KXINXU", event_object("KXINXU-one-more"))
    components.note_event("KXINXU", event_object("KXINXU-0"))


def test_an_events_fee_override_is_noted_and_cleared():
    venue, components = listing()
    venue.fees["KXINXU"] = FeeSchedule(FeeType.QUADRATIC, 1_000_000, TEN_ET)
    components.note_event("KXINXU", event_object(EVENT, fee_type_override="quadratic_with_maker_fees"))
    assert EVENT in venue.event_fee_override
    components.note_event("KXINXU", event_object(EVENT, fee_type_override="quadratic", fee_multiplier_override=1))
    assert venue.event_fee_override == {}


@pytest.mark.parametrize(
    ("ns", "day"),
    [(TEN_ET, "2026-11-23"), (TEN_ET - 10 * HOUR, "2026-11-23"), (TEN_ET - 10 * HOUR - 1, "2026-11-22")],
)
def test_days_are_new_york_days(ns, day):
    assert new_york_day(Nanos(ns)) == day
