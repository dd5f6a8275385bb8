from structlog.testing import capture_logs

from kalshi_daemon.app.session_end import Steps, problem_text, say_failure, unsummarised
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.orders.cancelling import StopResult
from kalshi_daemon.state import DaemonState

SUMMARY = {
    "windows_scanned", "scans", "orders_placed", "orders_cancelled", "fills", "contracts", "fees_dollars",
    "pnl_dollars", "exchange_pnl_dollars", "books_equal", "books_detail", "resting_at_end",
    "resting_after_cutoff_max", "verified",
}  # fmt: skip


class Speechless(Exception):  # noqa: N818 - the point is its words
    def __str__(self) -> str:
        raise OverflowError("too long to be said")


def fails() -> object:
    raise Speechless


async def fails_later() -> int:
    raise OSError(28, "No space left on device")


async def test_a_step_that_raises_is_said_and_the_next_one_is_taken():
    steps = Steps()
    with capture_logs() as logs:
        assert steps.take("archive", fails) is None
        assert await steps.wait_for("files", fails_later()) is None
        assert steps.take("report", lambda: 7) == 7
    assert [(entry["event"], entry["step"], entry["error"]) for entry in logs] == [
        ("stop.step_failed", "archive", "Speechless"),
        ("stop.step_failed", "files", "OSError"),
    ]


def test_a_failure_without_words_is_said_all_the_same():
    assert problem_text(Speechless()) == "<OverflowError while describing Speechless>"
    with capture_logs() as logs:
        say_failure(Speechless())
        say_failure(ConfigurationError("orders.lease_s", "is too short"))
    assert [entry["event"] for entry in logs] == ["daemon.task_died", "daemon.failed"]


def test_a_summary_without_sums_has_the_same_fields_and_claims_no_money():
    found = unsummarised(DaemonState(), StopResult(verified=False, remaining=3, detail="")).log_fields
    assert set(found) == SUMMARY
    assert (found["verified"], found["books_equal"], found["resting_at_end"]) == (False, False, 3)
    assert found["pnl_dollars"] is None
    assert found["fills"] is None, "missing is not zero"
