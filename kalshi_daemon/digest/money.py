"""What a day earned and what was at stake: by series, window and profile, open positions, budgets, fixings. Pure.

Profit belongs to the day its market settled, after the fees of all its fills, and of a correction to the day it was
booked; fees, fills and contracts of the day to
the day they happened (as `kalshi-daemon ledger` counts). By profile, a market closed before its fixing by several
profiles together cannot be divided: it stands under NOT_ONE_PROFILE, so that the parts always add up to the whole.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from kalshi_daemon.digest.fills import settled_value
from kalshi_daemon.digest.records import FillRecord, Records
from kalshi_daemon.digest.scans import BUDGETS, Peak, ScanDay, WindowScans
from kalshi_daemon.ground.units import CONTRACT, DOLLAR, Count, Dollars, Nanos, parse_level
from kalshi_daemon.orders.booked import BookedFill
from kalshi_daemon.orders.ledger import Booking, cash_of_fill, payout, profit_of
from kalshi_daemon.orders.statement import CorrectionLine, MarketLine

NOT_ONE_PROFILE: Final = "(not of one profile)"
NO_PROFILE: Final = "(unknown order)"


@dataclass(slots=True)
class Part:
    """One series, window or profile of the day."""

    name: str
    profit: int = 0
    """Of the markets settled on the day and the corrections booked on it, in 1/10 000 dollar."""
    fees: int = 0
    fills: int = 0
    contracts: int = 0
    markets: set[str] = field(default_factory=set)
    """Settled ones."""


@dataclass(frozen=True, slots=True)
class OpenLine:
    """A position that is not settled. `fair`: our last one of the day; None when no scan looked at the market."""

    market: MarketLine
    fair: float | None
    fair_ns: Nanos | None

    @property
    def profit(self) -> float | None:
        """What it would bring at that fair, in dollars; its fills' fees are in it."""
        if self.fair is None:
            return None
        return self.market.cash / DOLLAR + self.fair * self.market.count / CONTRACT


@dataclass(frozen=True, slots=True)
class Fixing:
    """One fixing of the day that has passed. `index` is the last value of our own feed at it, not the exchange's."""

    window: WindowScans
    index: float | None
    yes: int
    no: int
    disagree: tuple[str, ...]
    """Settled markets of ours whose result is not what that value says."""
    paid: Dollars
    profit: Dollars


@dataclass(frozen=True, slots=True)
class Money:
    """The money of a day."""

    profit: Dollars
    week_profit: Dollars
    fees: Dollars
    by_series: tuple[Part, ...]
    by_window: tuple[Part, ...]
    by_profile: tuple[Part, ...]
    open: tuple[OpenLine, ...]
    peaks: tuple[Peak, ...]
    fixings: tuple[Fixing, ...]
    corrections: tuple[CorrectionLine, ...] = ()
    """Settlements, mostly of earlier days, that the exchange changed and that were booked anew on the day."""

    @property
    def open_profit(self) -> float | None:
        """At our fairs; None when one of the open positions has none."""
        known = [line.profit for line in self.open]
        return None if None in known else sum(one for one in known if one is not None)


def money(records: Records, scans: ScanDay) -> Money:
    """All of it. `scans` must have been told of the markets held before its fold."""
    statement = records.journal.statement
    return Money(
        profit=statement.profit,
        week_profit=records.journal.week_profit,
        fees=statement.fees,
        by_series=_parts(records, lambda one: one.series_ticker),
        by_window=_parts(records, lambda one: one.event_ticker),
        by_profile=_by_profile(records),
        open=tuple(_open(line, scans) for line in statement.positions),
        peaks=tuple(scans.peaks[name] for name in BUDGETS if name in scans.peaks),
        fixings=tuple(
            _fixing(window, records, scans)
            for window in sorted(scans.windows.values(), key=lambda one: (one.target_ns, one.event))
            if window.target_ns <= records.now_ns
        ),
        corrections=statement.corrections,
    )


def _parts(records: Records, name: Callable[[Booking | BookedFill], str]) -> tuple[Part, ...]:
    parts: dict[str, Part] = {}
    of_part: defaultdict[str, list[Booking]] = defaultdict(list)
    for booking in records.journal.statement.bookings:
        of_part[name(booking)].append(booking)
    for part_name, bookings in of_part.items():
        part = _part(parts, part_name)
        part.profit = profit_of(bookings)
        part.markets = {one.market_ticker for one in bookings if one.before is None}
    _add_fills(parts, records.fills_of_day, lambda one: name(one.booked))
    return tuple(parts[name] for name in sorted(parts))


def _by_profile(records: Records) -> tuple[Part, ...]:
    parts: dict[str, Part] = {}
    cash: defaultdict[tuple[str, str], int] = defaultdict(int)
    count: defaultdict[tuple[str, str], int] = defaultdict(int)
    for one in records.journal.fills:
        fill, key = one.booked.fill, (one.booked.fill.market_ticker, one.profile or NO_PROFILE)
        cash[key] += cash_of_fill(fill)
        count[key] += fill.side.sign * fill.count
    for line in records.journal.statement.settled:
        left = line.profit or 0
        for ticker, profile in sorted(key for key in cash if key[0] == line.market_ticker):
            paid = payout(line.result or "", Count(count[ticker, profile]))
            if paid is None:
                continue
            part = _part(parts, profile)
            part.profit += cash[ticker, profile] + paid
            part.markets.add(ticker)
            left -= cash[ticker, profile] + paid
        if left:
            part = _part(parts, NOT_ONE_PROFILE)
            part.profit += left
            part.markets.add(line.market_ticker)
    for correction in records.journal.statement.corrections:
        _divide(correction, parts, count)
    _add_fills(parts, records.fills_of_day, lambda one: one.profile or NO_PROFILE)
    return tuple(parts[name] for name in sorted(parts))


def _divide(line: CorrectionLine, parts: dict[str, Part], count: Mapping[tuple[str, str], int]) -> None:
    """A correction by profile: each held its own part of the position."""
    left = int(line.profit)
    for ticker, profile in sorted(key for key in count if key[0] == line.market_ticker):
        held = Count(count[ticker, profile])
        after, before = payout(line.result, held), payout(line.previous_result, held)
        if after is not None and before is not None:
            _part(parts, profile).profit += after - before
            left -= after - before
    if left:
        _part(parts, NOT_ONE_PROFILE).profit += left


def _part(parts: dict[str, Part], name: str) -> Part:
    return parts.setdefault(name, Part(name))


def _add_fills(parts: dict[str, Part], fills: Iterable[FillRecord], name: Callable[[FillRecord], str]) -> None:
    for one in fills:
        part = _part(parts, name(one))
        part.fills += 1
        part.contracts += one.booked.fill.count
        part.fees += one.booked.fill.fee


def _open(line: MarketLine, scans: ScanDay) -> OpenLine:
    fairs = scans.fairs.get(line.market_ticker)
    return OpenLine(line, fairs[-1].fair, fairs[-1].at_ns) if fairs else OpenLine(line, None, None)


def _fixing(window: WindowScans, records: Records, scans: ScanDay) -> Fixing:
    tape = records.tapes.get(window.index)
    value = None if tape is None else tape.at(window.target_ns)
    lines = [line for line in records.journal.statement.settled if line.event_ticker == window.event]
    booked = [one for one in records.journal.statement.bookings if one.event_ticker == window.event]
    corrected = [one for one in booked if one.before is not None]
    paid = {line.market_ticker: settled_value(records.journal.results.get(line.market_ticker)) for line in lines}
    return Fixing(
        window=window,
        index=value,
        yes=sum(one == 1.0 for one in paid.values()),
        no=sum(one == 0.0 for one in paid.values()),
        disagree=() if value is None else tuple(sorted(_disagreeing(paid, value, scans))),
        paid=Dollars(sum(line.paid or 0 for line in lines) + profit_of(corrected)),
        profit=profit_of(booked),
    )


def _disagreeing(paid: dict[str, float | None], value: float, scans: ScanDay) -> Iterable[str]:
    """Markets whose result is not what the value says; one that no manifest describes says nothing."""
    level = parse_level(round(value, 2))
    for ticker, one in paid.items():
        pays = scans.pays.get(ticker)
        described = pays is not None and not (pays.lowest is None and pays.highest is None)
        if one is not None and pays is not None and described and pays.holds(level) != (one == 1.0):
            yield ticker
