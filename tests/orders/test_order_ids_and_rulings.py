"""Client order ids, and what each answer to a write means."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.ground import errors
from kalshi_daemon.ground.errors import (
    AlreadyExists,
    MarketClosed,
    NotFound,
    PostOnlyCross,
    RateLimited,
    VenueRejected,
    VenueUnreachable,
)
from kalshi_daemon.orders.ambiguity import RULINGS, FollowUp, Meaning, Operation, reject_reason, rule
from kalshi_daemon.orders.ids import ClientOrderIds, client_order_id, is_ours, run_part
from tests.orders.write_outcomes import EVERYTHING, rejected


@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=8, max_size=32), st.integers(1, 50))
def test_ids_are_unique_short_and_ours(entropy, number):
    ids = ClientOrderIds(entropy)
    made = [ids() for _ in range(number)]
    assert len(set(made)) == number
    for name in made:
        assert is_ours(name)
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name)


def test_two_runs_share_no_ids():
    first, second = ClientOrderIds(b"01234567"), ClientOrderIds(b"01234568")
    assert {first() for _ in range(100)}.isdisjoint({second() for _ in range(100)})


@pytest.mark.parametrize(
    "name", ["", "kd", "kd-0011223344556677", "kd-0011223344556677-", "kd-zz11223344556677-1", "manual-1",
             "kd-0011223344556677-1 ", "xkd-0011223344556677-1", "kd-0011223344556677-1234567890123"],
)  # fmt: skip
def test_other_peoples_ids_are_not_ours(name):
    assert not is_ours(name)


def test_too_little_entropy_is_refused():
    with pytest.raises(ValueError, match="too few"):
        run_part(b"1234567")


@pytest.mark.parametrize(("run", "seq"), [("0011223344556677", -1), ("0011223344556677", 10**12), ("nonsense", 1)])
def test_an_id_we_would_not_recognise_is_never_made(run, seq):
    with pytest.raises(ValueError, match="not an id of ours"):
        client_order_id(run, seq)


of_everything = pytest.mark.parametrize("answer", EVERYTHING.values(), ids=EVERYTHING)


@pytest.mark.parametrize("operation", list(Operation))
@of_everything
def test_every_answer_to_every_operation_has_a_ruling(operation, answer):
    assert rule(operation, answer) in {ruling for _kind, ruling in RULINGS[operation]}


@of_everything
def test_a_create_is_refused_only_by_an_authenticated_no(answer):
    """Pain: a time-out treated as a reject orders twice."""
    meaning = rule(Operation.CREATE, answer).meaning
    if isinstance(answer, (VenueUnreachable, RateLimited)):
        assert meaning is Meaning.NOT_APPLIED
    elif isinstance(answer, VenueRejected) and not isinstance(answer, AlreadyExists):
        assert meaning is Meaning.REFUSED
    else:
        assert (meaning, rule(Operation.CREATE, answer).ask) == (Meaning.UNKNOWN, FollowUp.BY_TICKER)


@pytest.mark.parametrize("operation", [Operation.CANCEL, Operation.AMEND])
@of_everything
def test_only_an_authenticated_404_means_gone(operation, answer):
    """Pain: network errors counted as "order not found" lose live orders."""
    assert (rule(operation, answer).meaning is Meaning.GONE) == isinstance(answer, NotFound)


def test_every_error_of_the_venue_is_ruled_by_a_row_of_its_own_kind():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.VenueError)]
    assert len(kinds) > 10
    for rows in RULINGS.values():
        assert all(any(issubclass(kind, row) for row, _ruling in rows) for kind in kinds)


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (rejected(PostOnlyCross, "invalid_order"), "post_only_cross"),
        (rejected(MarketClosed, ""), "market_closed"),
        (rejected(VenueRejected, "invalid_price"), "invalid_price"),
        (rejected(VenueRejected, ""), "VenueRejected"),
        (RateLimited("create", 10), "rate_limited"),
        (VenueUnreachable("create", "x"), "unreachable"),
        (RuntimeError("x"), "RuntimeError"),
    ],
)
def test_reasons_are_one_word(answer, word):
    assert reject_reason(answer) == word
