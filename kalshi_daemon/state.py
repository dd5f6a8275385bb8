"""The typed state every task shares. Each field names the one task that writes it; every other task only reads.

No field holds an age: ages are computed from stamps when they are asked for.
"""

from dataclasses import dataclass, field
from typing import Protocol

from kalshi_daemon.domain.alert import Alert
from kalshi_daemon.domain.book import Book
from kalshi_daemon.domain.book_view import BookView, BookViews
from kalshi_daemon.domain.contract import FeeSchedule, Market
from kalshi_daemon.domain.event_listing import ByEvent
from kalshi_daemon.domain.events import Balance, ExchangeStatus
from kalshi_daemon.domain.forecast import CalibrationHealth, Forecast, Minutes, Reading
from kalshi_daemon.domain.index import Bar, Index, Tick
from kalshi_daemon.domain.instruments import SHIPPED_INSTRUMENTS, Instruments, Pair
from kalshi_daemon.domain.order import Order
from kalshi_daemon.domain.order_table import OrderTable
from kalshi_daemon.domain.quote import QuotePlan
from kalshi_daemon.domain.verdict import Judgement
from kalshi_daemon.domain.window import Session, WindowStatus
from kalshi_daemon.ground.units import Count, Dollars, Nanos
from kalshi_daemon.ground.versioned import VersionedDict


@dataclass(frozen=True, slots=True)
class WithheldValue:
    """A value that is too far from what was known to be believed yet."""

    value: float
    known: float | None
    """The last value believed; None: nothing was known."""
    move: float
    """Between the two, as a share of what was known."""
    limit: float
    """The most it may be, likewise."""
    since_ns: Nanos
    """Stamp of the first value withheld."""
    against: str = ""
    """Witnesses that speak against it."""


@dataclass(slots=True)
class IndexState:
    """One index as the feed last showed it."""

    last: Tick | None = None
    """Last accepted value (V, or A's close when V is not subscribed)."""
    last_bar: Bar | None = None
    recv_ns: Nanos | None = None
    """When anything of this index last arrived: liveness, never age of data."""
    changed_ns: Nanos | None = None
    """Event time of the last tick whose value differed from the one before."""
    accepted: int = 0
    refused: int = 0
    """Ticks dropped by the monotonic guard."""
    withheld: WithheldValue | None = None
    """The newest value while it is not believed (`index_feed.plausibility`); None when it is."""
    misprints: int = 0
    """Values withheld and let go: the index came back to where it was."""


@dataclass(slots=True)
class FeedState:
    """The index feed session."""

    connected: bool = False
    sessions: int = 0
    last_frame_ns: Nanos | None = None
    problem: str = ""
    """The vendor's words when it refused us; "" when fine."""


@dataclass(slots=True)
class ClockSkew:
    """Our clock against a venue's, from its stamps: positive when ours is ahead."""

    offset_ns: Nanos
    measured_ns: Nanos
    round_trip_ns: Nanos


@dataclass(slots=True)
class StreamHealth:
    """What was caught of streams that lie (docs/order-safety.md). Counts since the start of the process."""

    gaps: int = 0
    """Holes in the numbers of a subscription."""
    repeated: int = 0
    """Frames dropped because their number had passed: sent twice, or out of order."""
    books_voided: int = 0
    """By a gap, a level below zero or a lasting cross."""
    deltas_dropped: int = 0
    """Of books that were waiting for a snapshot."""
    markets_silent: int = 0
    """Books given up because nothing of their market came, not even the snapshot we asked for."""
    lag_ns_max: Nanos = Nanos(0)
    """The latest frame of the last minute, by the venue's stamp."""
    markets_lagging: int = 0
    """Books that a late frame speaks against now."""
    snapshots_disagreed: int = 0
    """Snapshots of a book in sync that were not equal to it: changes had been lost without a gap."""
    post_only_rejects: int = 0
    """Orders the exchange would not rest because they would have crossed a book we saw otherwise."""
    witness_looks: int = 0
    """Books compared with the exchange's own over REST."""
    witness_suspicions: int = 0
    """Looks that did not agree."""
    witness_disagreements: int = 0
    """Suspicions that a second look confirmed: resubscribed, closed until a look agrees."""
    doubted: dict[str, str] = field(default_factory=dict)
    """Market -> why its book is not quoted on although it is in sync."""


@dataclass(slots=True)
class VenueState:
    """What the venue lists and says about itself."""

    status: ExchangeStatus | None = None
    fees: dict[str, FeeSchedule] = field(default_factory=dict)
    """By series; absent when unknown or of a type we cannot price."""
    fee_alarm: dict[str, str] = field(default_factory=dict)
    """Series whose fee schedule changed or is unknown, with both values; quoting stops until a restart."""
    events: dict[str, tuple[str, ...]] = field(default_factory=VersionedDict)
    """Listed event_ticker -> market tickers."""
    markets: dict[str, Market] = field(default_factory=VersionedDict)
    books: dict[str, Book] = field(default_factory=VersionedDict)
    event_fee_override: dict[str, str] = field(default_factory=dict)
    stream_up: bool = False
    streams: StreamHealth = field(default_factory=StreamHealth)
    listing_read_ns: dict[str, Nanos] = field(default_factory=dict)
    """By series: when its listing was last read in full."""
    listing_problem: dict[str, str] = field(default_factory=dict)
    """By event: markets refused (unknown strike type, bad grid), with the reason."""

    _by_event: ByEvent = field(default_factory=ByEvent, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.events, self.markets = VersionedDict(self.events), VersionedDict(self.markets)
        self.books = VersionedDict(self.books)

    def listed(self, event_ticker: str) -> tuple[Market, ...]:
        """The event's listed markets that could be parsed."""
        return self._by_event.of(event_ticker, self.events, self.markets, self.books).markets

    def followed(self, event_ticker: str) -> tuple[tuple[Market, Book], ...]:
        """The event's listed markets with the books that are followed, in the order of the listing."""
        return self._by_event.of(event_ticker, self.events, self.markets, self.books).followed

    def far_shards(self, event_ticker: str) -> list[int]:
        """Shards other than 0 that markets of an event are on, rising. A market that names none is on shard 0."""
        return list(self._by_event.of(event_ticker, self.events, self.markets, self.books).far_shards)

    def shard_of(self, market_ticker: str) -> int:
        """The shard of a market; 0 while it is not listed."""
        market = self.markets.get(market_ticker)
        return 0 if market is None else market.exchange_index or 0


class CalibrationView(Protocol):
    """What readers may ask of the rolling model of one index (written by `calibration.updater`)."""

    def forecast(self, now_ns: Nanos, target_ns: Nanos) -> Forecast | None:
        """The distribution of the index at the target, or None while there is nothing to say (no valid print yet)."""
        ...

    def health(self, now_ns: Nanos) -> CalibrationHealth:
        """How fresh the model is and what its own record says."""
        ...

    def minutes(self) -> Minutes | None:
        """The session's prices by the minute; None before its first."""
        ...


class CorrelationView(Protocol):
    """What readers may ask of the correlation of a pair of indices (written by `calibration.joint`)."""

    @property
    def value(self) -> float: ...

    @property
    def cautious(self) -> tuple[float, float]:
        """The two correlations a risk figure must survive."""
        ...


class RecordView(Protocol):
    """What readers may ask of a record of past forecasts."""

    def readings(self) -> tuple[Reading, ...]:
        """Our probabilities against the market's mids: each figure with its limits."""
        ...


@dataclass(slots=True)
class MacroState:
    """Macro feeds' freshness and the next releases, by `windows.macro`."""

    feed_read_ns: dict[str, Nanos | None] = field(default_factory=dict)
    """Last write time of each configured feed file; None when missing."""
    checked_ns: Nanos | None = None


@dataclass(slots=True)
class DiskState:
    """The room left on the volume of the state directory, by `operations.disk_watch`."""

    free_bytes: int | None = None
    """What this user may still write; None: never looked at, or it cannot be told (`problem`)."""
    free_inodes: int | None = None
    """Files that can still be made; None where the file system does not limit them."""
    read_ns: Nanos | None = None
    """When that was last asked, whatever came of it."""
    problem: str = "not looked at yet"
    """Why nothing is known; "" when it is."""


@dataclass(slots=True)
class Position:
    """Net position of one market from our own fills: + YES, - NO."""

    market_ticker: str
    event_ticker: str
    series_ticker: str
    count: Count = Count(0)
    cash: Dollars = Dollars(0)
    """Sum of signed cash of its fills: minus what was paid for YES, plus what selling YES brought, fees included."""
    fees: Dollars = Dollars(0)
    settled: str = ""
    """`yes` or `no` once the venue paid; "" before."""
    traded: Count = Count(0)
    """Contracts of all its fills, either side: what was filled, whatever is left."""


@dataclass(slots=True)
class LedgerState:
    """Our own books, by `orders.manager`."""

    positions: dict[str, Position] = field(default_factory=dict)
    realized_today: Dollars = Dollars(0)
    """Settled profit and loss since New York midnight."""
    realized_week: Dollars = Dollars(0)
    """Settled profit and loss since Monday, New York."""
    disputed: Dollars = Dollars(0)
    """What paid markets in dispute may still take back, >= 0: lost in both budgets, gone in the cash."""
    fees_total: Dollars = Dollars(0)
    fills_total: int = 0
    contracts_total: Count = Count(0)


@dataclass(slots=True)
class ReconciliationState:
    """Whether our view and the exchange's agree, by `orders.manager`."""

    agreed: bool = False
    checked_ns: Nanos | None = None
    problem: str = "not reconciled yet"
    """The disagreement with both numbers; "" when agreed."""


@dataclass(frozen=True, slots=True)
class GroupHalt:
    """A profile whose order group was triggered. Ended by `kalshi-daemon reset-group` and nothing else."""

    at_ns: Nanos
    """When we noticed; names this halt in a request to end it."""
    reason: str


@dataclass(slots=True)
class OrderGroupState:
    """The exchange-side brakes, by `orders.manager`."""

    required: bool = True
    """Whether a quote may only be sent with an order group."""
    ids: dict[str, str] = field(default_factory=dict)
    """Profile -> its order group at the exchange; absent while it is not known to exist."""
    halted: dict[str, GroupHalt] = field(default_factory=dict)
    """Profile -> why it must not quote. Survives restarts in the journal."""


@dataclass(slots=True)
class Latch:
    """The one way to stop ordering. Once closed for good it never opens again in this process."""

    closed: bool = False
    reason: str = ""
    closed_ns: Nanos | None = None


@dataclass(slots=True)
class SessionCounters:
    """Totals for the session summary, by the task that does the counting (`trader`, `orders.manager`)."""

    scans: int = 0
    windows_scanned: set[str] = field(default_factory=set)
    orders_placed: int = 0
    orders_cancelled: int = 0
    resting_after_cutoff_max: int = 0


@dataclass(slots=True)
class DaemonState:
    """Everything the tasks share."""

    instruments: Instruments = SHIPPED_INSTRUMENTS
    """Written once by `daemon`: the table of indices and series."""
    armed: bool = False
    """Written once by `daemon`: whether this process may send orders at all."""
    force_gate_pass: bool = False
    """Written once by `daemon`: the macro guard's named override."""
    kill_switch: bool = True
    """By `operations.kill_switch`: whether the file exists. True until first looked at: fail closed."""
    disk: DiskState = field(default_factory=DiskState)
    """By `operations.disk_watch`."""
    latch: Latch = field(default_factory=Latch)
    """By `daemon` (stop) only; checked in the submit path."""
    feed: FeedState = field(default_factory=FeedState)
    """By `index_feed.consumer`."""
    index: dict[Index, IndexState] = field(init=False)
    """By `index_feed.consumer`: every index of the table."""
    skew: dict[str, ClockSkew] = field(default_factory=dict)
    """Keys `kalshi` (by kalshi.rest) and `index_feed` (by index_feed.consumer)."""
    calibration: dict[Index, CalibrationView] = field(default_factory=dict)
    """By `calibration.updater`."""
    correlations: dict[Pair, CorrelationView] = field(default_factory=dict)
    """By `calibration.joint`: of each pair of the table."""
    market_records: dict[Index, RecordView] = field(default_factory=dict)
    """By `trader`: our probabilities against the market's mids, after the fixings."""
    windows: dict[str, WindowStatus] = field(default_factory=dict)
    """By `windows.scheduler`: event_ticker -> status, for the current session."""
    session: Session | None = None
    """By `windows.scheduler`: the session that these are the windows of."""
    session_open: bool = False
    """By `windows.scheduler`: the NYSE session is on."""
    macro: MacroState = field(default_factory=MacroState)
    """By `windows.macro`."""
    venue: VenueState = field(default_factory=VenueState)
    """By `venue.monitor`."""
    balance: Balance | None = None
    """By `orders.manager`: the cash of shard 0."""
    shard_balances: dict[int, Balance] = field(default_factory=dict)
    """By `orders.manager`: the cash of other shards that markets of ours are on; absent while it is not known."""
    orders: OrderTable = field(default_factory=OrderTable)
    """By `orders.manager`: client_order_id -> every live order of ours, plus the ones ended this session."""
    unbooked: dict[str, Order] = field(default_factory=dict)
    """By `orders.desk`: client_order_id -> the part that has traded and whose fills are not in the ledger yet.

    As an order of unknown fate with nothing filled, so that every worst case counts it like one that may fill.
    """
    refused_fills: dict[str, Order] = field(default_factory=dict)
    """By `orders.refused_fills`: trade id -> a fill that cannot be and is not booked, as it was told.

    As an order of unknown fate with nothing filled.
    """
    quarantined: dict[str, Order] = field(default_factory=dict)
    """By `orders.quarantine`: client_order_id -> what an order in quarantine counts for on top of itself.

    As an order of unknown fate with nothing filled. One that is named here is not renewed.
    """
    ledger: LedgerState = field(default_factory=LedgerState)
    """By `orders.manager`."""
    reconciliation: ReconciliationState = field(default_factory=ReconciliationState)
    """By `orders.manager`."""
    order_groups: OrderGroupState = field(default_factory=OrderGroupState)
    """By `orders.manager`."""
    counters: SessionCounters = field(default_factory=SessionCounters)
    decisions: dict[tuple[str, str], tuple[QuotePlan, Judgement]] = field(default_factory=dict)
    """By `trader`: (profile, event_ticker) -> its last scan and what the guards said of it, in this session."""
    alerts: tuple[Alert, ...] = ()
    """By `operations.alerts`: the last ones raised, the newest last."""

    _views: BookViews = field(default_factory=BookViews, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.index = {index: IndexState() for index in self.instruments.indices}

    def others_view(self, book: Book) -> BookView:
        """A book without our own orders. The same object until the book or our orders in it change."""
        return self._views.of(book, self.orders.live_in(book.market_ticker))

    def live_orders(self) -> tuple[Order, ...]:
        """Every order that may still trade, as far as we can prove."""
        return self.orders.live()
