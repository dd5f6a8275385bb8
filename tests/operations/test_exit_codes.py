"""What the supervisor is told: 78 is never restarted, everything else is."""

import pytest

from kalshi_daemon.app.session_end import exit_code
from kalshi_daemon.ground.errors import AuthFailed, ExitCode, FeedAuthFailed, IllegalTransition, VenueUnreachable
from kalshi_daemon.orders.cancelling import StopResult
from kalshi_daemon.settings.model import Mode, Settings
from tests.artifacts.artifact_rig import totals

VERIFIED = StopResult(verified=True, remaining=0, detail="")
UNVERIFIED = StopResult(verified=False, remaining=3, detail="the exchange did not answer")
REFUSED_KEY = AuthFailed("orders", 401, "authentication_error", "authentication failed")


@pytest.mark.parametrize(
    ("stopped", "failure", "code"),
    [
        (VERIFIED, None, ExitCode.OK),
        (UNVERIFIED, None, ExitCode.UNVERIFIED),
        (VERIFIED, FeedAuthFailed("not authorized"), ExitCode.CONFIG),
        (UNVERIFIED, FeedAuthFailed("not authorized"), ExitCode.UNVERIFIED),
        (VERIFIED, REFUSED_KEY, ExitCode.CONFIG),
        (UNVERIFIED, REFUSED_KEY, ExitCode.CONFIG),
        (VERIFIED, IllegalTransition("kd-1", "filled", "cancel"), ExitCode.FAILURE),
        (VERIFIED, ZeroDivisionError(), ExitCode.FAILURE),
        (UNVERIFIED, VenueUnreachable("orders", "refused"), ExitCode.UNVERIFIED),
    ],
    ids=[
        "clean",
        "something may rest: worth another life",
        "feed key refused",
        "feed key refused and something may rest: worth another life",
        "exchange key refused",
        "exchange key refused, so nothing could be verified and nothing ever will",
        "a bug of ours",
        "any bug",
        "exchange gone",
    ],
)
def test_the_exit_code_says_whether_another_life_could_help(stopped, failure, code):
    settings = Settings(mode=Mode.DEMO)
    assert exit_code(settings, stopped, failure, totals(books_equal=False)) is code


@pytest.mark.parametrize(("equal", "code"), [(True, ExitCode.OK), (False, ExitCode.FAILURE)])
def test_in_sim_books_that_differ_are_a_failure(equal, code):
    assert exit_code(Settings(mode=Mode.SIM), VERIFIED, None, totals(books_equal=equal)) is code
