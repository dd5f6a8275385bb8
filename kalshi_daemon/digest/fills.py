"""What the fills of a day were worth: at the decision, some time later, and at settlement. Pure.

All edges are signed by side and before fees, in dollars per contract: + is good for us, sign x (value - price). A value
that is not known is left out of the mean and counted as missing, never taken for 0.

Markouts against the market come first (`markouts`); second those against our own forecast, which chose the quotes:
`fair` when a scan looked at the market within MARKOUT_SLACK of the moment; else `delta`, the last fair before
the moment plus the index move since then times the forecast's delta, within 0..1; `settled` when the fixing has passed.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from kalshi_daemon.digest.markouts import HORIZONS, MarketEdges, MarketMeans, market_edges, market_means, markouts_of
from kalshi_daemon.digest.means import Mean, mean_of
from kalshi_daemon.digest.records import Fair, FillRecord, Records, Tape
from kalshi_daemon.digest.scans import ScanDay
from kalshi_daemon.domain.markout import Markout as MarketMarkout
from kalshi_daemon.ground.units import CONTRACT, MINUTE, PRICE_ONE, SECOND, Count, Dollars, Nanos
from kalshi_daemon.orders.booked import Result
from kalshi_daemon.orders.ledger import cash_of_fill

BASE_AGE_MAX: Final = Nanos(30 * MINUTE)
"""A fair older than this is no base for a delta: the distribution has narrowed too much since."""
WORST_SHOWN: Final = 10
FAIR, DELTA, SETTLED = "fair", "delta", "settled"


def markout_slack(horizon_s: int) -> Nanos:
    """How far from the moment a scan's fair still stands for it: a tenth of the horizon, at least a second."""
    return Nanos(max(SECOND, horizon_s * SECOND // 10))


@dataclass(frozen=True, slots=True)
class Markout:
    """What one fill's market was worth later, and by which of the three ways."""

    edge: float
    source: str


@dataclass(frozen=True, slots=True)
class FillLine:
    """One fill with all that is known of it."""

    record: FillRecord
    cash: Dollars
    expected: float | None
    markouts: Mapping[int, Markout | None]
    realised: float | None
    """None while the market is open, or when the position was closed before the fixing."""
    market: MarketEdges = field(default_factory=dict)
    """Against the others' prices; `markouts` are against our own forecast."""


@dataclass(frozen=True, slots=True)
class MarkoutMean:
    """The markouts of one horizon: all together and by source."""

    horizon_s: int
    every: Mean
    by_source: Mapping[str, Mean]


@dataclass(frozen=True, slots=True)
class FillSums:
    """The fills of a day."""

    count: int
    contracts: Count
    maker_contracts: Count
    fees: Dollars
    expected: Mean
    markouts: tuple[MarkoutMean, ...]
    """Against our own forecast."""
    realised: Mean
    lines: tuple[FillLine, ...]
    """In order of time."""
    market: tuple[MarketMeans, ...] = ()
    """Against the others' prices."""

    @property
    def maker_share(self) -> float | None:
        """1.0 is what must be; None without fills."""
        return self.maker_contracts / self.contracts if self.contracts else None

    @property
    def worst(self) -> tuple[FillLine, ...]:
        """The fills that lost most, by what is known last: settled, else the longest markout, else not ranked."""
        ranked = [(loss, line) for line in self.lines if (loss := _lost(line)) is not None and loss < 0.0]
        return tuple(line for _loss, line in sorted(ranked, key=lambda pair: pair[0])[:WORST_SHOWN])


def fill_sums(records: Records, scans: ScanDay) -> FillSums:
    """Everything about the fills of the day. `scans` must have been told of their markets before its fold."""
    today = sorted(records.fills_of_day, key=lambda one: (one.booked.fill.event_ns, one.booked.fill.trade_id))
    seen = markouts_of(records.journal.fills, records.markouts)
    lines = tuple(_line(one, records, scans, seen.get(one.booked.fill.trade_id)) for one in today)
    return FillSums(
        count=len(lines),
        contracts=Count(sum(one.booked.fill.count for one in today)),
        maker_contracts=Count(sum(one.booked.fill.count for one in today if not one.booked.fill.is_taker)),
        fees=Dollars(sum(one.booked.fill.fee for one in today)),
        expected=mean_of((line.record, line.expected) for line in lines),
        markouts=tuple(_markout_mean(horizon, lines) for horizon in HORIZONS),
        realised=mean_of((line.record, line.realised) for line in lines),
        lines=lines,
        market=market_means([(line.record, line.market) for line in lines]),
    )


def edge(record: FillRecord, value: float) -> float:
    """Signed distance of a value (dollars per contract) from the fill's price."""
    fill = record.booked.fill
    return fill.side.sign * (value - fill.price / PRICE_ONE)


def settled_value(result: Result | None) -> float | None:
    """What a YES contract paid, in dollars; None while open, and for results that do not say."""
    return None if result is None else {"yes": 1.0, "no": 0.0}.get(result.result)


def _line(record: FillRecord, records: Records, scans: ScanDay, seen: MarketMarkout | None) -> FillLine:
    window = scans.windows.get(record.booked.event_ticker)
    paid = settled_value(records.journal.results.get(record.booked.fill.market_ticker))
    return FillLine(
        record=record,
        cash=cash_of_fill(record.booked.fill),
        expected=None if record.fair is None else edge(record, record.fair),
        markouts={horizon: _markout(record, horizon, paid, records, scans) for horizon in HORIZONS},
        realised=None if paid is None else edge(record, paid),
        market=market_edges(record, seen, None if window is None else window.target_ns),
    )


def _markout(
    record: FillRecord, horizon_s: int, paid: float | None, records: Records, scans: ScanDay
) -> Markout | None:
    fill = record.booked.fill
    moment = fill.event_ns + horizon_s * SECOND
    if moment > records.now_ns:
        return None
    window = scans.windows.get(record.booked.event_ticker)
    if window is not None and moment >= window.target_ns:
        return None if paid is None else Markout(edge(record, paid), SETTLED)
    fairs = scans.fairs.get(fill.market_ticker, ())
    near = _nearest(fairs, moment, markout_slack(horizon_s))
    if near is not None:
        return Markout(edge(record, near.fair), FAIR)
    series = records.instruments.series.get(record.booked.series_ticker)
    moved = None if series is None else _moved(fairs, moment, records.tapes.get(series.index))
    return None if moved is None else Markout(edge(record, moved), DELTA)


def _nearest(fairs: Sequence[Fair], moment: int, slack: Nanos) -> Fair | None:
    """The look closest to the moment, the later one of two; None beyond the slack."""
    place = bisect_right(fairs, moment, key=lambda one: one.at_ns)
    near = [one for one in fairs[max(0, place - 1) : place + 1] if abs(one.at_ns - moment) <= slack]
    return min(near, key=lambda one: (abs(one.at_ns - moment), -one.at_ns), default=None)


def _moved(fairs: Sequence[Fair], moment: int, tape: Tape | None) -> float | None:
    """The last fair before the moment, moved with the index; None when one of the two is missing."""
    place = bisect_right(fairs, moment, key=lambda one: one.at_ns)
    base = fairs[place - 1] if place else None
    value = None if tape is None else tape.at(moment)
    if base is None or base.delta is None or value is None or moment - base.at_ns > BASE_AGE_MAX:
        return None
    return min(1.0, max(0.0, base.fair + base.delta * (value - base.level)))


def _markout_mean(horizon_s: int, lines: Sequence[FillLine]) -> MarkoutMean:
    found = [(line, line.markouts[horizon_s]) for line in lines]
    by_source = {
        source: mean_of((line.record, one.edge) for line, one in found if one is not None and one.source == source)
        for source in (FAIR, DELTA, SETTLED)
    }
    every = mean_of((line.record, None if one is None else one.edge) for line, one in found)
    return MarkoutMean(horizon_s, every, {source: mean for source, mean in by_source.items() if mean.fills})


def _lost(line: FillLine) -> float | None:
    """Dollars of the fill by what is known last."""
    contracts = line.record.booked.fill.count / CONTRACT
    if line.realised is not None:
        return line.realised * contracts
    known = [one for horizon in reversed(HORIZONS) if (one := line.markouts[horizon]) is not None]
    return known[0].edge * contracts if known else None
