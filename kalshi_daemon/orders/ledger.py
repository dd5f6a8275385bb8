"""Positions, cash and profit from fills and settlements, to 1/10 000 dollar. Pure; the order of arrival never matters.

A position is YES-signed: a filled bid adds, a filled ask (sell YES = buy NO) subtracts. `cash` of a position is what
its fills did to our money on the YES scale, fees included: a bid at P takes P x C, an ask brings P x C. For the part
that is short the exchange in fact took (1 - P) x C and holds the pair's dollar; `exchange_cash` puts that dollar back,
so that it equals the change of the exchange's own cash (docs/reference/venue.md 7.2, 7.3).

Profit is realised when the market settles, in the New York day and week of the settlement: cash plus what the position
pays. There is no settlement fee on binary markets. Market results are kept apart from positions, so a fill that turns
up after its market's settlement is booked as if it had come in time.

A settlement is not final: a market may be disputed, determined again or amended (docs/reference/venue.md 2.2). What was
booked first stays on its day; a correction stands beside it, on the day it was booked, with the difference.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import time, timedelta
from typing import Final

from kalshi_daemon.domain.order import Fill
from kalshi_daemon.ground.new_york import eastern_day, eastern_ns
from kalshi_daemon.ground.units import CONTRACT, PRICE_ONE, Count, Dollars, Nanos
from kalshi_daemon.orders.booked import BookedFill, Inherited, Result
from kalshi_daemon.state import LedgerState, Position

FLAT: Final = "flat"
"""Result of a market that was over while we held nothing: no settlement of ours will ever be listed."""
_SAYING: Final = ("yes", "no")
"""Results that say what a position pays."""
_PAYS: Final = PRICE_ONE // CONTRACT
"""What 1/100 contract pays, in 1/10 000 dollar."""
_MICROS: Final = 100
"""Millionths of a dollar in 1/10 000 dollar; price x count is in millionths."""


@dataclass(frozen=True, slots=True)
class Booking:
    """A result as it was booked, and what it brought: all of the market's profit at first, then the difference."""

    market_ticker: str
    event_ticker: str
    series_ticker: str
    count: Count
    """Signed, + YES."""
    result: Result
    before: Result | None
    """What stood in the books until then; None: nothing, it is the first."""
    profit: Dollars


def profit_of(bookings: Iterable[Booking]) -> Dollars:
    """What they brought together: the one sum behind every profit of a day, week, series or window."""
    return Dollars(sum(one.profit for one in bookings))


def cash_of_fill(fill: Fill) -> Dollars:
    """What a fill did to our cash on the YES scale, exact.

    Balances are kept to $0.0001 and a fee is reported rounded up to that, so of a fractional fill's millionths the
    part above the reported fee is the venue's own rounding: the change is the next multiple of $0.0001 upwards.
    """
    revenue_micro = -fill.side.sign * fill.price * fill.count
    return Dollars(-((fill.fee * _MICROS - revenue_micro) // _MICROS))


def payout(result: str, count: Count) -> Dollars | None:
    """What a signed position brings on the YES scale; None for a result that does not say."""
    if result == "yes":
        return Dollars(count * _PAYS)
    if result == "no" or count == 0:
        return Dollars(0)
    return None


def revenue(result: str, count: Count) -> Dollars | None:
    """What the exchange pays for a signed position: one dollar per contract on the right side."""
    if result in {"yes", "no"}:
        return Dollars(max(0, count if result == "yes" else -count) * _PAYS)
    return Dollars(0) if count == 0 else None


def day_start(now_ns: Nanos) -> Nanos:
    """New York midnight of the day of `now_ns`."""
    return eastern_ns(eastern_day(now_ns), time())


def week_start(now_ns: Nanos) -> Nanos:
    """New York midnight of that week's Monday."""
    day = eastern_day(now_ns)
    return eastern_ns(day - timedelta(days=day.weekday()), time())


class Ledger:
    """Owns its positions; everyone else reads them. Memory is bounded by `forget_settled`."""

    def __init__(self) -> None:
        self._positions: dict[str, Position] = {}
        self._results: dict[str, list[Result]] = {}
        """The first entry of each market, then its corrections in the order of their booking."""
        self._trades: dict[str, str] = {}
        self.corrected = 0
        """Corrections booked since the start, loaded ones included."""
        self._fees = 0
        self._fills = 0
        self._contracts = 0
        self._forgotten_cash = 0

    # --- booking ------------------------------------------------------------------------------------------------------

    def add_fill(self, booked: BookedFill) -> bool:
        """Book a fill once; False when its trade id was booked before."""
        fill = booked.fill
        if fill.trade_id in self._trades:
            return False
        self._trades[fill.trade_id] = fill.market_ticker
        position = self._position(fill.market_ticker, booked.event_ticker, booked.series_ticker)
        position.count = Count(position.count + fill.side.sign * fill.count)
        position.cash = Dollars(position.cash + cash_of_fill(fill))
        position.fees = Dollars(position.fees + fill.fee)
        position.traded = Count(position.traded + fill.count)
        self._fees += fill.fee
        self._fills += 1
        self._contracts += fill.count
        self._mark(position)
        return True

    def inherit(self, held: Inherited) -> None:
        """Take over a position of unknown cost. Call once per market, before its fills count."""
        position = self._position(held.market_ticker, held.event_ticker, held.series_ticker)
        position.count = Count(position.count + held.count)
        position.cash = Dollars(position.cash - max(0, held.count) * _PAYS)
        self._mark(position)

    def corrects(self, market_ticker: str, result: Result) -> bool:
        """Whether this contradicts what was booked, so that it is a correction and no confirmation.

        A result that never said what it pays (`flat`, a scalar one without its revenue) cannot be contradicted.
        """
        known = self.result(market_ticker)
        if (
            known is None
            or FLAT in {known.result, result.result}
            or (known.revenue is not None and result.revenue is None)
        ):
            return False
        if known.revenue is None and (known.result == result.result or known.result not in _SAYING):
            return False
        return (known.result, known.revenue) != (result.result, result.revenue)

    def set_result(self, market_ticker: str, result: Result) -> bool:
        """Book how a market ended; False when that changes nothing.

        What the exchange listed is overruled by another listing only. A result that contradicts the booked one is
        booked beside it, as of its own time; one that adds the revenue takes its place.
        """
        entries = self._results.setdefault(market_ticker, [])
        if self.corrects(market_ticker, result):
            entries.append(result)
            self.corrected += 1
        elif not entries:
            entries.append(result)
        elif self._adds_to(entries[-1], result):
            entries[-1] = result
        else:
            return False
        position = self._positions.get(market_ticker)
        if position is not None:
            self._mark(position)
        return True

    @staticmethod
    def _adds_to(known: Result, result: Result) -> bool:
        return known.revenue is None and known != result and (result.result != FLAT or known.result == FLAT)

    def forget_settled(self, before_ns: Nanos) -> None:
        """Drop markets settled before `before_ns`; their cash stays in `exchange_cash`.

        Their trade ids go too: the journal still knows them.
        """
        gone = {
            ticker
            for ticker, entries in self._results.items()
            if max(entry.at_ns for entry in entries) < before_ns
            and (ticker not in self._positions or self._positions[ticker].settled)
        }
        self._forgotten_cash += sum(self.profit(ticker) or 0 for ticker in gone)
        for ticker in gone:
            del self._results[ticker]
            self._positions.pop(ticker, None)
        self._trades = {trade: ticker for trade, ticker in self._trades.items() if ticker not in gone}

    # --- reading ------------------------------------------------------------------------------------------------------

    @property
    def positions(self) -> Mapping[str, Position]:
        return self._positions

    def count(self, market_ticker: str) -> Count:
        """Contracts held in a market, in 1/100, negative for NO; 0 where we hold none."""
        position = self._positions.get(market_ticker)
        return Count(0) if position is None else position.count

    def result(self, market_ticker: str) -> Result | None:
        """How a market ended, as far as is known now: the last correction, else the first entry."""
        entries = self._results.get(market_ticker)
        return entries[-1] if entries else None

    def paid_since(self) -> Nanos | None:
        """When the first of the settled markets with a position was paid; None without any."""
        held = (ticker for ticker, one in self._positions.items() if one.settled and one.count)
        return min((self._results[ticker][0].at_ns for ticker in held), default=None)

    def corrections(self, market_ticker: str) -> int:
        """How often a market's result was corrected."""
        return max(0, len(self._results.get(market_ticker, ())) - 1)

    def open_positions(self) -> Iterable[Position]:
        """Not settled yet, flat ones included."""
        return (position for position in self._positions.values() if not position.settled)

    def profit(self, market_ticker: str) -> Dollars | None:
        """What a settled market made or lost; None while it is open."""
        entries = self.entries(market_ticker)
        return Dollars(sum(profit for _, profit in entries)) if entries else None

    def entries(self, market_ticker: str) -> list[tuple[Result, Dollars]]:
        """Each entry of a settled market with its profit: the first with all of it, a correction with the difference.

        Empty while the market is open.
        """
        position = self._positions.get(market_ticker)
        if position is None or not position.settled:
            return []
        found: list[tuple[Result, Dollars]] = []
        before = -position.cash
        for entry in self._results[market_ticker]:
            paid = _paid(entry, position.count)
            if paid is not None:  # only a late fill can leave an entry without: the next one then carries all of it
                found.append((entry, Dollars(paid - before)))
                before = paid
        return found

    def at_risk(self, market_ticker: str) -> Dollars:
        """What a settled market may still take back if its result turns to the worse, >= 0."""
        position, profit = self._positions.get(market_ticker), self.profit(market_ticker)
        if position is None or profit is None:
            return Dollars(0)
        outcomes = [position.cash + (payout(one, position.count) or 0) for one in _SAYING]
        return Dollars(max(0, profit - min(outcomes)))

    def bookings(self, since_ns: Nanos, until_ns: Nanos | None = None) -> Iterator[Booking]:
        """What was booked in [since, until): markets settled then, and corrections made then; in no order."""
        for ticker in self._results:
            before = None
            for entry, profit in self.entries(ticker):
                if entry.at_ns >= since_ns and (until_ns is None or entry.at_ns < until_ns):
                    held = self._positions[ticker]
                    yield Booking(ticker, held.event_ticker, held.series_ticker, held.count, entry, before, profit)
                before = entry

    def realized(self, since_ns: Nanos, until_ns: Nanos | None = None) -> Dollars:
        """Profit of what was booked in [since, until)."""
        return profit_of(self.bookings(since_ns, until_ns))

    def realized_today(self, series_ticker: str, now_ns: Nanos) -> Dollars:
        """Of one series since New York midnight."""
        return profit_of(one for one in self.bookings(day_start(now_ns)) if one.series_ticker == series_ticker)

    def tied_up(self) -> Dollars:
        """What open positions have done to the exchange's cash so far, mostly negative: pairs' dollars are held."""
        return Dollars(sum(p.cash + min(0, p.count) * _PAYS for p in self.open_positions()))

    def exchange_cash(self) -> Dollars:
        """What all of it has done to the exchange's cash of the account: paid in full, pairs' dollars given back."""
        return Dollars(self._forgotten_cash + self.tied_up() + sum(self.profit(t) or 0 for t in self._positions))

    def state(self, now_ns: Nanos, disputed: Iterable[str] = ()) -> LedgerState:
        """The shared form, as of now: today and this week begin at New York midnights.

        `disputed` are markets that have paid and are not final.
        """
        return LedgerState(
            positions=dict(self._positions),
            realized_today=self.realized(day_start(now_ns)),
            realized_week=self.realized(week_start(now_ns)),
            disputed=Dollars(sum(self.at_risk(ticker) for ticker in disputed)),
            fees_total=Dollars(self._fees),
            fills_total=self._fills,
            contracts_total=Count(self._contracts),
        )

    # --- inside -------------------------------------------------------------------------------------------------------

    def _position(self, market_ticker: str, event_ticker: str, series_ticker: str) -> Position:
        found = self._positions.get(market_ticker)
        if found is None:
            found = self._positions[market_ticker] = Position(market_ticker, event_ticker, series_ticker)
        return found

    def _mark(self, position: Position) -> None:
        """Settled or not: `flat` holds only while nothing is held, a result without a value only with its revenue."""
        result = self.result(position.market_ticker)
        known = result is not None and _paid(result, position.count) is not None
        position.settled = result.result if result is not None and known else ""


def _paid(result: Result, count: Count) -> Dollars | None:
    """What a signed position got on the YES scale; None when the result does not say."""
    paid = payout(result.result, count)
    if paid is not None or result.revenue is None:
        return paid
    return Dollars(result.revenue + min(0, count) * _PAYS)
