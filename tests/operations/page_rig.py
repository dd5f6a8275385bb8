"""A day as the page shows it: windows of all series, a model that sees the fixings, orders, fills, closed guards."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kalshi_daemon.domain.alert import Alert, AlertSeverity
from kalshi_daemon.domain.book import Book
from kalshi_daemon.domain.contract import FeeSchedule, FeeType
from kalshi_daemon.domain.forecast import CalibrationHealth, Minutes, Reading
from kalshi_daemon.domain.index import Channel, Index, Series, Tick
from kalshi_daemon.domain.order import Order, Status
from kalshi_daemon.domain.quote import Look, Side
from kalshi_daemon.domain.window import Phase, Session, Window, WindowStatus
from kalshi_daemon.ground.units import MINUTE, SECOND, Count, Dollars, Nanos, Price, lots
from kalshi_daemon.operations.page import Shown
from kalshi_daemon.operations.recent_events import RecentEvents
from kalshi_daemon.operations.status import DaemonStatus, RunFacts, status_of
from kalshi_daemon.operations.status_day import DayView
from kalshi_daemon.operations.status_forms import document
from kalshi_daemon.settings.model import WindowSettings
from kalshi_daemon.state import DaemonState, IndexState
from kalshi_daemon.windows.table import build_windows
from tests.guardrails import guard_rig
from tests.support.instruments import SERIES
from tests.trading.trader_rig import BellForecast

NOW = guard_rig.NOW
HALF_DAY = replace(guard_rig.SESSION, close_ns=Nanos(guard_rig.SESSION.open_ns + 210 * MINUTE), half_day=True)
LEVELS = {Index.SPX: 6_822.37, Index.NDX: 25_310.84}
STEPS = {Index.SPX: 5, Index.NDX: 10}
READINGS = (
    Reading("crps_ratio", "near", 0.991, 212.0, 100.0, high=1.02),
    Reading("crps_ratio", "hour", 1.004, 208.0, 100.0, high=1.02),
    Reading("cover90", "hour", 0.902, 208.0, 100.0, low=0.845, high=0.955),
    Reading("pit_ks", "long", None, 3.0, 100.0, high=0.12),
)


@dataclass
class SeenModel:
    """A model with a bell for every fixing, and a path that waves up to its level."""

    index: Index
    level: float
    readings: tuple[Reading, ...] = READINGS
    ready: bool = True

    def forecast(self, now_ns: Nanos, target_ns: Nanos) -> BellForecast | None:
        if target_ns <= now_ns:
            return None
        sd = self.level * 0.00022 * ((target_ns - now_ns) / MINUTE) ** 0.5
        return BellForecast(self.index, now_ns, target_ns, self.level, sd=sd, calibration_error=0.018)

    def health(self, now_ns: Nanos) -> CalibrationHealth:
        alarms = () if self.ready else ("jump",)
        return CalibrationHealth(self.ready, now_ns, 119.5, alarms, self.readings, "saved 2026-11-20T21:05:00Z")

    def minutes(self) -> Minutes:
        prices = np.full(391, np.nan)
        seen = np.arange(121)
        wave = np.sin(seen / 9.0) * 0.0006 + np.sin(seen / 2.3 + 1.0) * 0.0002 + (seen - 120) * 0.000012
        prices[:121] = self.level * (1.0 + wave - wave[-1])
        prices[40:44] = np.nan
        return Minutes(guard_rig.SESSION.open_ns, prices)


def windows_of(session: Session) -> tuple[Window, ...]:
    series: tuple[Series, ...] = tuple(SERIES.values())
    return build_windows(session, WindowSettings(), series)


def book(ticker: str, fair: float, *, wide: bool) -> Book:
    """A cent or three around fair; none at the ends."""
    made = Book(ticker)
    bid = round(fair * 100) - (3 if wide else 1)
    bids = {Price(bid * 100): lots(20 + bid)} if bid > 1 else {}
    asks = {Price((bid + 4) * 100): lots(35)} if bid < 95 else {}
    made.replace(bids, asks, NOW, NOW)
    return made


def order(market: str, event: str, number: int, side: Side, price: int, **changes: Any) -> Order:
    made = guard_rig.order_of(
        market,
        client_order_id=f"kd-{number}",
        event_ticker=event,
        side=side,
        price=Price(price),
        count=lots(2),
        created_ns=NOW,
        updated_ns=NOW,
        expires_ns=Nanos(NOW + 90 * SECOND),
    )
    return replace(made, **changes)


def list_ladder(state: DaemonState, window: Window) -> list[str]:
    """Twenty strikes around the index, with books; gives their tickers, rising."""
    index, step = window.series.index, STEPS[window.series.index]
    first = int(LEVELS[index]) // step * step - 9 * step
    markets = [guard_rig.market_of(window, first + step * number) for number in range(20)]
    model = SeenModel(index, LEVELS[index]).forecast(NOW, window.target_ns)
    assert model is not None
    chances = model.probabilities(tuple(market.contract for market in markets))
    state.venue.events[window.event_ticker] = tuple(market.ticker for market in markets)
    for number, (market, chance) in enumerate(zip(markets, chances, strict=True)):
        state.venue.markets[market.ticker] = market
        state.venue.books[market.ticker] = book(market.ticker, float(chance) + 0.015, wide=number % 3 == 0)
    state.venue.fees[window.series.ticker] = FeeSchedule(FeeType.QUADRATIC, 1_000_000, NOW)
    return [market.ticker for market in markets]


def a_day(session: Session = guard_rig.SESSION) -> DaemonState:
    """11:30 of a day: two hours quoted, the windows of 12:00 open."""
    state = guard_rig.healthy()
    state.session = session
    state.windows, state.orders = {}, type(state.orders)()
    state.feed.connected = True
    state.feed.last_frame_ns = Nanos(NOW - SECOND)
    for index, level in LEVELS.items():
        stamp = Nanos(NOW - SECOND)
        tick = Tick(index, Channel.VALUE, level, stamp, stamp)
        state.index[index] = IndexState(last=tick, recv_ns=stamp, changed_ns=stamp, accepted=100)
        state.calibration[index] = SeenModel(index, level)
    number = 0
    for window in windows_of(session):
        phase = window.phase_at(NOW)
        state.windows[window.event_ticker] = WindowStatus(window, Phase.SETTLED if phase is Phase.SETTLING else phase)
        if phase is not Phase.OPEN:
            continue
        tickers = list_ladder(state, window)
        event, profile = window.event_ticker, "wide"
        for at, side, price in ((9, Side.BID, 6_100), (10, Side.ASK, 4_400), (12, Side.ASK, 1_800)):
            number += 1
            made = order(tickers[at], event, number, side, price, filled=lots(1) if at == 12 else Count(0))
            state.orders[made.client_order_id] = made
        done = order(tickers[8], event, 100 + number, Side.BID, 7_400, filled=lots(2), status=Status.FILLED)
        state.orders[done.client_order_id] = done
        guard_rig.hold(state, tickers[8], 2, -15_012)
        looks = tuple(
            Look(ticker, 0.5, 0.5, Price(4_000), Price(4_600), "kept" if at in {9, 12} else "no_edge", "0.011 of 0.024")
            for at, ticker in enumerate(tickers)
        )
        looks = (*looks[:10], replace(looks[10], outcome="quoted"), *looks[11:])
        plan = guard_rig.plan_of(
            guard_rig.quote_of(tickers[10], window=window, profile=profile), window=window, looks=looks
        )
        state.decisions[profile, event] = plan, guard_rig.chain_of().judge_plan(state, plan, NOW)
    state.ledger.fills_total, state.ledger.contracts_total = 31, lots(47)
    state.ledger.fees_total = Dollars(2_144)
    state.ledger.realized_today, state.ledger.realized_week = Dollars(36_250), Dollars(-41_725)
    state.counters.scans, state.counters.orders_placed, state.counters.orders_cancelled = 214, 388, 331
    state.alerts = (
        Alert(Nanos(NOW - 120 * MINUTE), "ready", "", AlertSeverity.INFO, "The daemon is ready."),
        Alert(
            Nanos(NOW - 9 * MINUTE), "budget_used", "daily_loss", AlertSeverity.WARNING, "daily_loss is used by 52 %"
        ),
    )
    return state


@dataclass
class Day:
    """A run to be shown, that a test changes while it is looked at."""

    state: DaemonState
    kill_switch: Path
    run_id: str = "35f025d0f39d"
    now_ns: Nanos = NOW
    broken: bool = False
    ready: bool = True

    def __post_init__(self) -> None:
        self.events = RecentEvents(lambda: self.now_ns)
        self.chain = guard_rig.chain_of()
        self.view = DayView(self.state)
        self.since: dict[str, Nanos] = {}

    def look(self) -> DaemonStatus:
        profiles = (guard_rig.WIDE, guard_rig.SIZE, guard_rig.CLOSE)
        facts = RunFacts("sim", "0.1.0", self.run_id, self.ready, 400, self.chain, profiles, self.since)
        self.state.kill_switch = self.kill_switch.exists()
        status = status_of(self.state, self.now_ns, facts)
        self.since = {one.guard: one.since_ns for one in status.closed}
        return status

    def document(self) -> dict[str, Any]:
        if self.broken:
            raise ZeroDivisionError
        status = self.look()
        return {**document(status), **self.view.document(status.now_ns), "events": self.events.rows()}

    @property
    def shown(self) -> Shown:
        return Shown(self.look, self.document, self.kill_switch)
