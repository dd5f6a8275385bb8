"""Where a flow is taken from: the simulated crowd alone in its market, or a recorded day of book events."""

from collections.abc import Callable
from datetime import date, time
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from kalshi_daemon.domain.contract import Contract
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import CONTRACT, MINUTE, POINT, SECOND, Count, Nanos, Price
from kalshi_daemon.simulator.exchange.instruments import contract_of
from kalshi_daemon.simulator.traders.alert import INFORMED
from kalshi_daemon.simulator.traders.traders import MarketAccess, TraderMix
from kalshi_daemon.simulator.world import World, WorldPlan
from tests.backtest.flow import Flow, FlowTally, Top, Trade

_CENT: Final = 100.0
_NEAR: Final = (0.10, 0.90)
"""Books whose mid lies beyond are not looked at: nor would a recorder have chosen them."""
_UNTIL_LEFT: Final = Nanos(5 * MINUTE)
"""The last minutes before a fixing are left out: makers leave then."""


def simulated_flow(mix: TraderMix, seed: int, day: date, start: time, until: time) -> Flow:
    """The crowd of one made-up session, nobody else with it. Raises ConfigurationError as World does."""
    world = World(WorldPlan(seed, 1.0, day, start, until, mix=mix))
    world.publish = _nobody_listens
    ear = _Ear(world)
    world._access = ear.between(world._access)
    now = int(world.start_ns)
    while now < world.end_ns:
        now += SECOND
        ear.now = Nanos(now)
        world.clock.steer(Nanos(now), Nanos(now))
        world.run_until(Nanos(now))
        ear.look()
    return ear.tally.figures(world.end_ns)


def _nobody_listens(_now: Nanos) -> None:
    return None


class _Ear:
    """Hears what the crowd does, and looks at the books of the events that trade."""

    def __init__(self, world: World) -> None:
        self.now = world.start_ns
        self._world = world
        self._contracts: dict[str, Contract] = {}
        self._quoted: set[str] = set()
        self.tally = FlowTally(self._index_at, self._rises)
        self._told = world.plan.mix.notice_s is not None

    def between(self, access: MarketAccess) -> MarketAccess:
        return _Tap(access, self)

    def look(self) -> None:
        """Note the tops of the books that were ever quoted; one whose fixing is near is left out, and over."""
        for ticker in list(self._quoted):
            if self._contract(ticker).settles_ns - self.now < _UNTIL_LEFT:
                self._quoted.discard(ticker)
            self.tally.top(self.now, ticker, self.near(ticker))

    def quoted(self, ticker: str) -> None:
        """Somebody rests there from now on."""
        self._quoted.add(ticker)

    def near(self, ticker: str) -> Top | None:
        """The top of a book near the money; None for any other, and when its fixing is near."""
        contract = self._contract(ticker)
        if contract.settles_ns - self.now < _UNTIL_LEFT:
            return None
        book = self._world.exchange.book(ticker)
        bid, ask = book.bids.best, book.asks.best
        if bid is None or ask is None or not _NEAR[0] <= (bid + ask) / 20_000 <= _NEAR[1]:
            return None
        bids, asks = book.bids.levels[bid].total, book.asks.levels[ask].total
        return Top(bid / _CENT, bids / CONTRACT, ask / _CENT, asks / CONTRACT)

    def _contract(self, ticker: str) -> Contract:
        found = self._contracts.get(ticker)
        if found is None:
            found = self._contracts[ticker] = contract_of(self._world.exchange.catalogue.markets[ticker].spec)
        return found

    def _index_at(self, ticker: str, at_ns: int) -> float:
        return float(self._world.paths[self._contract(ticker).index].value_at(Nanos(at_ns)))

    def _rises(self, ticker: str, at_ns: int) -> bool:
        """A range rises with the index while the index is below its middle."""
        contract = self._contract(ticker)
        if contract.lowest is None or contract.highest is None:
            return contract.highest is None
        return self._index_at(ticker, at_ns) < (contract.lowest + contract.highest) / 2 / POINT

    def taken(self, account: str, ticker: str, side: Side, price: Price, count: Count, top: Top | None) -> None:
        """A taker's order, with the book it met. Only a crowd that names its informed ones says who knew."""
        if top is not None and count:
            sign = 1 if side is Side.BID else -1
            informed = account.endswith(INFORMED) if self._told else None
            self.tally.trade(Trade(self.now, ticker, sign, price / _CENT, count / CONTRACT, top.mid, informed))


class _Tap:
    """Between the crowd and the exchange."""

    def __init__(self, access: MarketAccess, ear: _Ear) -> None:
        self._access = access
        self._ear = ear
        self._side: dict[str, tuple[str, int]] = {}
        self.best = access.best
        self.remaining = access.remaining
        self.traded = access.traded

    def rest(self, account: str, market_ticker: str, side: Side, price: Price, count: Count) -> str | None:
        top = self._ear.near(market_ticker)
        placed = self._access.rest(account, market_ticker, side, price, count)
        self._ear.quoted(market_ticker)
        if placed is not None and top is not None:
            sign = 1 if side is Side.BID else -1
            self._side[placed] = (market_ticker, sign)
            self._ear.tally.place(sign, price / _CENT, top)
        return placed

    def take(self, account: str, market_ticker: str, side: Side, price: Price, count: Count) -> Count:
        top = self._ear.near(market_ticker)
        filled = self._access.take(account, market_ticker, side, price, count)
        self._ear.taken(account, market_ticker, side, price, filled, top)
        return filled

    def cancel(self, account: str, order_id: str) -> None:
        known = self._side.pop(order_id, None)
        if known is not None and self._access.remaining(account, order_id):
            self._ear.tally.cancel(self._ear.now, *known)
        self._access.cancel(account, order_id)


# --- recorded days ----------------------------------------------------------------------------------------------------


def recorded_flow(folder: Path, day: str) -> Flow:
    """One recorded day of one bracket (`book_events_DAY.parquet`, `SPX_1hz_DAY.parquet`). Raises OSError."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - only readers need it

    events = pq.read_table(folder / f"book_events_{day}.parquet")
    index = pq.read_table(folder / f"SPX_1hz_{day}.parquet")
    stamps, values = index["ts"].cast("int64").to_numpy() * 1_000, index["spx"].to_numpy()

    def index_at(_market: str, at_ns: int) -> float | None:
        place = int(np.searchsorted(stamps, at_ns, side="right")) - 1
        return float(values[place]) if place >= 0 else None

    book = _Recorded(FlowTally(index_at, lambda _market, at_ns: rises(at_ns)))
    rows = zip(
        (events["ts"].cast("int64").to_numpy() * 1_000).tolist(),
        events["Operation"].to_pylist(),
        events["Side"].to_pylist(),
        events["Volume"].to_pylist(),
        events["price_cents"].to_pylist(),
        strict=True,
    )
    last = 0
    for at_ns, operation, side, volume, price in rows:
        book.event(
            Nanos(at_ns), inserted=operation == "Insert", sign=1 if side == "B" else -1, size=volume, price=price
        )
        last = at_ns
    rises = _slopes(book, stamps, values)
    return book.tally.figures(Nanos(last))


class _Recorded:
    """A book made of inserts and cancels, in which an insert that crosses trades."""

    def __init__(self, tally: FlowTally) -> None:
        self.tally = tally
        self._sides: dict[int, dict[int, int]] = {1: {}, -1: {}}
        self.mids: list[tuple[int, float]] = []

    def _best(self, sign: int) -> int | None:
        return (max if sign > 0 else min)(self._sides[sign], default=None)

    def _top(self) -> Top | None:
        bid, ask = self._best(1), self._best(-1)
        if bid is None or ask is None or not _NEAR[0] <= (bid + ask) / 200 <= _NEAR[1]:
            return None
        return Top(bid, self._sides[1][bid], ask, self._sides[-1][ask])

    def event(self, at_ns: Nanos, *, inserted: bool, sign: int, size: int, price: int) -> None:
        """One row. A cancel of what is not there is left out."""
        top, own = self._top(), self._sides[sign]
        if inserted:
            left = self._traded(at_ns, sign, size, price, top)
            if left:
                own[price] = own.get(price, 0) + left
                if top is not None and left == size:
                    self.tally.place(sign, price, top)
        elif price in own:
            own[price] -= size
            if own[price] <= 0:
                del own[price]
            if top is not None:
                self.tally.cancel(at_ns, "bracket", sign)
        now = self._top()
        self.tally.top(at_ns, "bracket", now)
        if now is not None:
            self.mids.append((int(at_ns), now.mid))

    def _traded(self, at_ns: Nanos, sign: int, size: int, price: int, top: Top | None) -> int:
        """What is left of an insert after what it trades with."""
        others, left, paid = self._sides[-sign], size, 0
        while left and (best := self._best(-sign)) is not None and (best <= price if sign > 0 else best >= price):
            count = min(left, others[best])
            paid, left = paid + count * best, left - count
            others[best] -= count
            if not others[best]:
                del others[best]
        done = size - left
        if done and top is not None:
            self.tally.trade(Trade(at_ns, "bracket", sign, paid / done, done, top.mid))
        return left


def _slopes(book: _Recorded, stamps: Any, values: Any) -> Callable[[int], bool | None]:
    """Whether the mid rose with the index over the hour around an instant: a bracket does on one side of its middle."""
    at = np.array([one for one, _ in book.mids])
    mids = np.array([mid for _, mid in book.mids])
    grid = np.arange(at[0], at[-1], 30 * SECOND)
    mid = np.diff(mids[np.searchsorted(at, grid, side="right") - 1])
    index = np.diff(values[np.maximum(0, np.searchsorted(stamps, grid, side="right") - 1)])

    @lru_cache(maxsize=1_024)
    def slope(minute: int) -> bool | None:
        near = np.abs(grid[:-1] - minute * MINUTE) <= 30 * MINUTE
        total = float((mid[near] * index[near]).sum())
        return None if total == 0.0 else total > 0.0

    return lambda at_ns: slope(at_ns // MINUTE)
