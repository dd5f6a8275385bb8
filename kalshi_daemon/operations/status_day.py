"""The day of a run for who looks at it: indices with their forecasts, ladders, fills, the forecasts' record.

Belongs to the document of the status, and is made only when somebody asks: it costs more than the rest. It is
bounded: a ladder is the strikes around the index, and whatever else is ours.
"""

from collections.abc import Iterable, Mapping
from heapq import nlargest
from math import isfinite, sqrt
from typing import Any, Final

import numpy as np
import structlog

from kalshi_daemon.domain.contract import Market
from kalshi_daemon.domain.forecast import Forecast, Reading
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.order import Order
from kalshi_daemon.domain.quote import QuotePlan
from kalshi_daemon.domain.verdict import Judgement
from kalshi_daemon.domain.window import Phase, Window
from kalshi_daemon.ground.clock import iso_utc
from kalshi_daemon.ground.units import POINT, Level, Nanos, Price, format_count, format_level, format_price
from kalshi_daemon.state import DaemonState

log = structlog.get_logger()

STRIKES_MAX: Final = 12
"""Of a ladder, around the index."""
ROWS_MAX: Final = 40
"""Of a ladder, with what is ours elsewhere."""
LADDERS_MAX: Final = 8
FILLED_MAX: Final = 30
"""Orders with fills, the newest."""
QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
NO_DAY: Final[Mapping[str, Any]] = {
    "session": None,
    "paths": {},
    "fans": {},
    "ladders": {},
    "filled": [],
    "calibration": {},
}
"""What is shown in place of a day that cannot be made."""
_SHOWN: Final = frozenset({Phase.OPEN, Phase.HOLD, Phase.CUTOFF})
_AHEAD: Final = _SHOWN | {Phase.UPCOMING}


class DayView:
    """The day of a run for its document. A bug in it is said once, in the log and there, and costs the day alone."""

    def __init__(self, state: DaemonState) -> None:
        self._state = state
        self._problem = ""

    def document(self, now_ns: Nanos) -> dict[str, Any]:
        """`day_document` with `day_problem`: the name of the error that it met, null as a rule. Never raises."""
        try:
            found = day_document(self._state, now_ns)
        except Exception as problem:
            said = type(problem).__name__
            if said != self._problem:
                log.exception("status.day_failed", error=said)
            self._problem = said
            return {**NO_DAY, "day_problem": said}
        self._problem = ""
        return {**found, "day_problem": None}


def day_document(state: DaemonState, now_ns: Nanos) -> dict[str, Any]:
    """What the document says of the day; null where unknown.

    Levels in points, probabilities 0..1, prices and counts as text of the wire's form.
    """
    session = state.session
    return {
        "session": None
        if session is None
        else {
            "day": session.day,
            "opens": iso_utc(session.open_ns),
            "closes": iso_utc(session.close_ns),
            "half_day": session.half_day,
            "open": state.session_open,
        },
        "paths": {index.value: _path(state, index) for index in state.index},
        "fans": {index.value: _fan(state, index, now_ns) for index in state.index},
        "ladders": _ladders(state, now_ns),
        "filled": [_filled(order) for order in _newest_filled(state.orders.values())],
        "calibration": {index.value: _record(state, index, now_ns) for index in state.index},
    }


def _path(state: DaemonState, index: Index) -> dict[str, Any] | None:
    """The index by the minute from the open on, up to the last minute seen; null where it was not."""
    view = state.calibration.get(index)
    minutes = None if view is None else view.minutes()
    if minutes is None:
        return None
    seen = np.flatnonzero(~np.isnan(minutes.prices))
    prices = minutes.prices[: int(seen[-1]) + 1 if len(seen) else 0]
    return {"from": iso_utc(minutes.open_ns), "minutes": [_number(float(price), 2) for price in prices]}


def _fan(state: DaemonState, index: Index, now_ns: Nanos) -> list[dict[str, Any]]:
    """The forecast at each fixing that is ahead, by QUANTILES; none while the model has nothing to say."""
    view = state.calibration.get(index)
    if view is None:
        return []
    ahead = {
        status.window.target_ns
        for status in state.windows.values()
        if status.phase in _AHEAD and status.window.series.index == index
    }
    found = []
    for target_ns in sorted(ahead):
        forecast = view.forecast(now_ns, target_ns)
        if forecast is not None:
            levels = forecast.quantiles(np.array(QUANTILES))
            found.append({"fixing": iso_utc(target_ns), "levels": [_number(float(level), 2) for level in levels]})
    return found


def _ladders(state: DaemonState, now_ns: Nanos) -> dict[str, Any]:
    """By event, of the windows that are open, in hold or being cancelled; the next fixing first."""
    shown = sorted(
        (status.window for status in state.windows.values() if status.phase in _SHOWN),
        key=lambda window: (window.target_ns, window.event_ticker),
    )
    own: dict[str, list[Order]] = {}
    for order in state.live_orders():
        own.setdefault(order.market_ticker, []).append(order)
    return {window.event_ticker: _ladder(state, window, now_ns, own) for window in shown[:LADDERS_MAX]}


def _ladder(state: DaemonState, window: Window, now_ns: Nanos, own: Mapping[str, list[Order]]) -> dict[str, Any]:
    view = state.calibration.get(window.series.index)
    forecast = None if view is None else view.forecast(now_ns, window.target_ns)
    last = state.index[window.series.index].last
    level = None if last is None else last.value
    markets = _rows(state, window, level, own)
    model: dict[str, float] = {}
    if forecast is not None and markets:
        chances = forecast.probabilities(tuple(market.contract for market in markets))
        model = {market.ticker: float(chance) for market, chance in zip(markets, chances, strict=True)}
    scans = {profile: decided for (profile, event), decided in state.decisions.items() if event == window.event_ticker}
    said = {profile: _outcomes(plan, judgement) for profile, (plan, judgement) in scans.items()}
    return {
        "index": window.series.index.value,
        "level": _number(level, 2),
        "sigma": None if forecast is None else _number(forecast.sigma, 6),
        "scans": {
            profile: {"at": iso_utc(plan.made_ns), "trigger": plan.trigger} for profile, (plan, _) in scans.items()
        },
        "rows": [_row(state, market, model.get(market.ticker), forecast, own, said) for market in markets],
    }


def _rows(state: DaemonState, window: Window, level: float | None, own: Mapping[str, list[Order]]) -> list[Market]:
    """The strikes next to the index, and those with an order or a position of ours; by what they pay for, rising."""
    listed = state.venue.listed(window.event_ticker)
    held = {ticker for ticker, one in state.ledger.positions.items() if one.count and not one.settled}
    ours = [market for market in listed if market.ticker in own or market.ticker in held]
    near: list[Market] = []
    if level is not None:
        near = sorted(listed, key=lambda market: abs(_middle(market) - level))[:STRIKES_MAX]
    chosen = {market.ticker: market for market in (*ours, *near)}
    return sorted(list(chosen.values())[:ROWS_MAX], key=_middle)


def _middle(market: Market) -> float:
    """Where on the index a market is decided, in points: its strike, or the middle of its range."""
    ends = [end / POINT for end in (market.contract.lowest, market.contract.highest) if end is not None]
    return sum(ends) / len(ends) if ends else 0.0


def _row(
    state: DaemonState,
    market: Market,
    chance: float | None,
    forecast: Forecast | None,
    own: Mapping[str, list[Order]],
    said: Mapping[str, Mapping[str, dict[str, str]]],
) -> dict[str, Any]:
    ticker, contract = market.ticker, market.contract
    book = state.venue.books.get(ticker)
    view = None if book is None else state.others_view(book)
    position = state.ledger.positions.get(ticker)
    # The error of calibration is given for one half and falls as a binomial's (docs/reference/model.md 7.2).
    band = 0.0
    if chance is not None and forecast is not None:
        band = forecast.calibration_error * 2.0 * sqrt(max(0.0, chance * (1.0 - chance)))
    return {
        "market": ticker,
        "pays_from": _level(contract.lowest),
        "pays_to": _level(contract.highest),
        "model": _number(chance, 4),
        "model_low": None if chance is None else _number(max(0.0, chance - band), 4),
        "model_high": None if chance is None else _number(min(1.0, chance + band), 4),
        "bid": None if view is None else _price(view.best_bid),
        "bid_size": None if view is None or view.best_bid is None else format_count(view.bid_size),
        "ask": None if view is None else _price(view.best_ask),
        "ask_size": None if view is None or view.best_ask is None else format_count(view.ask_size),
        "book_believed": view is not None and view.synced,
        "position": None if position is None or position.settled else format_count(position.count),
        "quotes": [
            {
                "side": order.side.value,
                "price": format_price(order.price),
                "remaining": format_count(order.leaves),
                "status": order.status.value,
                "profile": order.profile,
            }
            for order in own.get(ticker, ())
        ],
        "decisions": {profile: found[ticker] for profile, found in said.items() if ticker in found},
    }


def _outcomes(plan: QuotePlan, judgement: Judgement) -> dict[str, dict[str, str]]:
    """By market: what the last scan said of it, and the guard that refused what it proposed; "" for none."""
    closed = judgement.closed[0].guard if judgement.closed else ""
    refused = {
        one.quote.market_ticker: closed or next((verdict.guard for verdict in one.verdicts if not verdict.allows), "")
        for one in judgement.quotes
        if not one.accepted
    }
    return {
        look.market_ticker: {
            "outcome": look.outcome,
            "detail": look.detail,
            "refused_by": refused.get(look.market_ticker, ""),
        }
        for look in plan.looks
    }


def _newest_filled(orders: Iterable[Order]) -> list[Order]:
    return nlargest(FILLED_MAX, (order for order in orders if order.filled), key=lambda order: order.updated_ns)


def _filled(order: Order) -> dict[str, Any]:
    """An order of which something has traded; `at` is its last change."""
    return {
        "at": iso_utc(order.updated_ns),
        "market": order.market_ticker,
        "event_ticker": order.event_ticker,
        "profile": order.profile,
        "side": order.side.value,
        "price": format_price(order.price),
        "filled": format_count(order.filled),
        "count": format_count(order.count),
        "status": order.status.value,
        "client_order_id": order.client_order_id,
    }


def _record(state: DaemonState, index: Index, now_ns: Nanos) -> dict[str, Any] | None:
    """How far the model of an index may be trusted, monitor by monitor; null while there is no model."""
    view = state.calibration.get(index)
    if view is None:
        return None
    health = view.health(now_ns)
    market = state.market_records.get(index)
    readings = (*health.readings, *(() if market is None else market.readings()))
    return {
        "ready": health.ready,
        "minutes_seen": _number(health.minutes_seen, 1),
        "alarms": list(health.alarms),
        "memory": health.memory,
        "readings": [_reading(one) for one in readings],
    }


def _reading(one: Reading) -> dict[str, Any]:
    return {
        "monitor": one.monitor,
        "group": one.group,
        "value": _number(one.value, 4),
        "low": one.low,
        "high": one.high,
        "n": _number(one.n, 1),
        "n_min": one.n_min,
        "standing": one.standing.value,
    }


def _number(value: float | None, digits: int) -> float | None:
    """Rounded to `digits` places; what is not a number is unknown."""
    return None if value is None or not isfinite(value) else round(value, digits)


def _level(level: Level | None) -> str | None:
    return None if level is None else format_level(level)


def _price(price: Price | None) -> str | None:
    return None if price is None else format_price(price)
