"""What the exchange lists: series, events, markets as frozen descriptions."""

from dataclasses import dataclass
from typing import Final

from kalshi_daemon.domain.contract import Contract, PriceBand, PriceGrid, StrikeType
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.units import SECOND, SETTLEMENT_STEP, Level, Nanos, Price
from kalshi_daemon.simulator.exchange.sim_fees import FeeModel

LINEAR_CENT: Final = PriceGrid((PriceBand(Price(0), Price(10_000), Price(100)),))


@dataclass(frozen=True, slots=True)
class SeriesSpec:
    """A template of recurring events."""

    ticker: str
    index: Index
    title: str
    frequency: str
    name: str
    """Of its index, in titles and rules."""
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


SWEEP_DELAY: Final = Nanos(SECOND // 4)
"""Resting orders are swept "shortly after close" (docs/reference/venue.md 8)."""
