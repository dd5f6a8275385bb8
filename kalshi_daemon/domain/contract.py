"""What a market pays, and on which price grid it trades. Strikes come from the venue's fields, never the ticker."""

from dataclasses import dataclass
from enum import StrEnum

from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.units import PRICE_ONE, Level, Nanos, Price


class StrikeType(StrEnum):
    """The strike types an index market can have (docs/reference/venue.md 7); any other is refused."""

    GREATER = "greater"
    GREATER_OR_EQUAL = "greater_or_equal"
    LESS = "less"
    LESS_OR_EQUAL = "less_or_equal"
    BETWEEN = "between"


@dataclass(frozen=True, slots=True)
class Contract:
    """A binary step function of one index value.

    `lowest` and `highest` are the inclusive ends, in 1/10 000 point, of the settlement values for which YES pays one
    dollar; None means open. The five strike types all reduce to such an interval because settlement values have two
    decimals: `greater` 7844.9999 and `greater_or_equal` 7845 both start at 7845.00.
    """

    market_ticker: str
    event_ticker: str
    series_ticker: str
    index: Index
    strike_type: StrikeType
    lowest: Level | None
    highest: Level | None
    settles_ns: Nanos

    def pays(self, value: Level) -> bool:
        """Whether YES pays at this settlement value."""
        return (self.lowest is None or value >= self.lowest) and (self.highest is None or value <= self.highest)


@dataclass(frozen=True, slots=True)
class PriceBand:
    """Prices from `start` to `end` inclusive are valid every `step`."""

    start: Price
    end: Price
    step: Price


@dataclass(frozen=True, slots=True)
class PriceGrid:
    """The market's `price_ranges`; the venue's label for it is never used. 0 and 1 dollar are not tradable."""

    bands: tuple[PriceBand, ...]

    def contains(self, price: Price) -> bool:
        """Whether an order may be placed at this price, in 1/10 000 dollar."""
        return 0 < price < PRICE_ONE and any(
            band.start <= price <= band.end and (price - band.start) % band.step == 0 for band in self.bands
        )

    def at_or_below(self, price: int) -> Price | None:
        """The highest valid price <= `price`; None when there is none."""
        best: int | None = None
        for band in self.bands:
            if price < band.start:
                continue
            top = min(price, band.end)
            candidate = top - (top - band.start) % band.step
            if candidate >= PRICE_ONE:
                candidate -= band.step
            if candidate > 0 and (best is None or candidate > best):
                best = candidate
        return None if best is None else Price(best)

    def at_or_above(self, price: int) -> Price | None:
        """The lowest valid price >= `price`; None when there is none."""
        best: int | None = None
        for band in self.bands:
            if price > band.end:
                continue
            low = max(price, band.start)
            candidate = low + (-(low - band.start)) % band.step
            if candidate <= 0:
                candidate += band.step
            if candidate <= min(band.end, PRICE_ONE - 1) and (best is None or candidate < best):
                best = candidate
        return None if best is None else Price(best)

    def below(self, price: int) -> Price | None:
        """The next valid price strictly below."""
        return self.at_or_below(price - 1)

    def above(self, price: int) -> Price | None:
        """The next valid price strictly above."""
        return self.at_or_above(price + 1)


class MarketStatus(StrEnum):
    """The response enum of a market (docs/reference/venue.md 2.2)."""

    INITIALIZED = "initialized"
    INACTIVE = "inactive"
    ACTIVE = "active"
    CLOSED = "closed"
    DETERMINED = "determined"
    DISPUTED = "disputed"
    AMENDED = "amended"
    FINALIZED = "finalized"


@dataclass(frozen=True, slots=True)
class Market:
    """A listed market as the venue last described it."""

    contract: Contract
    grid: PriceGrid
    status: MarketStatus
    open_ns: Nanos
    close_ns: Nanos
    exchange_index: int | None
    result: str
    """`yes`, `no` or "" while undetermined."""
    expiration_value: str
    """The settlement value as published, or ""."""

    @property
    def ticker(self) -> str:
        return self.contract.market_ticker


class FeeType(StrEnum):
    """Fee schedules we can price. Any other stops the series."""

    QUADRATIC = "quadratic"
    QUADRATIC_WITH_MAKER_FEES = "quadratic_with_maker_fees"


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """fee = multiplier x rate x C x P x (1-P); rate 0.07 taker, 0.0175 maker (only with maker fees)."""

    fee_type: FeeType
    multiplier_ppm: int
    """The multiplier in millionths: 1 is 1_000_000."""
    read_ns: Nanos
