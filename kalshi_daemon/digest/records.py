"""What a digest is made of, as values: our fills and orders, the fairs and strikes of the scans, the index. Pure.

Money is in 1/10 000 dollar, counts in 1/100 contract, prices on the YES scale, times in ns; fairs are probabilities.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kalshi_daemon.artifacts.monitors import RecordOfIndex
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.instruments import SHIPPED_INSTRUMENTS, Instruments
from kalshi_daemon.domain.markout import Markout
from kalshi_daemon.domain.order import Order, Status
from kalshi_daemon.ground.units import SECOND, Dollars, Level, Nanos
from kalshi_daemon.orders.booked import BookedFill, Result
from kalshi_daemon.orders.statement import Statement

Json = dict[str, Any]
Interval = tuple[int, int]
"""From, until, in ns."""
History = Sequence[tuple[Nanos, str, str, Mapping[str, Any]]]
"""(at, event, status after it, detail) of one order, in order: `Journal.history`."""

VALUE_AGE_MAX: Final = Nanos(5 * SECOND)
"""An index value older than this is not the value of a moment."""
_SEEN: Final = frozenset({Status.RESTING.value, Status.FILLED.value})
_LIVE: Final = frozenset(status.value for status in Status if status.live)


@dataclass(frozen=True, slots=True)
class FillRecord:
    """One fill of the day. `fair` is ours at the decision; None when the order behind it is unknown or was adopted."""

    booked: BookedFill
    profile: str
    fair: float | None
    client_order_id: str = ""
    """Of the order behind it; "" when that is unknown."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A create without an answer. `took_ns` None: it was never resolved."""

    client_order_id: str
    since_ns: Nanos
    took_ns: Nanos | None


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """One order made on the day, and what its history says about time."""

    order: Order
    rested_ns: Nanos | None = None
    """When it was first known to rest or trade; None: it never was."""
    ended_ns: Nanos | None = None
    answer_ns: Nanos | None = None
    """From the intent on disk to the exchange's own answer to the create."""
    cancel_ns: tuple[Nanos, ...] = ()
    """From the intent of a cancel to its acknowledgement."""
    unknown: tuple[Unknown, ...] = ()


@dataclass(frozen=True, slots=True)
class Fair:
    """One look of a scan at one market."""

    at_ns: Nanos
    fair: float
    level: float
    """The index level the forecast stood on, in points."""
    delta: float | None
    """Change of the probability per index point; None when the manifest does not say what the market pays."""


@dataclass(frozen=True, slots=True)
class Pays:
    """For which settlement values YES pays, ends included, None is open."""

    lowest: Level | None
    highest: Level | None

    def holds(self, value: Level) -> bool:
        """Whether YES pays at this value, in 1/10 000 point."""
        return (self.lowest is None or value >= self.lowest) and (self.highest is None or value <= self.highest)


@dataclass(frozen=True, slots=True)
class Tape:
    """The index values of a day, by the vendor's stamps, rising. Shapes (n,)."""

    at_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    delay_ns: NDArray[np.int64]
    """Receipt minus stamp."""

    def at(self, ns: int) -> float | None:
        """The last value in points at or before `ns`, not older than VALUE_AGE_MAX; None when there is none."""
        place = int(np.searchsorted(self.at_ns, ns, side="right")) - 1
        if place < 0 or ns - int(self.at_ns[place]) > VALUE_AGE_MAX:
            return None
        return float(self.value[place])


@dataclass(frozen=True, slots=True)
class JournalDay:
    """The journal's side of a day."""

    statement: Statement
    """Of the day; positions as of now."""
    week_profit: Dollars
    """Settled and corrected from Monday to the end of the day."""
    fills: tuple[FillRecord, ...]
    """All fills behind the day: those of the day, and earlier ones of the markets settled on it or still open."""
    results: Mapping[str, Result]
    """How the markets ended as far as is known now, corrections included."""
    orders: tuple[OrderRecord, ...]


@dataclass(frozen=True, slots=True)
class Records:
    """Everything about one day. `now_ns`: when the digest was made; nothing later is counted as done."""

    day: date
    start_ns: Nanos
    end_ns: Nanos
    now_ns: Nanos
    mode: str
    journal: JournalDay
    tapes: Mapping[Index, Tape]
    forecast: Mapping[str, RecordOfIndex] | None
    """The monitors of the day, as `go_no_go.json` had them: index -> figure -> reading. None: not recorded."""
    notes: tuple[str, ...] = ()
    """What could not be read."""
    instruments: Instruments = SHIPPED_INSTRUMENTS
    markouts: Sequence[Markout] = ()
    """Where the market went after the fills that the daemon saw."""

    @property
    def fills_of_day(self) -> list[FillRecord]:
        """Without the earlier ones behind its markets."""
        return [one for one in self.journal.fills if self.start_ns <= one.booked.fill.event_ns < self.end_ns]


def order_record(order: Order, history: History) -> OrderRecord:
    """Sum up one order's history. An empty one (lost, or not archived yet) gives an order without times."""
    rested: Nanos | None = None
    answer: Nanos | None = None
    asked: Nanos | None = None
    since: Nanos | None = None
    cancels: list[Nanos] = []
    unknown: list[Unknown] = []
    ended: Nanos | None = None
    for at, event, status, _detail in history:
        if rested is None and status in _SEEN:
            rested = at
        if answer is None and event in {"Acked", "Rejected"}:
            answer = Nanos(at - order.created_ns)
        if event == "CancelSent":
            asked = at
        elif event == "CancelAcked" and asked is not None:
            cancels.append(Nanos(at - asked))
            asked = None
        if status == Status.UNKNOWN and since is None:
            since = at
        elif status != Status.UNKNOWN and since is not None:
            unknown.append(Unknown(order.client_order_id, since, Nanos(at - since)))
            since = None
        ended = None if status in _LIVE else at
    if since is not None:
        unknown.append(Unknown(order.client_order_id, since, None))
    return OrderRecord(order, rested, ended, answer, tuple(cancels), tuple(unknown))


def covered(intervals: Sequence[Interval], within: Interval) -> int:
    """How many ns of `within` lie in at least one of the intervals."""
    total, reached = 0, within[0]
    for start, end in sorted(intervals):
        low, high = max(start, reached), min(end, within[1])
        if high > low:
            total += high - low
            reached = high
    return total


def ranked(counts: Mapping[str, int]) -> dict[str, int]:
    """Most first, then by name."""
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
