"""Which books are streamed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.window import Phase, WindowStatus
from kalshi_daemon.ground.units import MINUTE, Nanos, parse_level
from kalshi_daemon.kalshi.listing_codec import parse_market
from kalshi_daemon.venue.interest import (
    BOOKS_PER_EVENT_MAX,
    NEAREST_MAX,
    near_by_distance,
    near_by_probability,
    wants_books,
)
from tests.venue.listing_samples import INDICES, ladder_objects, range_objects
from tests.venue.monitor_rig import TARGET, TEN_ET, Rig


def contracts(low=6600, high=7100):
    return [parse_market(obj, INDICES).contract for obj in ladder_objects("KXINXU-26NOV23H1100", low, high)]


@pytest.mark.parametrize(
    ("phase", "now", "wanted"),
    [
        (Phase.OPEN, TEN_ET, True),
        (Phase.HOLD, TEN_ET, True),
        (Phase.CUTOFF, TEN_ET, True),
        (Phase.UPCOMING, TEN_ET, True),
        (Phase.UPCOMING, TEN_ET - 5 * MINUTE, True),
        (Phase.UPCOMING, TEN_ET - 5 * MINUTE - 1, False),
        (Phase.SHUT, TEN_ET, False),
        (Phase.SETTLED, TEN_ET, False),
        (Phase.OPEN, TARGET, False),
    ],
)
def test_windows_that_are_open_or_open_soon_want_books(phase, now, wanted):
    rig = Rig()
    rig.window(phase)
    [status] = rig.state.windows.values()
    assert isinstance(status, WindowStatus)
    assert wants_books(status, Nanos(now)) is wanted


def test_the_most_undecided_come_first_and_the_decided_stay_out():
    chosen = near_by_probability({"a": 0.991, "b": 0.98, "c": 0.5, "d": 0.005, "e": 0.01}, set())
    assert chosen == ["c", "b", "e"]


def test_a_streamed_contract_leaves_later_than_it_joined():
    assert near_by_probability({"a": 0.006}, {"a"}) == ["a"]
    assert near_by_probability({"a": 0.006}, set()) == []
    assert near_by_probability({"a": 0.004}, {"a"}) == []


@given(st.dictionaries(st.text(min_size=1, max_size=4), st.floats(0, 1), max_size=300), st.data())
@settings(max_examples=60, deadline=None)
def test_one_event_never_takes_more_than_its_bound(probabilities, data):
    streamed = set(data.draw(st.lists(st.sampled_from(sorted(probabilities)), max_size=50))) if probabilities else set()
    chosen = near_by_probability(probabilities, streamed)
    assert len(chosen) == len(set(chosen)) <= BOOKS_PER_EVENT_MAX
    assert chosen == near_by_probability(probabilities, streamed)


def test_the_set_does_not_churn_when_the_probabilities_tremble():
    base = {f"T{step:03d}": 0.5 * 0.97**step for step in range(200)}
    streamed = set(near_by_probability(base, set()))
    assert len(streamed) == BOOKS_PER_EVENT_MAX
    for tremble in (0.9, 1.1, 0.8, 1.2):
        moved = {ticker: min(0.5, p * tremble) for ticker, p in base.items()}
        assert set(near_by_probability(moved, streamed)) == streamed


def test_without_a_forecast_the_nearest_strikes_are_taken():
    chosen = near_by_distance(contracts(), parse_level(6852.0), set())
    assert len(chosen) == NEAREST_MAX
    assert chosen[0].endswith("T6849.9999")
    strikes = sorted(float(ticker.rpartition("T")[2]) for ticker in chosen)
    assert 6750 < strikes[0] < strikes[-1] < 6955
    kept = near_by_distance(contracts(), parse_level(6857.0), set(chosen))
    assert set(kept) == set(chosen), "a point or two of movement changes nothing"


def test_ranges_are_near_by_either_end():
    bins = [parse_market(obj, INDICES).contract for obj in range_objects("KXINX-26NOV23H1600", 6000, 8000)]
    chosen = near_by_distance(bins, parse_level(6890.0), set())
    assert chosen[0] in {"KXINX-26NOV23H1600-B6887", "KXINX-26NOV23H1600-B6912"}
