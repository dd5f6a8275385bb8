"""The REST side on aiohttp: faults, signature, rate limit, handler, envelope. The handlers themselves are synchronous.

Every response carries the exchange's own time in its Date header.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import orjson
from aiohttp import web

from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.simulator.exchange.exchange import Exchange
from kalshi_daemon.simulator.exchange.faults import ErrorShape, Faults, Injection, Manner, When, with_ids, without
from kalshi_daemon.simulator.exchange.order_terms import NOT_FOUND, TOO_MANY_REQUESTS, Refusal
from kalshi_daemon.simulator.exchange.rate_buckets import RateBuckets, Tier, cost_of
from kalshi_daemon.simulator.exchange.rest_call import PREFIX, Answer, Call, Refused, Route, ok
from kalshi_daemon.simulator.exchange.rest_history import HISTORY_ROUTES
from kalshi_daemon.simulator.exchange.rest_market_data import MARKET_DATA_ROUTES
from kalshi_daemon.simulator.exchange.rest_orders import CANCELS, ORDER_ROUTES
from kalshi_daemon.simulator.exchange.rest_portfolio import PORTFOLIO_ROUTES
from kalshi_daemon.simulator.exchange.sim_auth import KeyRing, StampClock
from kalshi_daemon.simulator.exchange.sim_orders import Account
from kalshi_daemon.simulator.exchange.wire import error_json
from kalshi_daemon.simulator.exchange.wire_text import http_date

_CANCELS_REFUSED: Final = Refusal(503, "exchange_unavailable", "exchange unavailable")
_INTERNAL: Final = Refusal(500, "internal_error", "internal error")
_ANONYMOUS: Final = "anonymous"
_HANG_STEP_S: Final = 0.05


class RestServer:
    """Owns the rate buckets and the request counts. `clocks`: those that a timestamp may be of."""

    def __init__(
        self,
        exchange: Exchange,
        keys: KeyRing,
        faults: Faults,
        clocks: Sequence[StampClock],
        *,
        tier: Tier,
        on_its_way: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        """`on_its_way`: waited for by each request before it is handled, and by its answer, with the HTTP method."""
        self.exchange = exchange
        self.keys = keys
        self.faults = faults
        self.tier = tier
        self.requests: Counter[str] = Counter()
        """By operation and status: `create 201`."""
        self._clocks = tuple(clocks)
        self._buckets: dict[str, RateBuckets] = {}
        self._on_its_way = on_its_way
        self._closing = False

    def routes(self) -> list[web.RouteDef]:
        """Everything below /trade-api/v2; the catch-all answers unknown paths with the venue's 404."""
        limits = Route("GET", "/account/limits", "account_limits", self._account_limits)
        table = (*MARKET_DATA_ROUTES, *HISTORY_ROUTES, *ORDER_ROUTES, *PORTFOLIO_ROUTES, limits)
        found = [web.route(route.method, PREFIX + route.template, self._entry(route)) for route in table]
        found.append(web.route("*", PREFIX + "/{rest:.*}", self._unknown))
        return found

    def close(self) -> None:
        """Let hanging answers go."""
        self._closing = True

    def _entry(self, route: Route) -> Callable[[web.Request], Any]:
        async def serve(request: web.Request) -> web.StreamResponse:
            return await self._serve(route, request)

        return serve

    async def _serve(self, route: Route, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if self._on_its_way is not None:
            await self._on_its_way(request.method)
        injected = self.faults.take(route.operation, When.BEFORE)
        if injected is not None:
            return await self._fail(route, request, injected, None)
        answer = self._answer(route, request, body)
        if self._on_its_way is not None:
            await self._on_its_way(request.method)
        injected = self.faults.take(route.operation, When.AFTER)
        if injected is not None:
            return await self._fail(route, request, injected, answer)
        return self._respond(route.operation, answer)

    def _answer(self, route: Route, request: web.Request, body: bytes) -> Answer:
        try:
            now = self.exchange.enter()
            account = self._account(route, request)
            self._admit(route, account, body, now)
            query = {name: request.query.getall(name) for name in request.query}
            return route.handler(Call(self.exchange, now, account, dict(request.match_info), query, body))
        except Refused as refused:
            return self._envelope(refused.refusal)

    def _account(self, route: Route, request: web.Request) -> Account | None:
        if not route.signed and "KALSHI-ACCESS-KEY" not in request.headers:
            return None
        found = self.keys.check(request.headers, request.method, request.rel_url.raw_path, self._clocks)
        if isinstance(found, Refusal):
            raise Refused(found)
        return self.exchange.accounts[found]

    def _admit(self, route: Route, account: Account | None, body: bytes, now: Nanos) -> None:
        name = _ANONYMOUS if account is None else account.name
        buckets = self._buckets.get(name)
        if buckets is None:
            buckets = self._buckets[name] = RateBuckets(self.tier, now)
        if not buckets.admit(route.method, cost_of(route.method, route.template, route.items(body)), now):
            raise Refused(TOO_MANY_REQUESTS)
        if self.faults.refuse_cancels and route.operation in CANCELS:
            raise Refused(_CANCELS_REFUSED)

    def _account_limits(self, _call: Call) -> Answer:
        return ok(self.tier.limits_json())

    def _envelope(self, refusal: Refusal) -> Answer:
        if refusal.status == TOO_MANY_REQUESTS.status and self.faults.string_429:
            return Answer(refusal.status, {"error": refusal.message})
        body = error_json(refusal)
        return Answer(refusal.status, body if self.faults.error_shape is ErrorShape.FLAT else {"error": body})

    def _respond(self, operation: str, answer: Answer, encoded: bytes | None = None) -> web.Response:
        """`encoded`: bytes to send instead of the answer's body."""
        self.requests[f"{operation} {answer.status}"] += 1
        headers = {"Date": http_date(self.exchange.now())}
        if answer.body is None:
            return web.Response(status=answer.status, headers=headers)
        body = orjson.dumps(answer.body) if encoded is None else encoded
        return web.Response(body=body, status=answer.status, headers=headers, content_type="application/json")

    async def _fail(
        self, route: Route, request: web.Request, injected: Injection, answer: Answer | None
    ) -> web.StreamResponse:
        match injected.manner:
            case Manner.STATUS:
                return self._respond(route.operation, self._envelope(injected.refusal()))
            case Manner.GARBAGE:
                status = 200 if answer is None else answer.status
                return web.Response(body=b"<html>not the exchange", status=status, content_type="text/html")
            case Manner.LACK if answer is not None:
                return self._respond(route.operation, Answer(answer.status, without(answer.body, injected.lacks)))
            case Manner.CUT:
                return await self._cut(route, request, answer or self._envelope(injected.refusal()))
            case Manner.HANG | Manner.LATE:
                await self._hold_back(route, request, injected.hang_s)
                if injected.manner is Manner.LATE and request.transport is not None:
                    return self._respond(route.operation, answer or self._answer(route, request, await request.read()))
            case Manner.POISON | Manner.SHARED_ID | Manner.OTHER_ID if answer is not None and answer.body is not None:
                return self._lie(route, injected, answer, request)
            case _:  # DROP, and what needs an answer that there is not
                pass
        self.requests[f"{route.operation} dropped"] += 1
        if request.transport is not None:
            request.transport.abort()
        return self._respond(route.operation, self._envelope(_INTERNAL))

    def _lie(self, route: Route, injected: Injection, answer: Answer, request: web.Request) -> web.Response:
        """The right status, and a body that is not true; the truth where there is nothing to lie about."""
        if injected.manner is Manner.POISON:
            poisoned = None if injected.poison is None else injected.poison.apply(answer.body)
            return self._respond(route.operation, answer, poisoned)
        ids = _order_ids(answer.body)
        if not ids:
            return self._respond(route.operation, answer)
        told = ids[0]
        if injected.manner is Manner.OTHER_ID:
            told = self._other_order(route, request, ids) if injected.poison is None else str(injected.poison.value)
        return self._respond(route.operation, Answer(answer.status, with_ids(answer.body, itertools.repeat(told))))

    def _other_order(self, route: Route, request: web.Request, ids: list[str]) -> str:
        """The newest order of the account that is not in the answer; an id nobody has where there is none."""
        try:
            account = self._account(route, request)
        except Refused:
            account = None
        known = [] if account is None else [one for one in account.orders if one not in ids]
        return known[-1] if known else "00000000-0000-4000-8000-000000000000"

    async def _hold_back(self, route: Route, request: web.Request, s_max: float) -> None:
        """Until `s_max` of real time have passed, or nobody waits any more."""
        self.requests[f"{route.operation} held back"] += 1
        waited = 0.0
        while waited < s_max and not self._closing and request.transport is not None:
            await asyncio.sleep(_HANG_STEP_S)
            waited += _HANG_STEP_S

    async def _cut(self, route: Route, request: web.Request, answer: Answer) -> web.StreamResponse:
        self.requests[f"{route.operation} cut"] += 1
        body = orjson.dumps(answer.body)
        response = web.StreamResponse(status=answer.status)
        response.content_type = "application/json"
        response.content_length = len(body)
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        if request.transport is not None:
            request.transport.close()  # what was written still arrives; an abort would throw it away
        return response

    async def _unknown(self, _request: web.Request) -> web.Response:
        return self._respond("unknown", self._envelope(NOT_FOUND))


def _order_ids(body: Any) -> list[str]:  # noqa: ANN401 - JSON
    items = body.get("orders", [body]) if isinstance(body, dict) else []
    return [item["order_id"] for item in items if isinstance(item, dict) and "order_id" in item]
