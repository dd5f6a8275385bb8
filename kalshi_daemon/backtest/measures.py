"""What a session was worth: every fill against the true distribution, and against the others' mid later on.

The edge of a fill is its price against the probability that the settlement pays, under the distribution the paths were
made with, at that second: a martingale, so it stands for the settlement without its noise. Markouts are against the mid
of everybody else's orders, ours left out; half-spread earned and adverse part add up to them. Prices in cents a
contract, signed so that more is better for us; money in dollars.
"""

import math
from dataclasses import dataclass, field
from typing import Final

from scipy.special import ndtr

from kalshi_daemon.backtest.recorded.recorded_world import RecordedWorld
from kalshi_daemon.domain.contract import Contract
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.domain.window import Phase
from kalshi_daemon.ground.units import CONTRACT, DOLLAR, POINT, SECOND, Nanos
from kalshi_daemon.guardrails.exposure import Exposure
from kalshi_daemon.simulator.exchange.holdings import MICROS
from kalshi_daemon.simulator.exchange.instruments import contract_of
from kalshi_daemon.simulator.exchange.sim_book import BookSide, SimBook
from kalshi_daemon.simulator.exchange.sim_orders import FillRecord, SimOrder
from kalshi_daemon.simulator.world import World
from kalshi_daemon.state import DaemonState

HORIZONS_S: Final = (5, 30, 300)
_CENTS: Final = 100.0
_HALF_STEP: Final = 0.005
"""Settlement values have two decimals: a bound lies half a step beyond the last value that pays."""


@dataclass(slots=True)
class MeasuredFill:
    """One fill of ours."""

    at_ns: Nanos
    event_ticker: str
    market_ticker: str
    sign: int
    """1 for a bid, -1 for an ask."""
    price: float
    """Dollars, YES scale."""
    contracts: float
    fee: float
    """Dollars a contract."""
    edge: float | None
    """Cents a contract after fees, against the true distribution; None where nobody knows it: in recorded books."""
    believed: float | None
    """The same against the daemon's own fair value of the order; None where it had none: an order it never knew."""
    half_spread: float | None
    """Cents, against the others' mid just before; None when they had none."""
    markouts: dict[int, float] = field(default_factory=dict)
    """Seconds later -> cents a contract after fees; missing where the others had no mid then."""


@dataclass(slots=True)
class MeasuredWindow:
    """One event, as long as its window was open."""

    event_ticker: str
    open_s: int = 0
    quoting_s: int = 0
    worst_case_max: float = 0.0
    """Dollars: the most that settlement could have cost, all positions and live orders together."""
    has_law: bool = True
    """Whether an edge can be told."""


class SessionMeasures:
    """Looks on each second; writes nothing but its own figures."""

    def __init__(self, world: World | RecordedWorld, state: DaemonState) -> None:
        self._world = world
        self._state = state
        self._account = world.account
        self._contracts: dict[str, Contract] = {}
        self._seen = 0
        self._mids: dict[str, float] = {}
        """The others' mid of the markets we rest in, at the last look."""
        self._fairs: dict[str, float] = {}
        """What live orders were placed on, at the last look: one that has ended since may be gone when its fill is."""
        self._waiting: list[tuple[int, int, MeasuredFill]] = []
        """Due, horizon, fill."""
        self.fills: list[MeasuredFill] = []
        self.windows: dict[str, MeasuredWindow] = {}

    def look(self, now_ns: Nanos) -> None:
        """Take in what the second that ends now has brought."""
        for fill in self._account.fills[self._seen :]:
            self._take(fill)
        self._seen = len(self._account.fills)
        self._fairs = {order.client_order_id: order.fair for order in self._state.orders.live()}
        self._mark(now_ns)
        self._mids = {}
        for ticker in self._account.resting:
            mid = self._mid(ticker)
            if mid is not None:
                self._mids[ticker] = mid
        self._windows(now_ns)

    def _take(self, record: FillRecord) -> None:
        order = record.order
        ticker, sign = order.market.spec.ticker, 1 if order.side is Side.BID else -1
        price, contracts = record.price / DOLLAR, record.count / CONTRACT
        fee = record.fee / MICROS / DOLLAR / contracts
        before, own = self._mids.get(ticker), self._state.orders
        known = own.get(order.client_order_id)
        fair = self._fairs.get(order.client_order_id) if known is None else known.fair
        true = self._probability(ticker, record.at_ns)
        found = MeasuredFill(
            at_ns=record.at_ns,
            event_ticker=order.market.spec.event_ticker,
            market_ticker=ticker,
            sign=sign,
            price=price,
            contracts=contracts,
            fee=fee,
            edge=None if true is None else self._cents(sign, true, price, fee),
            believed=None if fair is None else self._cents(sign, fair, price, fee),
            half_spread=None if before is None else self._cents(sign, before, price, 0.0),
        )
        self.fills.append(found)
        self._waiting += [(int(record.at_ns) + s * SECOND, s, found) for s in HORIZONS_S]
        window = self._window(found.event_ticker)
        window.worst_case_max = max(window.worst_case_max, Exposure.of(self._state).worst_loss / DOLLAR)

    def _mark(self, now_ns: Nanos) -> None:
        due = [entry for entry in self._waiting if entry[0] <= now_ns]
        if not due:
            return
        self._waiting = [entry for entry in self._waiting if entry[0] > now_ns]
        for _due, horizon, fill in due:
            mid = self._mid(fill.market_ticker)
            if mid is not None:
                fill.markouts[horizon] = self._cents(fill.sign, mid, fill.price, fill.fee)

    def _windows(self, now_ns: Nanos) -> None:
        quoted = {self._world.exchange.catalogue.markets[one].spec.event_ticker for one in self._account.resting}
        for ticker, status in self._state.windows.items():
            if status.phase is Phase.OPEN and now_ns < status.window.target_ns:
                window = self._window(ticker)
                window.open_s += 1
                window.quoting_s += ticker in quoted

    def _window(self, event_ticker: str) -> MeasuredWindow:
        has_law = self._world.distributions is not None
        return self.windows.setdefault(event_ticker, MeasuredWindow(event_ticker, has_law=has_law))

    @staticmethod
    def _cents(sign: int, value: float, price: float, fee: float) -> float:
        return _CENTS * (sign * (value - price) - fee)

    def _probability(self, ticker: str, at_ns: Nanos) -> float | None:
        if self._world.distributions is None:
            return None
        contract = self._contracts.get(ticker)
        if contract is None:
            spec = self._world.exchange.catalogue.markets[ticker].spec
            contract = self._contracts[ticker] = contract_of(spec)
        index = contract.index
        truth, value = self._world.distributions[index], self._world.paths[index].value_at(at_ns)
        centre = value * math.exp(truth.drift(at_ns, contract.settles_ns))
        scale = centre * max(truth.sigma(at_ns, contract.settles_ns), 1e-7)
        high = 1.0 if contract.highest is None else ndtr((contract.highest / POINT + _HALF_STEP - centre) / scale)
        low = 0.0 if contract.lowest is None else ndtr((contract.lowest / POINT - _HALF_STEP - centre) / scale)
        return float(high - low)

    def _mid(self, ticker: str) -> float | None:
        return others_mid(self._world.exchange.book(ticker), self._account.name)


def others_mid(book: SimBook[SimOrder], account_name: str) -> float | None:
    """The mid of everybody else's best prices, dollars; None when a side has nobody else."""
    bid, ask = _others_best(book.bids, account_name), _others_best(book.asks, account_name)
    return None if bid is None or ask is None else (bid + ask) / 2 / DOLLAR


def _others_best(half: BookSide[SimOrder], account_name: str) -> int | None:
    if half.best is None:
        return None
    if any(order.account.name != account_name for order in half.levels[half.best].orders.values()):
        return half.best
    for price in sorted(half.levels, reverse=half.is_bid):
        if any(order.account.name != account_name for order in half.levels[price].orders.values()):
            return price
    return None
