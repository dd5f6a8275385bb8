"""The exchange's REST side without sockets: what an aiohttp session is to the client, and the handlers behind it.

The client's code, its limiter and its codecs run as they do in life, the exchange's handlers too; only the bytes take
no wire. A request is handled after its delay, its answer comes after another one.
"""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final
from urllib.parse import parse_qs, unquote

import orjson
from yarl import URL

from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.simulator.exchange.exchange import Exchange
from kalshi_daemon.simulator.exchange.order_terms import NOT_FOUND, TOO_MANY_REQUESTS, Refusal
from kalshi_daemon.simulator.exchange.rate_buckets import TIERS, RateBuckets, Tier, cost_of
from kalshi_daemon.simulator.exchange.rest_call import PREFIX, Answer, Call, Refused, Route, ok
from kalshi_daemon.simulator.exchange.rest_market_data import MARKET_DATA_ROUTES
from kalshi_daemon.simulator.exchange.rest_orders import ORDER_ROUTES
from kalshi_daemon.simulator.exchange.rest_portfolio import PORTFOLIO_ROUTES
from kalshi_daemon.simulator.exchange.sim_orders import Account
from kalshi_daemon.simulator.exchange.wire import error_json
from kalshi_daemon.simulator.exchange.wire_text import http_date

BASE_URL: Final = f"http://backtest{PREFIX}"
_PARAMETER: Final = re.compile(r"\{(\w+)\}")


class LocalResponse:
    """The part of aiohttp's response that the client reads."""

    def __init__(self, status: int, body: bytes, date: str) -> None:
        self.status = status
        self.headers = {"Date": date}
        self.content = self
        self._body = body

    async def iter_any(self) -> AsyncIterator[bytes]:
        """The whole body at once."""
        yield self._body


class LocalSession:
    """The part of aiohttp's client session that the client uses, with one account behind it."""

    closed = False

    def __init__(
        self,
        exchange: Exchange,
        account: Account,
        clock: Clock,
        delay: Callable[[str], Nanos],
        tier: Tier = TIERS["basic"],
    ) -> None:
        self._exchange = exchange
        self._account = account
        self._clock = clock
        self._delay = delay
        self._tier = tier
        self._buckets = RateBuckets(tier, exchange.now())
        limits = Route("GET", "/account/limits", "account_limits", self._limits)
        self._routes = _Table((*MARKET_DATA_ROUTES, *ORDER_ROUTES, *PORTFOLIO_ROUTES, limits))
        self._date = (0, "")
        self.requests = 0

    def request(self, method: str, url: URL, *, data: bytes | None = None, **_options: object) -> "_Exchange":
        """A context manager, as aiohttp's is. Headers and time-outs are nobody's business here."""
        return _Exchange(self, method, url, data or b"")

    async def answer(self, method: str, url: URL, body: bytes) -> LocalResponse:
        """One request: there, handled, back."""
        await self._clock.sleep(self._delay(method))
        self.requests += 1
        answer = self._handled(method, url, body)
        date = self._stamp()
        await self._clock.sleep(self._delay(method))
        return LocalResponse(answer.status, b"" if answer.body is None else orjson.dumps(answer.body), date)

    def _handled(self, method: str, url: URL, body: bytes) -> Answer:
        now = self._exchange.enter()
        found = self._routes.find(method, url.raw_path.removeprefix(PREFIX))
        if found is None:
            return _refused(NOT_FOUND)
        route, path = found
        if not self._buckets.admit(method, cost_of(method, route.template, route.items(body)), now):
            return _refused(TOO_MANY_REQUESTS)
        query = parse_qs(url.raw_query_string, keep_blank_values=True)
        try:
            return route.handler(Call(self._exchange, now, self._account, path, query, body))
        except Refused as refused:
            return _refused(refused.refusal)

    def _stamp(self) -> str:
        """The `Date` of an answer, worked out once a second."""
        second = self._exchange.now() // SECOND
        if second != self._date[0]:
            self._date = (second, http_date(Nanos(second * SECOND)))
        return self._date[1]

    def _limits(self, _call: Call) -> Answer:
        return ok(self._tier.limits_json())


def _refused(refusal: Refusal) -> Answer:
    return Answer(refusal.status, {"error": error_json(refusal)})


class _Exchange:
    """`async with session.request(...) as response`."""

    def __init__(self, session: LocalSession, method: str, url: URL, body: bytes) -> None:
        self._session = session
        self._asked = (method, url, body)

    async def __aenter__(self) -> LocalResponse:
        return await self._session.answer(*self._asked)

    async def __aexit__(self, *_problem: object) -> None:
        return None


class _Table:
    """Routes by method and path; a path without parameters is found at once."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self._plain = {(route.method, route.template): route for route in routes if "{" not in route.template}
        self._patterns = [
            (route, re.compile(_PARAMETER.sub(r"(?P<\1>[^/]+)", route.template)))
            for route in routes
            if "{" in route.template
        ]

    def find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]] | None:
        plain = self._plain.get((method, path))
        if plain is not None:
            return plain, {}
        for route, pattern in self._patterns:
            found = pattern.fullmatch(path) if route.method == method else None
            if found is not None:
                return route, {name: unquote(value) for name, value in found.groupdict().items()}
        return None
