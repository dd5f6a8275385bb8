"""The state machine of one order: total, idempotent, indifferent to the order of news."""

import itertools
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.order import Order, Status
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.errors import IllegalTransition
from kalshi_daemon.ground.units import Count, Nanos, Price
from kalshi_daemon.orders import lifecycle
from kalshi_daemon.orders.lifecycle import (
    TRANSITIONS,
    Acked,
    CancelAcked,
    CancelRefused,
    CancelSent,
    Disowned,
    FillSeen,
    Lapsed,
    NotFoundAuthenticated,
    NotSent,
    OutcomeUnknown,
    Rejected,
    Renewed,
    ReportedCanceled,
    ReportedExecuted,
    ReportedResting,
    Sent,
    advance,
)

T = Nanos(1_000)
ENDED = (Status.FILLED, Status.CANCELED, Status.EXPIRED, Status.REJECTED)
C = Count


def order(status=Status.INTENDED, *, filled=0, count=200, order_id=None):
    if status in {Status.RESTING, Status.PENDING_CANCEL, Status.CANCELED, Status.EXPIRED, Status.FILLED}:
        order_id = order_id or "ex-1"
    if status is Status.FILLED:
        filled = count
    return Order(
        client_order_id="kd-0011223344556677-1",
        market_ticker="KXINXU-26NOV23H1100-T6799.9999",
        event_ticker="KXINXU-26NOV23H1100",
        series_ticker="KXINXU",
        profile="wide",
        side=Side.BID,
        price=Price(4200),
        count=Count(count),
        status=status,
        expires_ns=Nanos(90_000),
        created_ns=Nanos(1),
        order_id=order_id,
        filled=Count(filled),
    )


def sample(kind):
    return {
        Sent: Sent(T),
        NotSent: NotSent(T, "unreachable"),
        Acked: Acked(T, "ex-1", C(0), C(200)),
        Rejected: Rejected(T, "invalid_price"),
        OutcomeUnknown: OutcomeUnknown(T, "time-out"),
        ReportedResting: ReportedResting(T, "ex-1", C(0)),
        ReportedExecuted: ReportedExecuted(T, "ex-1", C(200)),
        ReportedCanceled: ReportedCanceled(T, "ex-1", C(0), "Decrease"),
        FillSeen: FillSeen(T, "ex-1", C(100)),
        CancelSent: CancelSent(T, "edge_lost"),
        CancelAcked: CancelAcked(T, C(200)),
        CancelRefused: CancelRefused(T, "404"),
        NotFoundAuthenticated: NotFoundAuthenticated(T, Nanos(0), Nanos(10)),
        Renewed: Renewed(T, Nanos(120_000)),
        Lapsed: Lapsed(T),
        Disowned: Disowned(T, "another order's id"),
    }[kind]


EVENTS = get_args(lifecycle.Event)


def test_every_pair_of_status_and_event_is_listed():
    assert set(TRANSITIONS) == set(itertools.product(Status, EVENTS))


@pytest.mark.parametrize(("status", "kind"), sorted(TRANSITIONS, key=str))
def test_every_pair_does_what_the_table_says(status, kind):
    before, event = order(status), sample(kind)
    target = TRANSITIONS[status, kind]
    if target is None:
        with pytest.raises(IllegalTransition):
            advance(before, event)
        return
    after = advance(before, event)
    assert after.status is (Status.FILLED if after.filled == after.count else target)


def test_only_our_own_doings_and_orders_never_sent_can_be_illegal():
    news = {ReportedResting, ReportedExecuted, ReportedCanceled, FillSeen, NotFoundAuthenticated}
    illegal = {(status, kind) for (status, kind), target in TRANSITIONS.items() if target is None and kind in news}
    assert illegal == {(Status.INTENDED, kind) for kind in news}


@pytest.mark.parametrize("kind", [k for k in EVENTS if k not in {Sent, CancelSent}])
@pytest.mark.parametrize("status", list(Status))
def test_hearing_the_same_twice_changes_nothing(status, kind):
    if TRANSITIONS[status, kind] is None:
        return
    once = advance(order(status), sample(kind))
    if TRANSITIONS[once.status, kind] is not None:
        assert advance(once, sample(kind)) == once


@pytest.mark.parametrize("status", ENDED)
@pytest.mark.parametrize("kind", [Acked, OutcomeUnknown, CancelRefused, Renewed, Lapsed, NotFoundAuthenticated])
def test_an_ended_order_stays_ended(status, kind):
    if TRANSITIONS[status, kind] is not None:
        assert advance(order(status), sample(kind)).status is status


def test_a_late_resting_frame_does_not_revive_a_cancelled_order():
    assert advance(order(Status.CANCELED), ReportedResting(T, "ex-1", C(0))).status is Status.CANCELED


def test_a_fill_after_the_cancel_ack_is_counted_and_leaves_it_cancelled():
    after = advance(order(Status.CANCELED), FillSeen(T, "ex-1", C(100)))
    assert (after.status, after.filled, after.leaves) == (Status.CANCELED, 100, 0)


@pytest.mark.parametrize("status", [Status.CANCELED, Status.EXPIRED, Status.REJECTED, Status.UNKNOWN, Status.RESTING])
def test_all_filled_is_filled_whatever_we_thought(status):
    assert advance(order(status), FillSeen(T, "ex-1", C(200))).status is Status.FILLED


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (ReportedResting(T, "ex-1", C(0)), Status.RESTING),
        (ReportedExecuted(T, "ex-1", C(200)), Status.FILLED),
        (ReportedCanceled(T, "ex-1", C(0)), Status.CANCELED),
        (FillSeen(T, "ex-1", C(100)), Status.UNKNOWN),
    ],
)
def test_the_exchanges_word_outranks_our_belief_that_an_order_was_refused(event, status):
    assert advance(order(Status.REJECTED), event).status is status


@pytest.mark.parametrize(
    "event",
    [FillSeen(T, "ex-1", C(201)), ReportedExecuted(T, "ex-1", C(300)), Acked(T, "ex-1", C(300), C(0)),
     ReportedResting(T, "ex-1", C(201)), ReportedCanceled(T, "ex-1", C(201))],
)  # fmt: skip
def test_more_filled_than_asked_for_is_a_bug(event):
    with pytest.raises(IllegalTransition, match="of 200"):
        advance(order(Status.IN_FLIGHT), event)


def test_a_second_exchange_id_for_one_client_id_is_a_bug():
    with pytest.raises(IllegalTransition):
        advance(order(Status.RESTING), ReportedResting(T, "ex-2", C(0)))


@pytest.mark.parametrize(("waited", "status"), [(9, Status.UNKNOWN), (10, Status.REJECTED)])
def test_not_found_needs_patience(waited, status):
    since = Nanos(500)
    event = NotFoundAuthenticated(Nanos(since + waited), since, Nanos(10))
    assert advance(order(Status.UNKNOWN), event).status is status


def test_an_order_that_traded_cannot_be_not_found():
    event = NotFoundAuthenticated(Nanos(10_000), Nanos(0), Nanos(10))
    assert advance(order(Status.UNKNOWN, filled=100), event).status is Status.UNKNOWN


def test_an_expiry_reported_by_the_exchange_is_expired_not_cancelled():
    event = ReportedCanceled(T, "ex-1", C(0), "ExpiryCancel", expired=True)
    for status in (Status.RESTING, Status.PENDING_CANCEL, Status.IN_FLIGHT, Status.UNKNOWN):
        assert advance(order(status), event).status is Status.EXPIRED
    assert advance(order(Status.CANCELED), event).status is Status.CANCELED


def test_a_create_cancelled_on_arrival():
    after = advance(order(Status.IN_FLIGHT), Acked(T, "ex-1", C(0), C(0)))
    assert (after.status, after.reason) == (Status.CANCELED, "canceled_on_arrival")


def test_an_ack_after_the_stream_already_told_changes_nothing():
    resting = advance(order(Status.IN_FLIGHT), ReportedResting(T, "ex-1", C(100)))
    assert advance(resting, Acked(T, "ex-1", C(0), C(200))) is resting


def test_the_expiry_only_moves_later():
    resting = order(Status.RESTING)
    assert advance(resting, Renewed(T, Nanos(80_000))) is resting
    assert advance(resting, Renewed(T, Nanos(95_000))).expires_ns == 95_000
    assert advance(resting, ReportedResting(T, "ex-1", C(0), Nanos(99_000))).expires_ns == 99_000
    ended = order(Status.CANCELED)
    assert advance(ended, Renewed(T, Nanos(99_000))) is ended


def test_reasons_tell_how_it_ended():
    pulled = advance(order(Status.RESTING), CancelSent(T, "edge_lost"))
    assert pulled.reason == "edge_lost"
    assert advance(pulled, CancelAcked(T, C(200))).reason == "edge_lost"
    assert advance(pulled, ReportedCanceled(T, "ex-1", C(0))).reason == "edge_lost"
    assert advance(order(Status.RESTING), ReportedCanceled(T, "ex-1", C(0), "HaltCancel")).reason == "HaltCancel"
    assert advance(order(Status.RESTING), ReportedCanceled(T, "ex-1", C(0))).reason == "at_exchange"
    unknown = advance(order(Status.IN_FLIGHT), OutcomeUnknown(T, "TimeoutError"))
    assert advance(unknown, ReportedCanceled(T, "ex-1", C(0))).reason == "at_exchange"
    assert advance(order(Status.IN_FLIGHT), Rejected(T, "invalid_price")).reason == "invalid_price"
    assert advance(pulled, FillSeen(T, "ex-1", C(200))).reason == ""


def news():
    count = st.integers(0, 200).map(Count)
    return st.one_of(
        st.builds(Acked, st.just(T), st.just("ex-1"), st.integers(0, 100).map(Count), st.just(C(100))),
        st.builds(ReportedResting, st.just(T), st.just("ex-1"), st.integers(0, 199).map(Count)),
        st.builds(FillSeen, st.just(T), st.just("ex-1"), count),
        st.just(OutcomeUnknown(T, "time-out")),
        st.just(CancelRefused(T, "404")),
        st.just(NotFoundAuthenticated(T, T, Nanos(10))),
        st.builds(ReportedCanceled, st.just(T), st.just("ex-1"), st.integers(0, 199).map(Count), st.just("Decrease")),
    )


def run(events):
    current = advance(order(Status.INTENDED), Sent(T))
    for event in events:
        if TRANSITIONS[current.status, type(event)] is not None:
            current = advance(current, event)
    return current


@settings(max_examples=150, deadline=None)
@given(st.lists(news(), max_size=8), st.randoms(use_true_random=False))
def test_late_shuffled_and_repeated_news_lead_to_the_same_end(events, chance):
    """Once the exchange said how it ended, no order of arrival and no repetition changes the end."""
    final = ReportedCanceled(T, "ex-1", C(0), "Decrease")
    told = [*events, final]
    shuffled = [*told, *chance.sample(told, len(told) // 2)]
    chance.shuffle(shuffled)
    first, second = run(told), run(shuffled)
    assert (first.status, first.filled, first.order_id) == (second.status, second.filled, second.order_id)
    assert 0 <= first.filled <= first.count
    assert not first.status.live


@settings(max_examples=150, deadline=None)
@given(st.lists(news(), max_size=12))
def test_fills_never_shrink_and_never_exceed_the_count(events):
    current = order(Status.IN_FLIGHT)
    for event in events:
        if TRANSITIONS[current.status, type(event)] is None:
            continue
        after = advance(current, event)
        assert current.filled <= after.filled <= after.count
        assert after.updated_ns >= current.updated_ns
        current = after


def test_the_same_object_comes_back_when_nothing_changed():
    resting = order(Status.RESTING)
    assert advance(resting, replace(sample(ReportedResting), at_ns=Nanos(99_999))) is resting
