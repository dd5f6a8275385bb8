"""A start that gets no whole answer ends as unreachable (exit 69), whatever the exchange said instead of one.

The unit file restarts 69 for ever and gives up on other codes: what the last words were must not decide that.
"""

import pytest

from kalshi_daemon.ground.errors import (
    AuthFailed,
    ClockSkewed,
    DaemonError,
    ExitCode,
    MalformedField,
    OrderOutcomeUnknown,
    RateLimited,
    VenueRejected,
    VenueUnavailable,
    VenueUnreachable,
)
from kalshi_daemon.ground.units import SECOND
from kalshi_daemon.orders.manager import START_WITHIN
from tests.orders.order_rig import START, drive

_MORE_THAN_ASKED = 200
_READS = ("orders", "fills", "positions", "balance")


async def _refused_start(rig) -> VenueUnreachable:
    """The one problem that `start` ends with."""
    with pytest.raises(ExceptionGroup) as caught:
        await drive(rig.clock, rig.manager.start())
    (problem,) = caught.value.exceptions
    assert isinstance(problem, VenueUnreachable), repr(problem)
    return problem


@pytest.mark.parametrize("operation", _READS)
@pytest.mark.parametrize(
    "said",
    [
        RateLimited("read", 10),
        VenueUnavailable("read", 503, "service_unavailable"),
        VenueRejected("read", 400, "invalid_parameters", ""),
        OrderOutcomeUnknown("read", "time-out"),
        MalformedField("read", b"<html>", "JSON"),
    ],
    ids=lambda said: type(said).__name__,
)
async def test_an_exchange_that_never_answers_whole_is_unreachable_whatever_it_says(rig, operation, said):
    rig.venue.script[operation].extend([said] * _MORE_THAN_ASKED)
    problem = await _refused_start(rig)
    assert problem.exit_code is ExitCode.UNREACHABLE
    assert problem.operation == "start"
    assert str(said) in str(problem), "the operator is told what was said last"
    assert problem.__cause__ is said
    assert len(rig.venue.script[operation]) < _MORE_THAN_ASKED - 1, "it asked again"
    assert START_WITHIN <= rig.clock.now_ns() - START <= START_WITHIN + 2 * SECOND


async def test_silence_is_unreachable(rig):
    rig.venue.script["orders"].append("hang")
    problem = await _refused_start(rig)
    assert problem.exit_code is ExitCode.UNREACHABLE
    assert "no answer" in str(problem)
    assert START_WITHIN <= rig.clock.now_ns() - START <= START_WITHIN + 2 * SECOND


async def test_what_was_said_before_the_silence_is_told(rig):
    rig.venue.script["orders"].extend([RateLimited("read", 10), "hang"])
    problem = await _refused_start(rig)
    assert isinstance(problem.__cause__, RateLimited)


async def test_nothing_was_sent_by_a_start_without_an_answer(rig):
    rig.venue.script["orders"].extend(["429"] * _MORE_THAN_ASKED)
    await _refused_start(rig)
    assert not {name for name, _argument in rig.venue.calls} - {*_READS, "settlements", "order", "groups"}
    assert not rig.state.reconciliation.agreed


def test_no_other_word_of_the_venue_has_this_exit_code():
    """What makes the tests above able to fail: hardly any of what is said ends in 69 by itself."""
    others: tuple[type[DaemonError], ...] = (RateLimited, VenueRejected, OrderOutcomeUnknown, MalformedField)
    assert all(other.exit_code is not VenueUnreachable.exit_code for other in others)


REFUSED = AuthFailed("orders", 401, "authentication_error", "authentication failed")


@pytest.mark.parametrize("said", [REFUSED, ClockSkewed(REFUSED, 30 * SECOND, 1_500_000_000)], ids=["key", "clock"])
async def test_a_refused_signature_is_asked_once_and_handed_up(rig, said):
    rig.venue.script["orders"].extend([said] * _MORE_THAN_ASKED)
    with pytest.raises(ExceptionGroup) as caught:
        await drive(rig.clock, rig.manager.start())
    assert caught.value.exceptions == (said,)
    assert len(rig.venue.script["orders"]) == _MORE_THAN_ASKED - 1, "one refused request"
    assert rig.clock.now_ns() - START < SECOND


async def test_a_clock_that_steps_between_two_reads_is_not_taken_for_an_account_without_groups(rig):
    rig.venue.script["groups"].append(ClockSkewed(REFUSED, 30 * SECOND, 1_500_000_000))
    await drive(rig.clock, rig.manager.start())
    assert rig.state.reconciliation.agreed
