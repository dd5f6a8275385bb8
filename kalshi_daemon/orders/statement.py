"""What was traded and what it brought, by New York day and series: rows summed up as the ledger does. Pure.

Profit belongs to the day its market settled, and of a correction to the day it was booked; fills, contracts and fees to
the day they happened. Positions that are not
settled have no profit yet: they are shown as they stand now, whatever days were asked for.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from kalshi_daemon.ground.new_york import eastern_day
from kalshi_daemon.ground.units import Count, Dollars, Nanos
from kalshi_daemon.orders.ledger import BookedFill, Inherited, Ledger, Result, cash_of_fill


@dataclass(frozen=True, slots=True)
class Span:
    """New York days, both included; None is open-ended."""

    first: date | None = None
    last: date | None = None

    def __contains__(self, day: date) -> bool:
        return (self.first is None or day >= self.first) and (self.last is None or day <= self.last)


@dataclass(frozen=True, slots=True)
class FillLine:
    """One fill with its day and what it did to our cash on the YES scale."""

    booked: BookedFill
    day: date
    cash: Dollars
    profile: str
    """Whose order it was; "" for an order the journal does not know."""


@dataclass(frozen=True, slots=True)
class MarketLine:
    """One market we hold or held. `result`, `day`, `paid` and `profit` are None while it is open."""

    market_ticker: str
    event_ticker: str
    series_ticker: str
    count: Count
    """Signed, + YES."""
    cash: Dollars
    """Of its fills, fees included, on the YES scale."""
    fees: Dollars
    result: str | None = None
    day: date | None = None
    settled_ns: Nanos | None = None
    paid: Dollars | None = None
    profit: Dollars | None = None


@dataclass(frozen=True, slots=True)
class CorrectionLine:
    """A settlement that the exchange listed otherwise after it had been booked. Money is the difference it made."""

    market_ticker: str
    event_ticker: str
    series_ticker: str
    count: Count
    result: str
    previous_result: str
    day: date
    """Of the booking."""
    booked_ns: Nanos
    profit: Dollars
    """Against what stood in the books before; all of it was paid or taken back."""


@dataclass(frozen=True, slots=True)
class Total:
    """One day and series.

    Profit is that of the markets settled that day, after the fees of all their fills, and of the corrections booked
    that day.
    """

    day: date
    series_ticker: str
    fills: int
    contracts: Count
    fees: Dollars
    settled: int
    profit: Dollars


@dataclass(frozen=True, slots=True)
class Statement:
    """Fills and settlements of the span, positions as of now, totals of the span; each sorted by time, then name."""

    fills: tuple[FillLine, ...]
    settled: tuple[MarketLine, ...]
    positions: tuple[MarketLine, ...]
    totals: tuple[Total, ...]
    corrections: tuple[CorrectionLine, ...] = ()

    @property
    def profit(self) -> Dollars:
        return Dollars(sum(total.profit for total in self.totals))

    @property
    def fees(self) -> Dollars:
        return Dollars(sum(total.fees for total in self.totals))

    @property
    def contracts(self) -> Count:
        return Count(sum(total.contracts for total in self.totals))


def make_statement(
    fills: Iterable[BookedFill],
    inherited: Iterable[Inherited],
    results: Mapping[str, Result],
    profile_of: Mapping[str, str],
    span: Span,
    corrections: Mapping[str, Sequence[Result]] | None = None,
) -> Statement:
    """Sum up. `fills` are all that are known (a market's early fills count in its profit, whatever the span).

    `results` are the first entries, `corrections` what was booked beside them, in order. `profile_of`: the exchange's
    order id -> profile.
    """
    ledger = Ledger()
    every = sorted(fills, key=lambda booked: (booked.fill.event_ns, booked.fill.trade_id))
    for held in inherited:
        ledger.inherit(held)
    for booked in every:
        ledger.add_fill(booked)
    for ticker, result in results.items():
        for entry in (result, *(corrections or {}).get(ticker, ())):
            ledger.set_result(ticker, entry)
    markets = [_market(ledger, ticker) for ticker in sorted(ledger.positions)]
    lines = tuple(
        FillLine(booked, day, cash_of_fill(booked.fill), profile_of.get(booked.fill.order_id, ""))
        for booked in every
        if (day := eastern_day(booked.fill.event_ns)) in span
    )
    settled = tuple(
        sorted(
            (line for line in markets if line.day is not None and line.day in span),
            key=lambda line: (line.settled_ns or 0, line.market_ticker),
        )
    )
    positions = tuple(line for line in markets if line.day is None and line.count)
    corrected = tuple(
        sorted(
            (line for ticker in ledger.positions for line in _corrections(ledger, ticker) if line.day in span),
            key=lambda line: (line.booked_ns, line.market_ticker),
        )
    )
    return Statement(lines, settled, positions, _totals(lines, settled, corrected), corrected)


def _market(ledger: Ledger, ticker: str) -> MarketLine:
    position = ledger.positions[ticker]
    entries = ledger.entries(ticker)
    common = (
        ticker, position.event_ticker, position.series_ticker, position.count, position.cash, position.fees,
    )  # fmt: skip
    if not entries:
        return MarketLine(*common)
    result, profit = entries[0]
    paid = Dollars(profit - position.cash)
    return MarketLine(*common, result.result, eastern_day(result.at_ns), result.at_ns, paid, profit)


def _corrections(ledger: Ledger, ticker: str) -> Iterable[CorrectionLine]:
    position = ledger.positions[ticker]
    for (before, _), (result, profit) in pairwise(ledger.entries(ticker)):
        yield CorrectionLine(
            ticker,
            position.event_ticker,
            position.series_ticker,
            position.count,
            result.result,
            before.result,
            eastern_day(result.at_ns),
            result.at_ns,
            profit,
        )


def _totals(
    fills: Iterable[FillLine], settled: Iterable[MarketLine], corrections: Iterable[CorrectionLine]
) -> tuple[Total, ...]:
    fills_of: defaultdict[tuple[date, str], list[FillLine]] = defaultdict(list)
    settled_of: defaultdict[tuple[date, str], list[MarketLine]] = defaultdict(list)
    for fill in fills:
        fills_of[fill.day, fill.booked.series_ticker].append(fill)
    for line in settled:
        assert line.day is not None, "only settled markets are totalled"
        settled_of[line.day, line.series_ticker].append(line)
    corrected: defaultdict[tuple[date, str], int] = defaultdict(int)
    for correction in corrections:
        corrected[correction.day, correction.series_ticker] += correction.profit
    return tuple(
        Total(
            day,
            series,
            fills=len(fills_of[day, series]),
            contracts=Count(sum(line.booked.fill.count for line in fills_of[day, series])),
            fees=Dollars(sum(line.booked.fill.fee for line in fills_of[day, series])),
            settled=len(settled_of[day, series]),
            profit=Dollars(sum(line.profit or 0 for line in settled_of[day, series]) + corrected[day, series]),
        )
        for day, series in sorted({*fills_of, *settled_of, *corrected})
    )
