"""A listing that is partly wrong: a market costs itself, an event costs itself, and nothing else moves or opens."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.contract import MarketStatus
from kalshi_daemon.ground.errors import MalformedData, MalformedField
from kalshi_daemon.ground.readers import ID_CHARS_MAX
from kalshi_daemon.ground.units import MINUTE, Nanos
from kalshi_daemon.kalshi import fields
from kalshi_daemon.kalshi.listing_codec import describe_override
from tests.fuzz.mutation import POISONS, mutated
from tests.venue.listing_samples import event_object, ladder_objects, market_object
from tests.venue.monitor_rig import EVENT, TARGET, TEN_ET
from tests.venue.test_listing import FIRST, listed, listing

LATER = Nanos(TEN_ET + MINUTE)
OTHER_DAY = "2026-12-23T16:00:00Z"


def statuses(venue):
    return {ticker: market.status for ticker, market in venue.markets.items()}


@pytest.mark.parametrize("changes", [{}, {"floor_strike": 6701}, {"status": "closed"}, {"strike_type": "functional"}])
def test_a_market_listed_twice_is_named_and_shut_whatever_it_says(changes):
    venue, components, record, _ = listed()
    twice = market_object(FIRST, **({"floor_strike": 6700} | changes))
    for objects in ([*ladder_objects(EVENT, 6700, 6720), twice], [twice, *ladder_objects(EVENT, 6700, 6720)]):
        components.fold(record, objects, LATER)
        assert venue.markets[FIRST].status is MarketStatus.INACTIVE
        assert FIRST not in venue.events[EVENT]
        assert f"{FIRST}: listed 2 times" in venue.listing_problem[EVENT]
        assert [s for t, s in statuses(venue).items() if t != FIRST] == [MarketStatus.ACTIVE] * 4
    components.fold(record, ladder_objects(EVENT, 6700, 6720), Nanos(LATER + 1))
    assert venue.markets[FIRST].status is MarketStatus.ACTIVE
    assert venue.listing_problem == {}


def test_a_wrong_close_time_of_one_market_shuts_it_and_moves_nothing():
    venue, components, record, _ = listed()
    objects = ladder_objects(EVENT, 6700, 6720)
    objects[0]["close_time"] = OTHER_DAY
    assert components.fold(record, objects, LATER)
    assert record.close_ns == TARGET
    assert venue.markets[FIRST].status is MarketStatus.INACTIVE
    assert f"{FIRST}: closes at 2026-12-23" in venue.listing_problem[EVENT]
    assert components.due("KXINXU", Nanos(TARGET + 1)) == [record], "still followed to its own fixing"
    assert components.prune(Nanos(TARGET + MINUTE)) == set()


def test_markets_that_agree_on_another_close_move_their_event():
    _, components, record, _ = listed()
    components.fold(record, ladder_objects(EVENT, 6700, 6720, close_time="2026-11-23T17:00:00Z"), LATER)
    assert record.close_ns == TARGET + 60 * MINUTE


def test_without_a_majority_of_close_times_no_market_is_used():
    venue, components, record, _ = listed(ladder_objects(EVENT, 6700, 6715))
    objects = ladder_objects(EVENT, 6700, 6715)
    for one in objects[:2]:
        one["close_time"] = OTHER_DAY
    components.fold(record, objects, LATER)
    assert record.close_ns == TARGET
    assert set(statuses(venue).values()) == {MarketStatus.INACTIVE}
    assert "4 of 4 markets refused" in venue.listing_problem[EVENT]


@pytest.mark.parametrize("date", ["never", 1_795_449_600, "1970-01-01T00:00:00Z", "2026-11-23T16:00:00", True, []])
def test_an_event_with_a_bad_strike_date_is_shut_at_once_until_it_can_be_read(date):
    venue, components, record, _ = listed()
    with pytest.raises(MalformedField, match="strike_date"):
        components.note_event("KXINXU", event_object(EVENT, strike_date=date, fee_type_override="flat"))
    assert set(statuses(venue).values()) == {MarketStatus.INACTIVE}
    assert "strike_date" in venue.listing_problem[EVENT]
    assert "flat" in venue.event_fee_override[EVENT], "what else the event says is heard"
    components.fold(record, ladder_objects(EVENT, 6700, 6720), LATER)
    assert set(statuses(venue).values()) == {MarketStatus.INACTIVE}, "its markets do not open it"
    components.note_event("KXINXU", event_object(EVENT, strike_date="2026-11-23T16:00:00Z"))
    assert components.due("KXINXU", LATER) == [record]
    components.fold(record, ladder_objects(EVENT, 6700, 6720), Nanos(LATER + 1))
    assert set(statuses(venue).values()) == {MarketStatus.ACTIVE}
    assert venue.listing_problem == {}


def test_an_event_first_seen_with_a_bad_strike_date_never_opens():
    venue, components = listing()
    with pytest.raises(MalformedField):
        components.note_event("KXINXU", event_object(EVENT, strike_date="soon"))
    components.fold(components.events[EVENT], ladder_objects(EVENT, 6700, 6720), TEN_ET)
    assert set(statuses(venue).values()) == {MarketStatus.INACTIVE}
    assert venue.listing_problem[EVENT]


@pytest.mark.parametrize("ticker", ["KXINXU-" + "9" * ID_CHARS_MAX, "KXINXU-26 NOV", "KXINXU-\u0662", "KXINXU-\n", 7])
def test_an_event_ticker_has_the_form_of_an_id(ticker):
    _, components = listing()
    with pytest.raises(MalformedField):
        components.note_event("KXINXU", event_object(EVENT) | {"event_ticker": ticker})
    assert components.events == {}


@pytest.mark.parametrize("fee_type", ["x" * 5_000, "\u202e\n", ["a"] * 1_000, {"a": 1}, True, 10**18])
@pytest.mark.parametrize("multiplier", [None, "9" * 5_000, [1], 1e300])
def test_the_text_of_a_fee_override_is_short_and_plain(fee_type, multiplier):
    text = describe_override(fee_type, multiplier, None)
    assert 0 < len(text) < 100
    assert text.isascii()
    assert text.isprintable()


def test_a_ticker_that_is_none_is_named_by_its_place():
    objects = ladder_objects(EVENT, 6700, 6720)
    objects[2]["ticker"] = "x" * 10_000
    venue, *_ = listed(objects)
    assert "#2: " in venue.listing_problem[EVENT]
    assert len(venue.listing_problem[EVENT]) < 500


def test_a_market_has_a_ticker_of_its_event():
    objects = ladder_objects(EVENT, 6700, 6720)
    objects[2]["ticker"] = "KXINXU-26NOV23H1200-T6709.9999"
    venue, *_ = listed(objects)
    assert "no market ticker of KXINXU-26NOV23H1100" in venue.listing_problem[EVENT]
    assert len(venue.events[EVENT]) == 4


def readable(text: str) -> bool:
    try:
        fields.loads(text, "poison")
    except MalformedData:
        return False
    return True


@settings(deadline=None, max_examples=400)
@given(
    at=st.integers(0, 4),
    field=st.sampled_from(sorted(market_object())),
    poison=st.sampled_from([text for text in POISONS if readable(text)]),
)
def test_one_wrong_field_costs_at_most_its_market(at, field, poison):
    venue, components, record, _ = listed()
    objects = ladder_objects(EVENT, 6700, 6720)
    name = objects[at]["ticker"]
    objects[at][field] = fields.loads(poison, "poison")
    components.fold(record, objects, LATER)
    assert record.close_ns == TARGET
    others = {ticker: status for ticker, status in statuses(venue).items() if ticker != name}
    assert [others[t] for t in sorted(others) if t in {o["ticker"] for o in ladder_objects(EVENT, 6700, 6720)}] == [
        MarketStatus.ACTIVE
    ] * 4
    if venue.markets[name].status is MarketStatus.INACTIVE and field not in {"status", "ticker"}:
        assert venue.listing_problem[EVENT]
    assert all(len(text) < 1_000 for text in venue.listing_problem.values())


@settings(deadline=None, max_examples=400)
@given(turn=st.integers(0, 2**32))
def test_an_event_is_noted_or_refused_in_documented_words(turn):
    venue, components = listing()
    data = mutated(random.Random(turn), event_object(EVENT, strike_date="2026-11-23T16:00:00Z", fee_type_override=None))
    said = ""
    try:
        components.note_event("KXINXU", fields.as_object(fields.loads(data, "event"), "event"))
    except MalformedData as problem:
        said = str(problem)
    assert len(said) < 1_000
    if (record := components.events.get(EVENT)) is not None:
        components.fold(record, ladder_objects(EVENT, 6700, 6720), TEN_ET)
        opened = MarketStatus.ACTIVE in statuses(venue).values()
        assert not (opened and "strike_date" in said)
    assert json.dumps(venue.listing_problem)
