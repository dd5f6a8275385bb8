"""The journal and its archives read as one: where a row is in two of them, the one that comes last is right."""

from collections.abc import Sequence

from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.orders.booked import Inherited, Result
from kalshi_daemon.orders.journal import Journal


def inherited_of(journals: Sequence[Journal], since_ns: Nanos) -> list[Inherited]:
    """Positions that were taken over and not settled before `since_ns`. `journals`: archives, then the journal."""
    return list({one.market_ticker: one for journal in journals for one in journal.inherited(since_ns)}.values())


def results_of(journals: Sequence[Journal], since_ns: Nanos) -> dict[str, Result]:
    """Market -> how it ended, as first booked, of those booked since then."""
    return {ticker: one for journal in journals for ticker, one in journal.results_since(since_ns).items()}


def corrections_of(journals: Sequence[Journal]) -> dict[str, list[Result]]:
    """Market -> what was booked beside its result, in order."""
    return {ticker: found for journal in journals for ticker, found in journal.corrections().items()}
