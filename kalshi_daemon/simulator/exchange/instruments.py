"""What the exchange lists: series, events, markets as frozen descriptions, and the moving part of a market."""

from dataclasses import dataclass, field
from typing import Final

from kalshi_daemon.domain.contract import Contract, MarketStatus, PriceBand, PriceGrid, StrikeType
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.units import SECOND, SETTLEMENT_STEP, Count, Level, Nanos, Price
from kalshi_daemon.simulator.exchange.sim_book import SimBook
from kalshi_daemon.simulator.exchange.sim_fees import FeeModel

LINEAR_CENT: Final = PriceGrid((PriceBand(Price(0), Price(10_000), Price(100)),))


@dataclass(frozen=True, slots=True)
class SeriesSpec:
    """A template of recurring events."""

    ticker: str
    index: Index
    title: str
    frequency: str
    fees: FeeModel = FeeModel()
    settlement_source: str = "Kalshi"


@dataclass(frozen=True, slots=True)
class MarketSpec:
    """One binary contract. `floor` and `cap` as the venue publishes them, in 1/10 000 point."""

    ticker: str
    event_ticker: str
    series_ticker: str
    index: Index
    title: str
    yes_sub_title: str
    rules: str
    strike_type: StrikeType
    floor: Level | None
    cap: Level | None
    open_ns: Nanos
    close_ns: Nanos
    settles_ns: Nanos
    """The instant whose index value decides."""
    grid: PriceGrid = LINEAR_CENT
    grid_label: str = "linear_cent"
    settlement_timer_s: int = 60


@dataclass(frozen=True, slots=True)
class EventSpec:
    """Markets that one index value settles."""

    ticker: str
    series_ticker: str
    index: Index
    title: str
    sub_title: str
    collateral_return_type: str
    settles_ns: Nanos
    markets: tuple[MarketSpec, ...]

    @property
    def mutually_exclusive(self) -> bool:
        return self.collateral_return_type == "MECNET"


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything listed for one session."""

    series: tuple[SeriesSpec, ...]
    events: tuple[EventSpec, ...]


def pays(spec: MarketSpec, value: Level) -> bool:
    """Whether YES pays at a settlement value: the strike types as the venue words them, `between` inclusive."""
    match spec.strike_type:
        case StrikeType.GREATER:
            return spec.floor is not None and value > spec.floor
        case StrikeType.GREATER_OR_EQUAL:
            return spec.floor is not None and value >= spec.floor
        case StrikeType.LESS:
            return spec.cap is not None and value < spec.cap
        case StrikeType.LESS_OR_EQUAL:
            return spec.cap is not None and value <= spec.cap
        case StrikeType.BETWEEN:
            return spec.floor is not None and spec.cap is not None and spec.floor <= value <= spec.cap


def contract_of(spec: MarketSpec) -> Contract:
    """The domain's view of a listed market, for traders that live in the same process."""
    step = int(SETTLEMENT_STEP)
    lowest, highest = spec.floor, spec.cap
    if lowest is not None:  # first value of two decimals that satisfies the floor
        strict = spec.strike_type is StrikeType.GREATER
        lowest = Level((lowest // step + 1) * step if strict else -(-lowest // step) * step)
    if highest is not None:
        strict = spec.strike_type is StrikeType.LESS
        highest = Level((-(-highest // step) - 1) * step if strict else highest // step * step)
    return Contract(
        spec.ticker,
        spec.event_ticker,
        spec.series_ticker,
        spec.index,
        spec.strike_type,
        lowest,
        highest,
        spec.settles_ns,
    )


@dataclass(slots=True, eq=False)
class SimMarket:
    """The moving part of a market. Money in micro-dollars, counts in 1/100 contract."""

    spec: MarketSpec
    market_id: str
    book: SimBook
    fees: FeeModel
    grid: PriceGrid
    grid_label: str
    rank: int
    """Place in the listing, for stable pagination."""
    updated_ns: Nanos
    inactive: bool = False
    determined_ns: Nanos | None = None
    settled_ns: Nanos | None = None
    disputed: bool = False
    """Determined, and the settlement held."""
    amended: bool = False
    """Settled a second time, by another result."""
    shard: int = 0
    """`exchange_index`."""
    result: str = ""
    settlement_value: Level | None = None
    last_price: Price = Price(0)
    last_count: Count = Count(0)
    volume: Count = Count(0)
    dollar_volume: int = 0
    open_interest: Count = Count(0)
    static_json: dict[str, object] = field(default_factory=dict)
    """Filled by the wire encoder once: the fields that never move."""

    def status(self, now_ns: Nanos) -> MarketStatus:
        """By the clock: there is no event at open or close (docs/reference/venue.md 5)."""
        if self.settled_ns is not None:
            return MarketStatus.AMENDED if self.amended else MarketStatus.FINALIZED
        if self.determined_ns is not None:
            return MarketStatus.DISPUTED if self.disputed else MarketStatus.DETERMINED
        if now_ns >= self.spec.close_ns:
            return MarketStatus.CLOSED
        if now_ns < self.spec.open_ns:
            return MarketStatus.INITIALIZED
        return MarketStatus.INACTIVE if self.inactive else MarketStatus.ACTIVE

    def trades_at(self, now_ns: Nanos) -> bool:
        return self.spec.open_ns <= now_ns < self.spec.close_ns and not self.inactive


SWEEP_DELAY: Final = Nanos(SECOND // 4)
"""Resting orders are swept "shortly after close" (docs/reference/venue.md 8)."""
