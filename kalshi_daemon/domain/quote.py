"""What we would like to rest, and why. Bid = buy YES; ask = sell YES (= buy NO at the complement)."""

from dataclasses import dataclass
from enum import StrEnum

from kalshi_daemon.domain.window import Window
from kalshi_daemon.ground.units import Count, Dollars, Level, Nanos, Price, complement, cost_ceil


class Side(StrEnum):
    """The venue's `side` of the V2 order API, on the YES book."""

    BID = "bid"
    ASK = "ask"

    @property
    def sign(self) -> int:
        """+1 when a fill makes the YES position larger."""
        return 1 if self is Side.BID else -1


@dataclass(frozen=True, slots=True)
class Profile:
    """One way of quoting (docs/reference/predecessor.md 2). Money in 1/10 000 dollar."""

    name: str
    series: tuple[str, ...]
    lots: int
    """Contracts per quote."""
    bins: int
    """Most unique markets quoted at a time per series."""
    impact_cap: Price
    """Most a quote may improve on the best price of its own side, and the largest mid jump tolerated between looks."""
    min_ev: Price
    """Least expected value per contract after fees."""
    scan_every: Nanos


@dataclass(frozen=True, slots=True)
class Quote:
    """One order we want resting."""

    market_ticker: str
    side: Side
    price: Price
    count: Count
    profile: str
    window: Window
    fair: float
    """Our probability that YES pays (after any blend with the book)."""
    model_fair: float
    """The forecast's probability alone."""
    required_edge: float
    """Least distance from fair, in dollars per contract, that pays for staleness, vol error and calibration error."""
    ev: Price
    """Expected value per contract after fees, in 1/10 000 dollar."""
    fee: Dollars
    """Maker fee of the whole quote if filled."""

    @property
    def max_loss(self) -> Dollars:
        """The most this quote can lose if filled and wrong: premium plus fee."""
        paid = self.price if self.side is Side.BID else complement(self.price)
        return Dollars(cost_ceil(paid, self.count) + self.fee)


@dataclass(frozen=True, slots=True)
class Look:
    """One market as a scan saw it: quoted or not, and in one word why. What `why TICKER` prints."""

    market_ticker: str
    fair: float
    model_fair: float
    best_bid: Price | None
    best_ask: Price | None
    outcome: str
    """`quoted`, `kept`, or a reason: every word is in `ladder.outcomes`."""
    detail: str = ""
    """The numbers behind the outcome, short."""
    lowest: Level | None = None
    """Lowest settlement value for which YES pays, as `Contract.lowest`; with `highest` None too: not said."""
    highest: Level | None = None


@dataclass(frozen=True, slots=True)
class QuotePlan:
    """The outcome of one scan of one window by one profile, before the guards."""

    plan_id: str
    profile: Profile
    window: Window
    made_ns: Nanos
    quotes: tuple[Quote, ...]
    """New quotes wanted, best first."""
    keep: tuple[str, ...]
    """client_order_ids of resting orders that stay."""
    cancel: tuple[tuple[str, str], ...]
    """(client_order_id, reason) of resting orders to pull."""
    looks: tuple[Look, ...]
    forecast_level: float
    forecast_sigma: float
    trigger: str
    """`timer`, `window_open`, `edge_lost`, `guards_opened`, `books_synced` or `requote`."""
