"""A state in which every guard passes, and the plan that goes with it; each test breaks one thing."""

from dataclasses import dataclass, replace

from kalshi_daemon.domain.book import Book
from kalshi_daemon.domain.contract import (
    Contract,
    FeeSchedule,
    FeeType,
    Market,
    MarketStatus,
    PriceBand,
    PriceGrid,
    StrikeType,
)
from kalshi_daemon.domain.events import Balance, ExchangeStatus
from kalshi_daemon.domain.forecast import CalibrationHealth, Forecast, Minutes, Reading
from kalshi_daemon.domain.index import Channel, Series, Tick
from kalshi_daemon.domain.order import Order, Status
from kalshi_daemon.domain.quote import Look, Profile, Quote, QuotePlan, Side
from kalshi_daemon.domain.verdict import Verdict
from kalshi_daemon.domain.window import Phase, Session, Window, WindowStatus
from kalshi_daemon.ground.units import (
    CONTRACT,
    MEGABYTE,
    MINUTE,
    POINT,
    SECOND,
    Count,
    Dollars,
    Level,
    Nanos,
    Price,
    lots,
)
from kalshi_daemon.guardrails.chain import Chain, build_chain
from kalshi_daemon.settings.model import Settings
from kalshi_daemon.state import ClockSkew, DaemonState, DiskState, IndexState, Position
from kalshi_daemon.windows.releases import Release
from tests.support.instruments import INDICES, KXINX, KXINXU, KXNASDAQ100U

NOW = Nanos(1_795_451_400 * SECOND)
"""2026-11-23 11:30:00 in New York."""
DAY = "2026-11-23"
TARGET = Nanos(NOW + 30 * MINUTE)
SESSION = Session(DAY, Nanos(NOW - 120 * MINUTE), Nanos(NOW + 270 * MINUTE), half_day=False)
GRID = PriceGrid((PriceBand(Price(100), Price(9_900), Price(100)),))
WIDE = Profile(
    "wide", ("KXINXU", "KXNASDAQ100U"), lots=1, bins=4, impact_cap=Price(500), min_ev=Price(50), scan_every=MINUTE
)
SIZE = replace(WIDE, name="size", lots=2, bins=2, impact_cap=Price(200))
CLOSE = replace(SIZE, name="close", series=("KXINX", "KXNASDAQ100"))


def window_of(series: Series = KXINXU, target_ns: Nanos = TARGET) -> Window:
    return Window(
        series=series,
        event_ticker=f"{series.ticker}-26NOV23H1200",
        session=DAY,
        opens_ns=Nanos(target_ns - 60 * MINUTE),
        new_until_ns=Nanos(target_ns - 5 * MINUTE),
        cancel_at_ns=Nanos(target_ns - 130 * SECOND),
        gone_by_ns=Nanos(target_ns - 120 * SECOND),
        target_ns=target_ns,
    )


WINDOW = window_of()


def market_of(window: Window, strike: int) -> Market:
    ticker = f"{window.event_ticker}-T{strike}"
    contract = Contract(
        market_ticker=ticker,
        event_ticker=window.event_ticker,
        series_ticker=window.series.ticker,
        index=window.series.index,
        strike_type=StrikeType.GREATER_OR_EQUAL,
        lowest=Level(strike * POINT),
        highest=None,
        settles_ns=window.target_ns,
    )
    return Market(
        contract, GRID, MarketStatus.ACTIVE, Nanos(NOW - 600 * MINUTE), window.target_ns, exchange_index=0, result="",
        expiration_value="",
    )  # fmt: skip


STRIKES = tuple(range(6_800, 6_850, 5))
TICKERS = tuple(f"{WINDOW.event_ticker}-T{strike}" for strike in STRIKES)
TICKER = TICKERS[0]


@dataclass
class FixedCalibration:
    """A model that says what it is told."""

    answer: CalibrationHealth

    def forecast(self, now_ns: Nanos, target_ns: Nanos) -> Forecast | None:
        return None

    def health(self, now_ns: Nanos) -> CalibrationHealth:
        return self.answer

    def minutes(self) -> Minutes | None:
        return None


def book_of(ticker: str, bid: int | None = 4_000, ask: int | None = 4_600, at_ns: Nanos = NOW) -> Book:
    book = Book(ticker)
    bids = {} if bid is None else {Price(bid): lots(50)}
    asks = {} if ask is None else {Price(ask): lots(50)}
    book.replace(bids, asks, at_ns, at_ns)
    return book


def list_window(state: DaemonState, window: Window) -> None:
    """The window open, its markets listed with books, its fees known."""
    state.windows[window.event_ticker] = WindowStatus(window, Phase.OPEN)
    markets = [market_of(window, strike) for strike in STRIKES]
    state.venue.events[window.event_ticker] = tuple(market.ticker for market in markets)
    for market in markets:
        state.venue.markets[market.ticker] = market
        state.venue.books[market.ticker] = book_of(market.ticker)
    state.venue.fees[window.series.ticker] = FeeSchedule(FeeType.QUADRATIC, 1_000_000, NOW)


GOOD = Reading("crps_ratio", "hour", 0.99, 500.0, 200.0, high=1.03)


@dataclass
class FixedRecord:
    """A record that says what it is told."""

    said: tuple[Reading, ...]

    def readings(self) -> tuple[Reading, ...]:
        return self.said


def healthy() -> DaemonState:
    state = DaemonState(armed=True, kill_switch=False, session_open=True)
    state.venue.status = ExchangeStatus(exchange_active=True, trading_active=True, read_ns=NOW)
    state.venue.stream_up = True
    for window in (WINDOW, window_of(KXNASDAQ100U), window_of(KXINX)):
        list_window(state, window)
    stamp = Nanos(NOW - SECOND)
    for index in INDICES:
        tick = Tick(index, Channel.VALUE, 6_820.0, stamp, stamp)
        state.index[index] = IndexState(last=tick, recv_ns=stamp, changed_ns=stamp, accepted=100)
        health = CalibrationHealth(ready=True, last_update_ns=stamp, minutes_seen=120.0, readings=(GOOD,))
        state.market_records[index] = FixedRecord((GOOD,))
        state.calibration[index] = FixedCalibration(health)
    for venue in ("kalshi", "index_feed"):
        state.skew[venue] = ClockSkew(Nanos(20_000_000), NOW, Nanos(0))
    state.order_groups.ids = {profile: f"group-{profile}" for profile in ("wide", "size", "close")}
    state.balance = Balance(Dollars(1_000 * 10_000), Dollars(0), NOW)
    state.disk = DiskState(free_bytes=50_000 * MEGABYTE, free_inodes=1_000_000, read_ns=NOW, problem="")
    state.reconciliation.agreed = True
    state.reconciliation.checked_ns = NOW
    state.reconciliation.problem = ""
    return state


def quote_of(ticker: str = TICKER, **changes: object) -> Quote:
    made = Quote(
        market_ticker=ticker,
        side=Side.BID,
        price=Price(4_200),
        count=lots(1),
        profile="wide",
        window=WINDOW,
        fair=0.50,
        model_fair=0.51,
        required_edge=0.03,
        ev=Price(800),
        fee=Dollars(0),
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # fields by name


def plan_of(*quotes: Quote, profile: Profile = WIDE, window: Window = WINDOW, **changes: object) -> QuotePlan:
    made = QuotePlan(
        plan_id="plan-1",
        profile=profile,
        window=window,
        made_ns=NOW,
        quotes=quotes or (quote_of(),),
        keep=(),
        cancel=(),
        looks=tuple(
            Look(quote.market_ticker, quote.fair, quote.model_fair, Price(4_000), Price(4_600), "quoted", "")
            for quote in quotes or (quote_of(),)
        ),
        forecast_level=6_820.0,
        forecast_sigma=0.004,
        trigger="timer",
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # fields by name


def order_of(ticker: str = TICKER, **changes: object) -> Order:
    made = Order(
        client_order_id=f"kd-r1-{ticker}",
        market_ticker=ticker,
        event_ticker=ticker.rpartition("-")[0],
        series_ticker=ticker.partition("-")[0],
        profile="wide",
        side=Side.BID,
        price=Price(4_000),
        count=lots(1),
        status=Status.RESTING,
        expires_ns=WINDOW.gone_by_ns,
        created_ns=NOW,
        order_id=f"ex-{ticker}",
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # fields by name


def rest(state: DaemonState, *orders: Order) -> None:
    for order in orders:
        state.orders[order.client_order_id] = order


def hold(state: DaemonState, ticker: str, contracts: int, cash: int) -> None:
    """A position: `cash` in 1/10 000 dollar, negative for what was paid."""
    event, series = ticker.rpartition("-")[0], ticker.partition("-")[0]
    count = Count(contracts * CONTRACT)
    state.ledger.positions[ticker] = Position(ticker, event, series, count, Dollars(cash))


def no_release(now_ns: Nanos, before_ns: Nanos, after_ns: Nanos) -> Release | None:
    return None


def in_session(ns: Nanos) -> Session | None:
    return SESSION if SESSION.open_ns <= ns < SESSION.close_ns else None


def chain_of(settings: Settings | None = None, **lookups: object) -> Chain:
    given = {"session_of": in_session, "release_near": no_release} | lookups
    return build_chain(settings or Settings(), **given)  # type: ignore[arg-type]  # the two lookups


def ask_window(state: DaemonState, guard: str, chain: Chain | None = None, now: Nanos = NOW) -> Verdict:
    """One window guard's verdict on WINDOW."""
    verdicts = (chain or chain_of()).judge_window(state, WIDE, WINDOW, now)
    return next(verdict for verdict in verdicts if verdict.guard == guard)


def ask_quote(
    state: DaemonState,
    guard: str,
    quote: Quote | None = None,
    chain: Chain | None = None,
    plan: QuotePlan | None = None,
) -> Verdict:
    """One quote guard's verdict on the last quote of a plan."""
    judged = (chain or chain_of()).judge_plan(state, plan or plan_of(quote or quote_of()), NOW)
    return next(verdict for verdict in judged.quotes[-1].verdicts if verdict.guard == guard)
