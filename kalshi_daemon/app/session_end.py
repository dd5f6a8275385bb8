"""The end of a session: steps that do not depend on each other, the last line, and what the process says."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from kalshi_daemon.artifacts.session import SessionTotals
from kalshi_daemon.ground.errors import AuthFailed, ConfigurationError, DaemonError, ExitCode, FeedAuthFailed, leaves_of
from kalshi_daemon.ground.units import Count, format_count, format_dollars
from kalshi_daemon.orders.account_audit import BooksCheck
from kalshi_daemon.orders.cancelling import StopResult
from kalshi_daemon.orders.manager import OrderManager
from kalshi_daemon.settings.model import Mode, Settings
from kalshi_daemon.state import DaemonState

log = structlog.get_logger()

_ASK_WITHIN_S: Final = 10.0
"""Real time allowed for the last comparison with the exchange."""
_ASK_WITHIN_UNVERIFIED_S: Final = 3.0
"""The same with an exchange that has just failed to confirm that nothing rests: most likely it does not answer."""


class Steps:
    """The steps of the shutdown sequence: one that fails is said, and the next one is taken all the same."""

    def take[T](self, name: str, work: Callable[[], T]) -> T | None:
        """What `work` returns; None when it raised."""
        try:
            return work()
        except Exception as problem:  # noqa: BLE001 - whatever it is, the steps after it must run
            self._say(name, problem)
            return None

    async def wait_for[T](self, name: str, work: Awaitable[T]) -> T | None:
        """What `work` comes to; None when it raised."""
        try:
            return await work
        except Exception as problem:  # noqa: BLE001 - whatever it is, the steps after it must run
            self._say(name, problem)
            return None

    def _say(self, name: str, problem: Exception) -> None:
        log.error("stop.step_failed", step=name, error=type(problem).__name__, exc_info=problem)


def unsummarised(state: DaemonState, stopped: StopResult) -> SessionTotals:
    """The fields of `session.summary` when the sums could not be made: what is known without journal and exchange."""
    counters = state.counters
    return SessionTotals(
        windows_scanned=len(counters.windows_scanned),
        scans=counters.scans,
        orders_placed=counters.orders_placed,
        orders_cancelled=counters.orders_cancelled,
        fills=None,
        contracts=None,
        fees_dollars=None,
        pnl_dollars=None,
        exchange_pnl_dollars=None,
        books_equal=False,
        books_detail="the books could not be summed up; see stop.step_failed",
        resting_at_end=stopped.remaining,
        resting_after_cutoff_max=counters.resting_after_cutoff_max,
        verified=stopped.verified,
    )


async def summarise(orders: OrderManager, state: DaemonState, stopped: StopResult) -> SessionTotals:
    """The fields of `session.summary`. Money as strings with four decimals; None where the exchange did not answer."""
    check: BooksCheck | None = None
    within_s = _ASK_WITHIN_S if stopped.verified else _ASK_WITHIN_UNVERIFIED_S
    try:
        async with asyncio.timeout(within_s):
            check = await orders.books_equal()
    except TimeoutError:
        log.warning("stop.accounts_not_compared", waited_s=within_s)
    numbers = orders.summary()  # after the comparison: it may have brought the last fills
    exchange_pnl = None if check is None else check.exchange_pnl
    counters = state.counters
    return SessionTotals(
        windows_scanned=len(counters.windows_scanned),
        scans=counters.scans,
        orders_placed=numbers.orders_placed,
        orders_cancelled=numbers.orders_cancelled,
        fills=numbers.fills,
        contracts=format_count(Count(numbers.contracts)),
        fees_dollars=format_dollars(numbers.fees),
        pnl_dollars=format_dollars(numbers.pnl),
        exchange_pnl_dollars=None if exchange_pnl is None else format_dollars(exchange_pnl),
        books_equal=check is not None and check.equal,
        books_detail="the exchange did not answer in time" if check is None else check.detail,
        resting_at_end=stopped.remaining,
        resting_after_cutoff_max=counters.resting_after_cutoff_max,
        verified=stopped.verified,
    )


def exit_code(settings: Settings, stopped: StopResult, failure: Exception | None, summary: SessionTotals) -> ExitCode:
    """What the process says: the failure's own code, UNVERIFIED, or OK."""
    if isinstance(failure, AuthFailed):
        # Nothing can be verified with a key that is refused, and restarting with it cannot help: 78, not UNVERIFIED.
        return failure.exit_code
    if not stopped.verified:
        return ExitCode.UNVERIFIED
    if isinstance(failure, DaemonError):
        return failure.exit_code
    if failure is not None:
        return ExitCode.FAILURE
    if settings.mode is Mode.SIM and not summary.books_equal:
        return ExitCode.FAILURE
    return ExitCode.OK


def first_failure(group: BaseExceptionGroup[Exception]) -> Exception:
    """The error to report: ours that name a cause before anything else, else the first."""
    leaves = [leaf for leaf in leaves_of(group) if isinstance(leaf, Exception)]
    known = [leaf for leaf in leaves if isinstance(leaf, ConfigurationError | FeedAuthFailed | AuthFailed)]
    return (known or leaves)[0]


def say_failure(failure: Exception) -> None:
    """One line about what the daemon died of; a traceback when it is none of our own errors."""
    if isinstance(failure, DaemonError):
        log.error("daemon.failed", error=type(failure).__name__, message=problem_text(failure))
    else:
        log.error("daemon.task_died", error=type(failure).__name__, message=problem_text(failure), exc_info=failure)


def problem_text(failure: Exception) -> str:
    """An error's own words. Never raises: a complaint must not be what ends the shutdown sequence."""
    try:
        return str(failure)
    except Exception as problem:  # noqa: BLE001 - whatever the words of an error raise
        return f"<{type(problem).__name__} while describing {type(failure).__name__}>"
