"""What was traded and what it brought, by New York day and series: rows summed up as the ledger does. Pure.

Profit belongs to the day its market settled, and of a correction to the day it was booked; fills, contracts and fees to
the day they happened. Positions that are not
settled have no profit yet: they are shown as they stand now, whatever days were asked for.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from kalshi_daemon.ground.new_york import eastern_day
from kalshi_daemon.ground.units import Count, Dollars, Nanos
from kalshi_daemon.orders.booked import BookedFill, Inherited, Result
from kalshi_daemon.orders.ledger import Booking, Ledger, cash_of_fill, profit_of
from kalshi_daemon.state import Position


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
    bookings: tuple[Booking, ...] = ()
    """What is behind `settled` and `corrections`."""

    @property
    def profit(self) -> Dollars:
        return profit_of(self.bookings)

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
    booked_in_span = tuple(one for one in ledger.bookings(Nanos(0)) if eastern_day(one.result.at_ns) in span)
    lines = tuple(
        FillLine(booked, day, cash_of_fill(booked.fill), profile_of.get(booked.fill.order_id, ""))
        for booked in every
        if (day := eastern_day(booked.fill.event_ns)) in span
    )
    settled = [_settled(ledger.positions[one.market_ticker], one) for one in booked_in_span if one.before is None]
    corrected = [_correction(one, one.before) for one in booked_in_span if one.before is not None]
    known = [ledger.positions[ticker] for ticker in sorted(ledger.positions)]
    return Statement(
        fills=lines,
        settled=tuple(sorted(settled, key=lambda line: (line.settled_ns or 0, line.market_ticker))),
        positions=tuple(_market(one) for one in known if one.count and not ledger.entries(one.market_ticker)),
        totals=_totals(lines, booked_in_span),
        corrections=tuple(sorted(corrected, key=lambda line: (line.booked_ns, line.market_ticker))),
        bookings=booked_in_span,
    )


def _market(held: Position) -> MarketLine:
    return MarketLine(
        held.market_ticker, held.event_ticker, held.series_ticker, held.count, held.cash, held.fees
    )  # fmt: skip


def _settled(held: Position, booking: Booking) -> MarketLine:
    at = booking.result.at_ns
    return replace(
        _market(held),
        result=booking.result.result,
        day=eastern_day(at),
        settled_ns=at,
        paid=Dollars(booking.profit - held.cash),
        profit=booking.profit,
    )


def _correction(booking: Booking, before: Result) -> CorrectionLine:
    return CorrectionLine(
        booking.market_ticker,
        booking.event_ticker,
        booking.series_ticker,
        booking.count,
        booking.result.result,
        before.result,
        eastern_day(booking.result.at_ns),
        booking.result.at_ns,
        booking.profit,
    )


def _totals(fills: Iterable[FillLine], bookings: Iterable[Booking]) -> tuple[Total, ...]:
    fills_of: defaultdict[tuple[date, str], list[FillLine]] = defaultdict(list)
    booked_of: defaultdict[tuple[date, str], list[Booking]] = defaultdict(list)
    for fill in fills:
        fills_of[fill.day, fill.booked.series_ticker].append(fill)
    for one in bookings:
        booked_of[eastern_day(one.result.at_ns), one.series_ticker].append(one)
    return tuple(
        Total(
            day,
            series,
            fills=len(fills_of[day, series]),
            contracts=Count(sum(line.booked.fill.count for line in fills_of[day, series])),
            fees=Dollars(sum(line.booked.fill.fee for line in fills_of[day, series])),
            settled=sum(one.before is None for one in booked_of[day, series]),
            profit=profit_of(booked_of[day, series]),
        )
        for day, series in sorted({*fills_of, *booked_of})
    )
