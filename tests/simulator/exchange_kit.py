"""A small exchange for tests: one ladder of eleven legs, hand-set time, named accounts."""

from dataclasses import dataclass
from datetime import date, time

from kalshi_daemon.domain.index import Geometry
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import MINUTE, Count, Dollars, Level, Nanos, Price, lots
from kalshi_daemon.simulator.exchange.exchange import DEFAULT_RULES, Exchange, Rules
from kalshi_daemon.simulator.exchange.instruments import Listing, SeriesSpec
from kalshi_daemon.simulator.exchange.listing import ladder_event, new_york, range_event
from kalshi_daemon.simulator.exchange.order_terms import OrderSpec
from kalshi_daemon.simulator.exchange.sim_orders import SimOrder
from tests.support.instruments import SPECS

DAY = date(2026, 11, 23)
TARGET = new_york(DAY, time(10))
START = new_york(DAY, time(9, 35))
EVENT = "KXINXU-26NOV23H1000"
RANGE_EVENT = "KXINX-26NOV23H1000"
TICKER = f"{EVENT}-T6849.9999"
"""6,850 or above."""
OTHER = f"{EVENT}-T6854.9999"
KXINXU: SeriesSpec = SPECS[0]


class HandClock:
    """Time moved by the test."""

    def __init__(self, now_ns: Nanos = START) -> None:
        self.now_ns_value = now_ns

    def __call__(self) -> Nanos:
        return self.now_ns_value

    def advance(self, duration_ns: int) -> Nanos:
        self.now_ns_value = Nanos(self.now_ns_value + duration_ns)
        return self.now_ns_value

    def set(self, now_ns: int) -> Nanos:
        self.now_ns_value = Nanos(now_ns)
        return self.now_ns_value


def small_listing() -> Listing:
    opens = Nanos(START - 60 * MINUTE)
    ladder = ladder_event(KXINXU, Geometry(5, 11, Level(1)), 6850.0, opens, TARGET)
    bins = range_event(SPECS[2], Geometry(25, 6, Level(1)), 6850.0, opens, TARGET)
    return Listing(SPECS, (ladder, bins))


def small_exchange(
    clock: HandClock | None = None, *, value: float = 6850.0, rules: Rules = DEFAULT_RULES, cash: int = 1_000
) -> tuple[Exchange, HandClock]:
    """Accounts `ann`, `bob` and `cat` with `cash` dollars each."""
    clock = clock or HandClock()
    exchange = Exchange(clock, 7, lambda _index, _ns: value, small_listing(), rules=rules)
    for name in ("ann", "bob", "cat"):
        exchange.open_account(name, Dollars(cash * 10_000))
    return exchange, clock


def spec(side: str, cents: int, contracts: int = 1, ticker: str = TICKER, **more: object) -> OrderSpec:
    return OrderSpec(ticker, Side(side), Price(cents * 100), lots(contracts), **more)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Placed:
    """An accepted create, with nothing optional about it."""

    order: SimOrder
    order_id: str
    fill_count: Count
    remaining: Count
    fill_cost: int
    fill_fees: int


def put(exchange: Exchange, name: str, side: str, cents: int, contracts: int = 1, **more: object) -> Placed:
    """Submit and insist that it was accepted."""
    receipt = exchange.submit(name, spec(side, cents, contracts, **more))  # type: ignore[arg-type]
    assert receipt.refusal is None, receipt.refusal
    order = receipt.order
    assert order is not None
    return Placed(order, order.order_id, receipt.fill_count, receipt.remaining, receipt.fill_cost, receipt.fill_fees)
