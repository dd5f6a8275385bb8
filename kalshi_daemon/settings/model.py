"""The effective settings: frozen sections, unknown keys refused. Loading and provenance live in `settings.loader`.

Durations carry their unit in the name. Money is written in dollars here and becomes an integer where it is used.
"""

from datetime import date, time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr

from kalshi_daemon.settings.instruments import CLOSE_SERIES, HOURLY_SERIES, InstrumentsSettings
from kalshi_daemon.settings.latency import LatencySettings
from kalshi_daemon.settings.regimes import REGIMES_MAX, RegimeName, RegimeSettings
from kalshi_daemon.settings.section import Section
from kalshi_daemon.settings.service import AlertSettings, PageSettings


class Mode(StrEnum):
    """`sim` needs no keys and talks to loopback only; `demo` and `live` talk to Kalshi."""

    SIM = "sim"
    DEMO = "demo"
    LIVE = "live"


class LiveSettings(Section):
    """`live` trades only with `--arm` and this sentence."""

    acknowledgement: str = ""
    """Must read exactly: I understand this trades real money"""


class KalshiSettings(Section):
    """The exchange."""

    rest_url: str = ""
    """Ends in /trade-api/v2. Empty: the mode's default host (sim: given by the simulator)."""
    ws_url: str = ""
    key_id: str = Field("", max_length=200, pattern=r"^[!-~]*$")
    private_key_path: Path | None = None
    """PEM, RSA or Ed25519, mode 0600 or 0400. Default: $CREDENTIALS_DIRECTORY/kalshi_private_key."""
    subaccount: int = Field(0, ge=0, le=63)
    read_timeout_ms: int = Field(5_000, ge=100, le=30_000)
    write_timeout_ms: int = Field(4_000, ge=100, le=20_000)
    cancel_reserve_share: float = Field(0.4, ge=0.0, le=0.9)
    """Share of the write bucket only cancels may use."""
    stream_silence_s: float = Field(30.0, ge=5.0, le=300.0)
    """Reconnect after this long without any frame or ping (the venue pings every 10 s)."""
    use_yes_price: bool = False
    """Ask for NO levels on the YES scale. Always sent explicitly: the venue's default will flip."""
    status_poll_s: float = Field(15.0, ge=1.0, le=600.0)
    fee_poll_s: float = Field(1_800.0, ge=10.0, le=86_400.0)
    discovery_poll_s: float = Field(120.0, ge=5.0, le=3_600.0)
    book_silence_s: float = Field(20.0, ge=1.0, le=600.0)
    """A market of which nothing came for this long is asked for a snapshot."""
    witness_every_s: float = Field(10.0, ge=1.0, le=3_600.0)
    """How often one book is compared with the exchange's own over REST."""


class IndexFeedSettings(Section):
    """Massive (Polygon) indices websocket."""

    url: str = ""
    """e.g. wss://socket.massive.com/indices or wss://socket.polygon.io/indices. Empty: the mode's default."""
    api_key: SecretStr = SecretStr("")
    channels: tuple[Literal["V", "A", "AM"], ...] = ("V", "AM")
    """V alone is enough to trade; A needs the Advanced plan."""
    ack_timeout_s: float = Field(10.0, ge=0.5, le=60.0)
    silence_s: float = Field(20.0, ge=1.0, le=600.0)
    """Reconnect when nothing at all arrives for this long during the session."""
    backoff_first_s: float = Field(0.5, ge=0.05, le=60.0)
    backoff_s_max: float = Field(30.0, ge=0.05, le=600.0)
    eviction_backoff_s: float = Field(60.0, ge=0.05, le=3_600.0)
    jump_share_min: float = Field(0.0075, ge=0.001, le=0.1)
    """A value further from the one before than this share, or than an index moves in the time, is withheld first."""
    agreeing_values_min: int = Field(3, ge=1, le=60)
    """Values that must agree before a jump, or the first value of a day, is believed."""
    jump_confirm_s: float = Field(30.0, ge=2.0, le=600.0)
    """A jump that no second witness shares is believed after values have agreed on it for this long."""
    record: bool = True
    record_flush_s: float = Field(60.0, ge=1.0, le=3_600.0)
    rest_url: str = ""
    """The vendor's REST side. Empty: https://api.massive.com or https://api.polygon.io, the one of the feed's brand."""
    gap_fill: bool = True
    """Ask it for the minutes that were missed, after every reconnect and at the start."""
    rest_timeout_s: float = Field(10.0, ge=0.5, le=120.0)
    rest_calls_per_min: int = Field(0, ge=0, le=10_000)
    """Our own pace of calls, for small plans (5); 0: none."""
    snapshot_every_s: float = Field(5.0, ge=1.0, le=30.0)
    """While a value is withheld, the vendor's snapshot is asked for this often, as one witness more."""


class EventSettings(Section):
    """What an operator's own kind of release does to the variance after it."""

    multiplier: float = Field(gt=0.0, le=1_000.0)
    """Of the variance, right after the release."""
    decay_min: float = Field(ge=0.0, le=1_440.0)
    """Time constant of its return, minutes."""


class CalibrationSettings(Section):
    """The rolling model."""

    constants_file: Path | None = None
    """Fitted constants written by `calibrate`; None: the shipped ones."""
    events: dict[str, EventSettings] = Field(default_factory=dict, max_length=100)
    """By kind of release of the macro calendar; added to the measured ones, or instead of one of the same name."""
    first_minute_excluded: bool = True
    """Count 09:30-09:31 as part of the overnight gap (stale prints at the open)."""
    ready_after_minutes: float = Field(3.0, ge=0.0, le=120.0)
    """Session minutes of ticks before a forecast may be quoted on."""
    settlement_basis_bp: float = Field(0.5, ge=0.0, le=100.0)
    """Standard deviation of (venue print - our last tick), in basis points."""
    daily_vol_prior: float = Field(0.01, ge=0.001, le=0.2)
    """Prior daily volatility of a cold start."""
    memory_save_s: float = Field(300.0, ge=1.0, le=3_600.0)
    """How often what was learnt is written down, besides at every close and at the stop."""
    memory_sessions_max: int = Field(3, ge=0, le=10)
    """Closes that may have passed unseen since what was learnt was written down; beyond them the start is cold."""
    memory_slow_days_max: int = Field(120, ge=0, le=400)
    """Days for which a cold start still takes over session curve and online corrections, which age in months."""
    warm_up_sessions: int = Field(5, ge=0, le=10)
    """Past sessions a cold start asks the vendor's history for."""
    sigma_ratio_min: float = Field(0.3, gt=0.0, lt=1.0)
    """Sigma as forecast, against its slow level: below it the model is not quoted on."""
    sigma_ratio_max: float = Field(6.0, gt=1.0, le=100.0)
    """Above it the model is not quoted on. 2020 and 2025 stayed within 0.37 and 5.4 (docs/calibration.md)."""
    half_day_widening: float = Field(1.0, ge=1.0, le=10.0)
    """Sigma multiplier on half days, on top of what was measured on them."""


class WindowSettings(Section):
    """When to quote. All times are New York."""

    first_quotes: time = time(9, 35)
    new_quotes_until_s: float = Field(300.0, ge=2.0, le=3_600.0)
    """No new quotes later than this before the fixing (the 55-minute cutoff of docs/reference/predecessor.md 2)."""
    gone_by_s: float = Field(120.0, ge=2.0, le=1_800.0)
    """Verified gone this long before the fixing; also the expiry of every order."""
    cancel_lead_s: float = Field(10.0, ge=1.0, le=600.0)
    """Cancelling starts this long before `gone_by`."""
    close_opens_before_s: float = Field(3_600.0, ge=60.0, le=43_200.0)
    """A close window opens this long before its fixing (docs/reference/predecessor.md 2 adds the closes to the 16:00
    hour only)."""
    calendar_end_days: int = Field(400, ge=1, le=730)
    """How far ahead the calendar is read; nothing is traded beyond it."""


class ProfileSettings(Section):
    """One way of quoting."""

    enabled: bool = True
    series: tuple[str, ...]
    lots: int = Field(ge=1, le=1_000)
    bins: int = Field(ge=1, le=400)
    impact_cap: float = Field(gt=0.0, lt=1.0)
    """Most a quote may improve on the best price of its own side, in dollars; also the mid jump that skips a market."""
    min_ev: float = Field(0.005, ge=0.0, le=0.5)
    """Least expected value per contract after fees, in dollars."""
    scan_every_s: float = Field(180.0, ge=1.0, le=3_600.0)


class ProfilesSettings(Section):
    """The three profiles of docs/reference/predecessor.md 2."""

    wide: ProfileSettings = ProfileSettings(series=HOURLY_SERIES, lots=1, bins=4, impact_cap=0.05)
    size: ProfileSettings = ProfileSettings(series=HOURLY_SERIES, lots=2, bins=2, impact_cap=0.02)
    close: ProfileSettings = ProfileSettings(series=CLOSE_SERIES, lots=2, bins=2, impact_cap=0.02)


PROFILE_NAMES: Final = tuple(ProfilesSettings.model_fields)


class PricingSettings(Section):
    """The edge a quote must have, and how far the book is believed (docs/reference/model.md 7.2, 7.3)."""

    k_stale: float = Field(1.5, ge=0.0, le=100.0)
    k_vol: float = Field(1.0, ge=0.0, le=100.0)
    k_calibration: float = Field(1.0, ge=0.0, le=100.0)
    vol_error: float = Field(0.15, ge=0.0, le=5.0)
    base_edge: float = Field(0.005, ge=0.0, le=1.0)
    """w0 in dollars."""
    order_delay_s: float = Field(1.0, ge=0.0, le=60.0)
    """Dissemination, decision and round trip, added to the tick's age."""
    book_weight: float = Field(0.5, ge=0.0, le=1.0)
    """Weight of a tight two-sided mid in log odds; 0 trusts the model alone."""
    book_width_max: float = Field(0.06, gt=0.0, le=1.0)
    """A wider book is not blended, in dollars."""
    tail_probability: float = Field(0.04, ge=0.0, lt=0.5)
    """Contracts with fair outside (this, 1 - this) are not quoted."""
    keep_edge_share: float = Field(0.35, ge=0.0, le=1.0)
    """A resting quote is pulled when its edge falls below this share of the required edge."""
    rescan_s_min: float = Field(5.0, ge=0.1, le=3_600.0)
    """Least time between two scans of one window and profile that did not come from the timer."""


class TradingSettings(Section):
    """Which quoting policy trades."""

    policy: str = "edge"
    """A name of `trading.policy.named.POLICIES`."""


class ReservationSettings(Section):
    """Policy `reservation`: what it asks for beyond `[pricing]` (docs/policy.md)."""

    bank_dollars: float = Field(40.0, ge=1.0, le=10_000_000.0)
    """The wealth behind the reservation prices; the smaller, the sooner inventory moves a quote."""
    fixing_loss_dollars: float = Field(12.0, gt=0.0, le=1_000_000.0)
    """Most one index may lose at one fixing, everything held, live and proposed."""
    requote_s: float = Field(5.0, ge=0.25, le=600.0)
    """A window is looked at for new quotes this often."""
    momentum_share: float = Field(0.5, ge=0.0, le=5.0)
    """Of how far the index has moved a fair value against a side in three seconds: what that side must earn on top."""
    markout_prior_fills: float = Field(20.0, ge=1.0, le=10_000.0)
    """Fills of no adverse move that stand before our own: how slowly markouts are believed."""
    one_way_fills: int = Field(2, ge=1, le=100)
    """This many fills one way within ten seconds close that way..."""
    one_way_pause_s: float = Field(30.0, ge=1.0, le=3_600.0)
    """...for this long."""
    reduce_only_s: float = Field(120.0, ge=0.0, le=3_600.0)
    """So long before a fixing only what makes a position smaller is offered."""


class GuardSettings(Section):
    """Limits of the guard chain; docs/guards.md gives the reason of each."""

    feed_age_soft_ms: int = Field(2_500, ge=100, le=60_000)
    feed_age_pull_ms: int = Field(5_000, ge=100, le=60_000)
    feed_age_final_minute_ms: int = Field(1_500, ge=100, le=60_000)
    clock_skew_ms_max: int = Field(1_500, ge=50, le=10_000)
    calibration_age_s_max: float = Field(90.0, ge=1.0, le=3_600.0)
    sigma_books_ratio_min: float = Field(0.33, gt=0.0, le=10.0)
    """Sigma of the forecast over the one that the books of the ladder imply; books that say nothing refuse nothing."""
    sigma_books_ratio_max: float = Field(3.0, gt=0.0, le=100.0)
    book_age_s_max: float = Field(60.0, ge=1.0, le=3_600.0)
    """Oldest frame of its own (a change or a snapshot, not a ping) a book may have."""
    book_lag_ms_max: int = Field(2_000, ge=100, le=60_000)
    """How late a book's last frame may have come, by the venue's stamp."""
    exchange_status_age_s_max: float = Field(60.0, ge=1.0, le=3_600.0)
    fee_age_s_max: float = Field(7_200.0, ge=10.0, le=172_800.0)
    balance_age_s_max: float = Field(180.0, ge=1.0, le=3_600.0)
    reconciliation_age_s_max: float = Field(180.0, ge=1.0, le=3_600.0)
    lots_per_quote_max: int = Field(2, ge=1, le=1_000)
    pal_hourly_dollars: float = Field(1_000.0, gt=0.0, le=1_000_000.0)
    pal_close_dollars: float = Field(1_200.0, gt=0.0, le=1_000_000.0)
    daily_loss_dollars: float = Field(50.0, gt=0.0, le=1_000_000.0)
    weekly_loss_dollars: float = Field(250.0, gt=0.0, le=1_000_000.0)
    joint_tail_dollars: float = Field(40.0, gt=0.0, le=1_000_000.0)
    """Mean loss over the worst twentieth of joint outcomes of both indices."""
    balance_floor_dollars: float = Field(0.0, ge=0.0, le=10_000_000.0)
    """Cash that must remain after every resting order fills."""


class MacroFeed(Section):
    """A file whose age stands for a macro feed's freshness (CPI, claims, gasoline prices, ...)."""

    path: Path
    age_hours_max: float = Field(gt=0.0, le=17_568.0)
    """Two years at the most."""


class MacroSettings(Section):
    """Macro freshness: the only guard `--force-gate-pass` touches."""

    feeds: dict[str, MacroFeed] = Field(default_factory=dict)
    calendar: Path | None = None
    """Extra releases: CSV with date,time_et,event. The shipped table is always used."""
    blackout_before_s: float = Field(60.0, ge=0.0, le=7_200.0)
    blackout_after_s: float = Field(300.0, ge=0.0, le=14_400.0)
    """No quotes from this long before to this long after a release inside the session."""


class OrderSettings(Section):
    """The order path."""

    lease_s: float = Field(90.0, ge=5.0, le=600.0)
    """Longest an order may rest without being renewed (the venue expires it)."""
    scope: Literal["account", "own"] = "account"
    """What start, stop and cancel-all may cancel: everything on the subaccount, or only our own orders."""
    unknown_ask_after_ms: int = Field(500, ge=0, le=60_000)
    reconcile_every_s: float = Field(60.0, ge=1.0, le=600.0)
    stop_deadline_s: float = Field(20.0, ge=1.0, le=25.0)
    """Cancel all and verify; with 10 s for comparing the books it stays below systemd's TimeoutStopSec (45 s)."""
    journal_synchronous: Literal["full", "normal"] = "full"
    archive_after_days: int = Field(7, ge=1, le=180)
    """Ended orders older than this move from the journal to its archive; what traded stays 15 days at least."""
    batch_max: int = Field(10, ge=1, le=100)
    groups: Literal["required", "off"] = "required"
    """Whether every quote belongs to an order group of its profile; "off" for a venue that refuses them."""
    group_contracts_limit: int = Field(20, ge=1, le=1_000_000)
    """The exchange cancels a profile's quotes once more contracts than this trade within its rolling 15 s."""
    fills_accepted: tuple[Annotated[str, Field(pattern=r"^[!-~]{1,128}$")], ...] = Field((), max_length=100)
    """Trade ids of fills that cannot be as the exchange lists them, and that are to be booked so all the same."""
    fills_dismissed: tuple[Annotated[str, Field(pattern=r"^[!-~]{1,128}$")], ...] = Field((), max_length=100)
    """Trade ids of fills that cannot be as the exchange lists them, and that never happened: they count nowhere."""


class SimSettings(Section):
    """The embedded exchange and feed of mode `sim`."""

    seed: int = Field(7, ge=0, le=4_294_967_295)
    speed: float = Field(200.0, ge=0.01, le=10_000.0)
    session_date: date | None = date(2026, 11, 23)
    """The session to make up; replayed bars bring their own."""
    start: time = time(9, 25)
    until: time = time(16, 5)
    index_replay: tuple[Path, ...] = ()
    """Bar files to play instead of a made-up session."""
    replay_date: date | None = None
    """Which day of files that hold several."""
    regimes: dict[RegimeName, RegimeSettings] = Field(default_factory=dict, max_length=REGIMES_MAX)
    """Who trades in the simulated market of a backtest: besides the shipped ones, or instead of one so named."""
    latency: LatencySettings = LatencySettings()
    """Of backtests."""
    connect: str = ""
    """Admin URL of a simulator already running; empty: start one."""


class LogSettings(Section):
    """Where the JSON lines go besides standard output."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    file: bool = True
    """Also write state/<mode>/logs/kalshi_daemon.jsonl."""
    file_megabytes_max: int = Field(64, ge=1, le=4_096)


class RetentionSettings(Section):
    """What is kept of what the daemon wrote, and how much room its disk must have. Megabytes are of 1024 x 1024."""

    days_max: int = Field(400, ge=35, le=4_000)
    """Scans, index values and reports of days longer ago than this go. The order journal and its archives never do."""
    megabytes_max: int = Field(2_000, ge=200, le=1_000_000)
    """Of everything below the mode's directory; the oldest days go first. 400 ordinary days fit in."""
    disk_free_soft_megabytes_min: int = Field(1_000, ge=1, le=1_000_000)
    """Less than this on the state directory's volume is said."""
    disk_free_hard_megabytes_min: int = Field(200, ge=1, le=1_000_000)
    """Below this nothing new is quoted: what is left is for the journal of what rests."""
    disk_free_soft_inodes_min: int = Field(20_000, ge=0, le=100_000_000)
    disk_free_hard_inodes_min: int = Field(5_000, ge=1, le=100_000_000)
    """More than a day leaves before it is packed."""
    disk_free_age_s_max: float = Field(300.0, ge=60.0, le=3_600.0)
    """Looked at every 30 s; an older answer is none."""


class RecordingSettings(Section):
    """Whether each run is recorded, input by input, so that it can be replayed (docs/laboratory.md)."""

    enabled: bool = True
    megabytes_max: int = Field(800, ge=10, le=100_000)
    """Of all recordings of a mode; the oldest go when a run begins. One that fills it alone ends there."""


class Settings(Section):
    """Everything the daemon may be told. Frozen after loading."""

    mode: Mode = Mode.SIM
    state_dir: Path = Path("state")
    live: LiveSettings = LiveSettings()
    kalshi: KalshiSettings = KalshiSettings()
    index_feed: IndexFeedSettings = IndexFeedSettings()
    instruments: InstrumentsSettings = InstrumentsSettings()
    calibration: CalibrationSettings = CalibrationSettings()
    windows: WindowSettings = WindowSettings()
    profiles: ProfilesSettings = ProfilesSettings()
    trading: TradingSettings = TradingSettings()
    pricing: PricingSettings = PricingSettings()
    reservation: ReservationSettings = ReservationSettings()
    guards: GuardSettings = GuardSettings()
    macro: MacroSettings = MacroSettings()
    orders: OrderSettings = OrderSettings()
    sim: SimSettings = SimSettings()
    log: LogSettings = LogSettings()
    retention: RetentionSettings = RetentionSettings()
    recording: RecordingSettings = RecordingSettings()
    alerts: AlertSettings = AlertSettings()
    page: PageSettings = PageSettings()

    @property
    def mode_dir(self) -> Path:
        """Everything this mode writes lives below here."""
        return self.state_dir / self.mode.value
