"""What is asked of one event's listing is always what a fresh look would find."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.ground.versioned import VersionedDict
from kalshi_daemon.state import VenueState

EVENTS, TICKERS = ("E", "F"), ("E-1", "E-2", "F-1")


def market(ticker, shard):
    made: Any = SimpleNamespace(ticker=ticker, exchange_index=shard)
    return made


changes = st.lists(
    st.one_of(
        st.tuples(st.just("list"), st.sampled_from(EVENTS), st.lists(st.sampled_from(TICKERS), unique=True)),
        st.tuples(st.just("market"), st.sampled_from(TICKERS), st.sampled_from([None, 0, 1, 3])),
        st.tuples(st.just("book"), st.sampled_from(TICKERS), st.booleans()),
        st.tuples(st.just("gone"), st.sampled_from(TICKERS), st.sampled_from(["markets", "books"])),
        st.tuples(st.just("over"), st.sampled_from(EVENTS), st.none()),
    ),
    max_size=30,
)


@given(changes)
@settings(max_examples=200, deadline=None)
def test_whatever_changes_the_answer_is_that_of_a_fresh_look(steps):
    venue = VenueState()
    book: Any = SimpleNamespace()
    for kind, name, value in steps:
        match kind:
            case "list":
                venue.events[name] = tuple(value)
            case "market":
                venue.markets[name] = market(name, value)
            case "book":
                venue.books[name] = book
            case "gone":
                (venue.markets if value == "markets" else venue.books).pop(name, None)
            case "over":
                venue.events.pop(name, None)
        for event in EVENTS:
            listed = tuple(venue.markets[one] for one in venue.events.get(event, ()) if one in venue.markets)
            assert venue.listed(event) == listed
            assert venue.followed(event) == tuple((m, venue.books[m.ticker]) for m in listed if m.ticker in venue.books)
            assert venue.far_shards(event) == sorted({m.exchange_index or 0 for m in listed} - {0})


def test_every_way_to_change_a_versioned_dict_counts_or_is_refused():
    one = VersionedDict({"a": 1})
    seen = [one.version]
    one["b"] = 2
    seen.append(one.version)
    one.update({"c": 3})
    seen.append(one.version)
    del one["c"]
    seen.append(one.version)
    assert one.pop("b") == 2
    seen.append(one.version)
    one.clear()
    seen.append(one.version)
    assert seen == sorted(set(seen)), "each change is another version"
    for change in (lambda: one.setdefault("a", 1), one.popitem, lambda: one.__ior__({"a": 1})):
        with pytest.raises(TypeError, match="by assignment"):
            change()
