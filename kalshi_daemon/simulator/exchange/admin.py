"""The exchange's own truth and its levers, over HTTP on loopback. No part of the venue: nothing here is signed.

GET  {admin}/health     {"ok": true, "now_ns": ...}
GET  {admin}/truth      `truth_of` an account (?account=NAME, default the first opened)
POST {admin}/pause      {"exchange": false}
POST {admin}/resume
POST {admin}/faults     see `apply_faults`
"""

from typing import Any, Final

import orjson
from aiohttp import web

from kalshi_daemon.ground.units import SECOND, Nanos, format_level
from kalshi_daemon.simulator.exchange.exchange import Exchange
from kalshi_daemon.simulator.exchange.faults import ErrorShape, Faults, Injection, Manner, When
from kalshi_daemon.simulator.exchange.levers import pull_levers
from kalshi_daemon.simulator.exchange.poison import poison_of
from kalshi_daemon.simulator.exchange.races import Racer
from kalshi_daemon.simulator.exchange.rest_portfolio import portfolio_value
from kalshi_daemon.simulator.exchange.rest_server import RestServer
from kalshi_daemon.simulator.exchange.sim_fees import FeeKind, FeeModel
from kalshi_daemon.simulator.exchange.sim_orders import Account, SimOrder
from kalshi_daemon.simulator.exchange.wire import fill_json, position_json, settlement_json
from kalshi_daemon.simulator.exchange.wire_text import count_text, micros_text, price_text
from kalshi_daemon.simulator.exchange.ws_server import StreamHub
from kalshi_daemon.simulator.feed.feed_server import FeedServer

Json = dict[str, Any]
_OK: Final[Json] = {"ok": True}


def truth_of(exchange: Exchange, account: Account) -> Json:
    """Everything the exchange knows of one account, and the values its markets settled at.

    Money as strings of dollars with four decimals, counts with two; times in nanoseconds. `pnl_dollars` is the change
    of cash plus what open positions cost.
    """
    catalogue = exchange.catalogue
    held_cost = sum(held.cost for held in account.holdings.values())
    return {
        "now_ns": exchange.now(),
        "account": account.name,
        "cash_dollars": micros_text(account.cash),
        "available_dollars": micros_text(account.available),
        "start_cash_dollars": micros_text(account.start_cash),
        "pnl_dollars": micros_text(account.cash - account.start_cash + held_cost),
        "realized_pnl_dollars": micros_text(account.realized()),
        "fees_dollars": micros_text(account.fees),
        "portfolio_value_dollars": micros_text(portfolio_value(exchange, account)),
        "orders_total": len(account.orders),
        "cancels": dict(account.cancels),
        "cancels_total": sum(account.cancels.values()),
        "resting": [_resting_json(order) for orders in account.resting.values() for order in orders.values()],
        "positions": [position_json(held) for held in account.holdings.values()],
        "fills": [fill_json(fill) | {"client_order_id": fill.order.client_order_id} for fill in account.fills],
        "contracts": count_text(sum(fill.count for fill in account.fills)),
        "settlements": [settlement_json(paid) for paid in account.settlements],
        "settled_values": {
            event.ticker: format_level(value)
            for event in catalogue.events.values()
            if (value := catalogue.by_event[event.ticker][0].settlement_value) is not None
        },
        "market_results": {
            held.ticker: catalogue.markets[held.ticker].result
            for held in account.holdings.values()
            if catalogue.markets[held.ticker].result
        },
        "cutoffs": cutoffs_json(exchange, account),
        "resting_after_cutoff_max": max((row["most_after"] for row in cutoffs_json(exchange, account)), default=0),
        "trades_total": exchange.matcher.trade_count,
        "order_groups": [
            {
                "id": group.group_id,
                "contracts_limit_fp": count_text(group.limit),
                "triggered": group.triggered,
                "resting": len(exchange.groups.live_orders(group.group_id)),
            }
            for group in exchange.groups.of(account).values()
        ],
    }


def cutoffs_json(exchange: Exchange, account: Account) -> list[Json]:
    """Per event: how many orders rested at the cutoff, at most from then on, and at the target (None: not yet)."""
    return [
        {
            "event_ticker": record.event_ticker,
            "cutoff_ns": record.cutoff_ns,
            "target_ns": record.target_ns,
            "at_cutoff": record.at_cutoff,
            "most_after": record.most_after,
            "at_target": record.at_target,
        }
        for (name, _event), record in exchange.lifecycle.cutoffs.items()
        if name == account.name
    ]


def _resting_json(order: SimOrder) -> Json:
    return {
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "ticker": order.market.spec.ticker,
        "event_ticker": order.market.spec.event_ticker,
        "side": order.side.value,
        "price_dollars": price_text(order.price),
        "remaining_fp": count_text(order.remaining),
        "since_ns": order.created_ns,
        "expires_ns": order.expires_ns,
        "order_group_id": order.group_id,
    }


def apply_faults(
    exchange: Exchange, faults: Faults, hub: StreamHub, request_body: Json, feed: FeedServer | None = None
) -> Json:
    """Set what is named in `request_body` and leave the rest. Raises KeyError, TypeError or ValueError for nonsense.

    refuse_cancels: bool; refuse_streams: HTTP status or 0; error_shape: nested|flat; string_429: bool;
    inject: {operation, when, manner, status, code, times, hang_s, lacks, poison} or a list of them; clear: true;
    drop_streams: true; skip_seq: {channel, count}; series_fees: {series_ticker, fee_type, multiplier, in_s};
    deactivate / activate: [tickers]; hold_settlement: {event_ticker, for_s};
    stream: {muted: [channels], withheld: [tickers], lag_s, duplicates, swaps (pairs), poisons: [...]};
    races: {crossings, takes, part} still to be lost; and what `levers` lists. A poison is {field, value, raw, of, item,
    times, channel}, see `poison`.
    """
    done: Json = {}
    if request_body.get("clear"):
        faults.injections.clear()
        faults.refuse_cancels, faults.refuse_streams = False, 0
        _bend_stream(faults, {"muted": [], "withheld": [], "lag_s": 0, "duplicates": 0, "swaps": 0})
        faults.stream.poisons.clear()
    _bend_stream(faults, request_body.get("stream", {}))
    faults.refuse_cancels = bool(request_body.get("refuse_cancels", faults.refuse_cancels))
    faults.refuse_streams = int(request_body.get("refuse_streams", faults.refuse_streams))
    faults.error_shape = ErrorShape(request_body.get("error_shape", faults.error_shape))
    faults.string_429 = bool(request_body.get("string_429", faults.string_429))
    injections = request_body.get("inject", [])
    for wanted in injections if isinstance(injections, list) else [injections]:
        faults.injections.append(_injection(wanted))
    if request_body.get("drop_streams"):
        done["dropped"] = hub.drop_connections()
    if "skip_seq" in request_body:
        done["skipped"] = hub.skip_seq(
            request_body["skip_seq"]["channel"], int(request_body["skip_seq"].get("count", 1))
        )
    if "series_fees" in request_body:
        _change_fees(exchange, request_body["series_fees"])
    exchange.venue.deactivate(request_body.get("deactivate", ()))
    exchange.venue.activate(request_body.get("activate", ()))
    if "races" in request_body:
        _race(exchange, request_body["races"])
    if "hold_settlement" in request_body:
        held = request_body["hold_settlement"]
        exchange.lifecycle.settlement_holds[held["event_ticker"]] = Nanos(int(held["for_s"] * SECOND))
    return _OK | done | pull_levers(exchange, hub, feed, request_body)


def _injection(wanted: Json) -> Injection:
    return Injection(
        operation=str(wanted["operation"]),
        when=When(wanted.get("when", When.BEFORE)),
        manner=Manner(wanted.get("manner", Manner.STATUS)),
        status=int(wanted.get("status", 503)),
        code=str(wanted.get("code", "service_unavailable")),
        times=int(wanted.get("times", 1)),
        hang_s=float(wanted.get("hang_s", 30.0)),
        lacks=str(wanted.get("lacks", "")),
        poison=poison_of(wanted["poison"]) if "poison" in wanted else None,
    )


def _bend_stream(faults: Faults, wanted: Json) -> None:
    stream = faults.stream
    stream.muted = frozenset(str(channel) for channel in wanted.get("muted", stream.muted))
    stream.withheld = frozenset(str(ticker) for ticker in wanted.get("withheld", stream.withheld))
    stream.lag_s = float(wanted.get("lag_s", stream.lag_s))
    stream.duplicates = int(wanted.get("duplicates", stream.duplicates))
    stream.swaps = int(wanted.get("swaps", stream.swaps))
    stream.poisons.extend(poison_of(one) for one in wanted.get("poisons", ()))


def _race(exchange: Exchange, wanted: Json) -> None:
    """The racer enters the market at the first request_body for it: until then the exchange has no such account."""
    racer = exchange.races if isinstance(exchange.races, Racer) else Racer(exchange)
    racer.crossings = int(wanted.get("crossings", racer.crossings))
    racer.takes = int(wanted.get("takes", racer.takes))
    racer.part = bool(wanted.get("part", racer.part))


def _change_fees(exchange: Exchange, wanted: Json) -> None:
    fees = FeeModel(FeeKind(wanted["fee_type"]), round(float(wanted.get("multiplier", 1)) * 1_000_000))
    at = Nanos(exchange.now() + int(float(wanted.get("in_s", 0)) * SECOND))
    exchange.venue.change_series_fees(wanted["series_ticker"], fees, at)


class Admin:
    """Handlers; mounted by `SimServer` below its admin path."""

    def __init__(
        self, exchange: Exchange, rest: RestServer, hub: StreamHub, faults: Faults, feed: FeedServer | None = None
    ) -> None:
        self._feed = feed
        self._exchange = exchange
        self._rest = rest
        self._hub = hub
        self._faults = faults

    def routes(self, prefix: str) -> list[web.RouteDef]:
        """Its routes below this path."""
        return [
            web.get(f"{prefix}/health", self._health),
            web.get(f"{prefix}/truth", self._truth),
            web.post(f"{prefix}/pause", self._pause),
            web.post(f"{prefix}/resume", self._resume),
            web.post(f"{prefix}/faults", self._set_faults),
        ]

    async def _health(self, _request: web.Request) -> web.Response:
        return _json(_OK | {"now_ns": self._exchange.now(), "streams": len(self._hub.connections)})

    async def _truth(self, request: web.Request) -> web.Response:
        self._exchange.enter()
        members = [account.name for account in self._exchange.accounts.values() if account.keeps_history]
        name = request.query.get("account", members[0] if members else "")
        account = self._exchange.accounts.get(name)
        if account is None:
            return _json({"error": f"no account {name!r}"}, 404)
        return _json(truth_of(self._exchange, account) | {"requests": dict(self._rest.requests)})

    async def _pause(self, request: web.Request) -> web.Response:
        body = await request.read()
        request_body = orjson.loads(body) if body else {}
        self._exchange.venue.pause(exchange=bool(request_body.get("exchange", False)))
        return _json(_OK)

    async def _resume(self, _request: web.Request) -> web.Response:
        self._exchange.venue.resume()
        return _json(_OK)

    async def _set_faults(self, request: web.Request) -> web.Response:
        try:
            request_body = orjson.loads(await request.read())
            return _json(apply_faults(self._exchange, self._faults, self._hub, request_body, self._feed))
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            return _json({"error": repr(problem)}, 400)


def _json(body: Json, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
