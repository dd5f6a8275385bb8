"""`KalshiRest`: the venue's REST API as the protocols of `api` promise it.

Envelopes are opened: `series` returns the inner object of `{"series": ...}`, `orderbook` that of
`{"orderbook_fp": ...}`, lists are every page joined. Writes are sent at most once; their answers must be about what was
asked, or the outcome is unknown. Every request names the subaccount, every cancel its market.
"""

from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import quote

import aiohttp
import orjson
import structlog

from kalshi_daemon.domain.events import Balance, CancelAck, CreateAck, ExchangeStatus, RemoteOrder
from kalshi_daemon.domain.order import Fill, NewOrder, OrderRef, Settlement, VenuePosition
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.errors import (
    AuthFailed,
    DaemonError,
    MalformedData,
    MalformedField,
    OrderOutcomeUnknown,
    VenueError,
    VenueUnavailable,
    VenueUnreachable,
)
from kalshi_daemon.ground.units import MILLISECOND, SECOND, Count, Nanos, Price
from kalshi_daemon.kalshi import fields, refusals, rest_codec
from kalshi_daemon.kalshi.auth import Signer
from kalshi_daemon.kalshi.fields import Json
from kalshi_daemon.kalshi.rate_limit import Endpoint, Lane, RateLimiter
from kalshi_daemon.kalshi.server_time import ServerClock
from kalshi_daemon.kalshi.transport import (
    OPEN,
    Answer,
    Request,
    Transport,
    WriteGate,
    read_object,
    trusted,
    wire_query,
)
from kalshi_daemon.settings.model import KalshiSettings

log = structlog.get_logger()

PAGES_MAX: Final = 200
"""More pages than this is not a listing of ours but a loop: MalformedField."""
BATCH_MAX: Final = 100
CANCELS_AT_ONCE: Final = 10
"""A batch of cancels leaves as soon as this many fit, instead of waiting until all of them do."""
FAILED_PARTS_MAX: Final = 2
"""So many parts of a cancel failing in a row end it: the caller has a deadline and other means."""
_EVENTS_PAGE: Final = 200
_PAGE: Final = 1_000
_HOME_SHARD: Final = 0


class ReadOnly(DaemonError):  # noqa: N818 - errors are nouns: the tree's rule
    """A write was asked of a client that may only read: nothing was sent."""

    def __str__(self) -> str:
        return f"read-only client: {self.args[0]} was not sent"


class KalshiRest:
    """One account on one host. `signer` None allows public reads only.

    `server_clock` measures our clock against the venue's at every answer that carries a stamp, and holds how far both
    may differ: a signature refused beyond it raises ClockSkewed, else AuthFailed.
    """

    def __init__(
        self,
        base_url: str,
        signer: Signer | None,
        clock: Clock,
        settings: KalshiSettings,
        *,
        session: aiohttp.ClientSession,
        writes: WriteGate = OPEN,
        server_clock: ServerClock | None = None,
    ) -> None:
        self._clock = clock
        self._subaccount = settings.subaccount
        self._read_only = writes.read_only
        self._may_create = writes.may_create
        self._transport = Transport(base_url, signer, clock, settings, session=session, server_clock=server_clock)

    @property
    def in_flight(self) -> int:
        """Requests on the wire now; a request that waits for tokens is not counted."""
        return self._transport.in_flight

    @property
    def limiter(self) -> RateLimiter:
        return self._transport.limiter

    async def load_limits(self) -> None:
        """Read the account's buckets and the cost table. An answer that cannot be used leaves the Basic tier's numbers.

        Raises AuthFailed and VenueUnreachable only: the lowest tier is safe to trade on, a wrong way or key is not.
        """
        try:
            limits, costs = await self.account_limits(), await self.endpoint_costs()
            self.limiter.load(limits, costs, self._clock.mono_ns())
        except (AuthFailed, VenueUnreachable):
            raise
        except (VenueError, MalformedData) as problem:
            log.warning("kalshi.limits_not_read", problem=str(problem))

    # --- public reads -------------------------------------------------------------------------------------------------

    async def exchange_status(self) -> ExchangeStatus:
        """A 5xx may carry the same body: the exchange is not active then (docs/reference/venue.md 2.1).

        Raises VenueUnavailable when such an answer claims to be active.
        """
        request = Request(Endpoint.STATUS, "/exchange/status", signed=False)
        answer = await self._transport.read(request, accept_5xx=True)
        failed = answer.status >= 500  # noqa: PLR2004 - HTTP
        try:
            status = rest_codec.exchange_status(read_object(answer, "exchange_status"), self._clock.now_ns())
        except MalformedData as problem:
            if failed:
                raise VenueUnavailable(request.name, answer.status, "no status in the answer") from problem
            raise
        if failed and status.exchange_active and status.trading_active:
            raise VenueUnavailable(request.name, answer.status, "claims to be active")
        return status

    async def series(self, series_ticker: str) -> Json:
        path = f"/series/{_segment(series_ticker)}"
        return await self._inner(Request(Endpoint.SERIES, path, signed=False), "series")

    async def events(self, series_ticker: str, status: str | None = None) -> list[Json]:
        query = wire_query(series_ticker=series_ticker, status=status, limit=_EVENTS_PAGE)
        return await self._pages(Request(Endpoint.EVENTS, "/events", query, signed=False), "events")

    async def markets(self, event_ticker: str) -> list[Json]:
        query = wire_query(event_ticker=event_ticker, limit=_PAGE)
        return await self._pages(Request(Endpoint.MARKETS, "/markets", query, signed=False), "markets")

    async def orderbook(self, market_ticker: str) -> Json:
        """BIDS of both sides, NO levels in NO prices: `{"yes_dollars": [[price, count]], "no_dollars": [...]}`."""
        path = f"/markets/{_segment(market_ticker)}/orderbook"
        # Depth 0 is the whole book; what is meant by leaving it out is not documented.
        return await self._inner(Request(Endpoint.ORDERBOOK, path, wire_query(depth=0)), "orderbook_fp")

    # --- writes -------------------------------------------------------------------------------------------------------

    async def create_orders(self, orders: Sequence[NewOrder]) -> list[CreateAck | VenueError]:
        """Batched creates. A batch too large for the bucket is split; after a part failed, later parts are not sent."""
        self._need_write("create_batch")
        rest_codec.create_batch_body(
            orders, self._subaccount
        )  # a malformed order stops all of them before the first byte
        results: list[CreateAck | VenueError] = []
        size = min(BATCH_MAX, self.limiter.largest_batch(Endpoint.CREATE_BATCH))
        for start in range(0, len(orders), size):
            part = orders[start : start + size]
            try:
                results += await self._create_part(part)
            except VenueError as problem:
                if len(part) == len(orders) or (start == 0 and not isinstance(problem, OrderOutcomeUnknown)):
                    raise
                results += [problem] * len(part)
                unsent = VenueUnreachable("create_batch", "not sent: an earlier part of the batch failed")
                results += [unsent] * (len(orders) - len(results))
                break
        return results

    async def cancel_orders(self, orders: Sequence[OrderRef]) -> list[CancelAck | VenueError]:
        """Batched cancels, in parts as the bucket allows. One failed part does not stop the others; two in a row do."""
        self._need_write("cancel_batch")
        results: list[CancelAck | VenueError] = []
        failures: list[VenueError] = []
        answered = False
        while len(results) < len(orders):
            part = orders[len(results) : len(results) + self._cancel_room(len(orders) - len(results))]
            try:
                results += await self._cancel_part(part)
                answered = True
                failures.clear()
            except VenueError as problem:
                results += [problem] * len(part)
                failures.append(problem)
                if len(failures) == FAILED_PARTS_MAX:
                    unsent = VenueUnreachable("cancel_batch", "not sent: earlier parts of the batch failed")
                    results += [unsent] * (len(orders) - len(results))
        if failures and not answered:
            raise failures[0]
        return results

    async def amend_order(
        self, order: NewOrder, order_id: str, *, total_count: Count, price: Price, expires_ns: Nanos
    ) -> None:
        self._need_write("amend")
        request = Request(
            Endpoint.AMEND,
            f"/portfolio/events/orders/{_segment(order_id)}/amend",
            wire_query(subaccount=self._subaccount),
            orjson.dumps(rest_codec.amend_body(order, total_count, price, expires_ns)),
        )
        answer = await self._transport.write(request, still_wanted=self._may_create)

        def check() -> None:
            obj = read_object(answer, "amend")
            rest_codec.echo_of_order(obj, order_id, "amend")
            self._note_engine_time(answer, fields.ms(obj, "ts_ms", "amend"))

        trusted(request.name, check)

    async def cancel_all(self) -> None:
        self._need_write("cancel_all")
        query = wire_query(subaccount=self._subaccount)
        await self._transport.write(Request(Endpoint.CANCEL_ALL, "/portfolio/events/orders", query))

    async def create_order_group(self, contracts_limit: Count) -> str:
        self._need_write("group_create")
        body = orjson.dumps(rest_codec.order_group_body(contracts_limit, self._subaccount))
        request = Request(Endpoint.GROUP_CREATE, "/portfolio/order_groups/create", body=body)
        answer = await self._transport.write(request)
        return trusted(
            request.name, lambda: fields.text(read_object(answer, "order_group"), "order_group_id", "order_group")
        )

    async def reset_order_group(self, order_group_id: str) -> None:
        self._need_write("group_reset")
        path = f"/portfolio/order_groups/{_segment(order_group_id)}/reset"
        query = wire_query(subaccount=self._subaccount)
        await self._transport.write(Request(Endpoint.GROUP_RESET, path, query, b"{}"))

    async def delete_order_group(self, order_group_id: str) -> None:
        self._need_write("group_delete")
        path = f"/portfolio/order_groups/{_segment(order_group_id)}"
        query = wire_query(subaccount=self._subaccount)
        await self._transport.write(Request(Endpoint.GROUP_DELETE, path, query))

    async def order_groups(self) -> list[Json]:
        query = wire_query(subaccount=self._subaccount)
        answer = await self._transport.read(Request(Endpoint.GROUPS, "/portfolio/order_groups", query))
        # A list of none may come as an absent key: groups are a brake we set up, never a sum we rely on.
        groups = read_object(answer, "order_groups").get("order_groups") or []
        return fields.each(groups, lambda group: group, "order_groups")

    # --- authenticated reads ------------------------------------------------------------------------------------------

    async def orders(
        self, *, status: str | None = None, market_ticker: str | None = None, min_ts_ns: Nanos | None = None
    ) -> list[RemoteOrder]:
        query = wire_query(status=status, ticker=market_ticker, min_ts=_seconds(min_ts_ns), limit=_PAGE)
        items = await self._pages(Request(Endpoint.ORDERS, "/portfolio/orders", self._own(query)), "orders")
        return fields.each(items, rest_codec.remote_order, "orders")

    async def order(self, order_id: str) -> RemoteOrder:
        obj = await self._inner(Request(Endpoint.ORDER, f"/portfolio/orders/{_segment(order_id)}"), "order")
        rest_codec.echo_of_order(obj, order_id, "order")
        return rest_codec.remote_order(obj)

    async def fills(self, *, min_ts_ns: Nanos | None = None, order_id: str | None = None) -> list[Fill]:
        query = wire_query(order_id=order_id, min_ts=_seconds(min_ts_ns), limit=_PAGE)
        items = await self._pages(Request(Endpoint.FILLS, "/portfolio/fills", self._own(query)), "fills")
        return fields.each(items, rest_codec.fill, "fills")

    async def positions(self) -> list[VenuePosition]:
        """Unsettled positions, flat ones with a history included."""
        query = self._own(wire_query(limit=_PAGE))
        request = Request(Endpoint.POSITIONS, "/portfolio/positions", query)
        return fields.each(
            await self._pages(request, "market_positions", cursor_required=False),
            rest_codec.position,
            "market_positions",
        )

    async def settlements(self, *, min_ts_ns: Nanos | None = None) -> list[Settlement]:
        query = self._own(wire_query(min_ts=_seconds(min_ts_ns), limit=_PAGE))
        request = Request(Endpoint.SETTLEMENTS, "/portfolio/settlements", query)
        items = await self._pages(request, "settlements", cursor_required=False)
        return fields.each(items, rest_codec.settlement, "settlements")

    async def balance(self, exchange_index: int | None = _HOME_SHARD) -> Balance:
        """Cash of a shard; index series are on shard 0; None: of all (docs/reference/venue.md 2.5, 7)."""
        query = self._own({} if exchange_index is None else {"exchange_index": exchange_index})
        answer = await self._transport.read(Request(Endpoint.BALANCE, "/portfolio/balance", query))
        return rest_codec.balance(read_object(answer, "balance"), self._clock.now_ns())

    async def account_limits(self) -> Json:
        return read_object(await self._transport.read(Request(Endpoint.LIMITS, "/account/limits")), "limits")

    async def endpoint_costs(self) -> Json:
        request = Request(Endpoint.COSTS, "/account/endpoint_costs", signed=False)
        return read_object(await self._transport.read(request), "endpoint_costs")

    # --- inside -------------------------------------------------------------------------------------------------------

    async def _create_part(self, part: Sequence[NewOrder]) -> list[CreateAck | VenueError]:
        ids = [order.client_order_id for order in part]
        body = orjson.dumps(rest_codec.create_batch_body(part, self._subaccount))
        request = Request(Endpoint.CREATE_BATCH, "/portfolio/events/orders/batched", body=body)
        answer = await self._transport.write(request, items=len(part), still_wanted=self._may_create)
        return self._batch_results(request, answer, ids, "client_order_id", rest_codec.create_ack)

    async def _cancel_part(self, part: Sequence[OrderRef]) -> list[CancelAck | VenueError]:
        ids = [order.order_id for order in part]
        body = orjson.dumps(rest_codec.cancel_batch_body(part, self._subaccount))
        request = Request(Endpoint.CANCEL_BATCH, "/portfolio/events/orders/batched", body=body)
        answer = await self._transport.write(request, items=len(part))
        return self._batch_results(request, answer, ids, "order_id", rest_codec.cancel_ack)

    def _cancel_room(self, wanted: int) -> int:
        """How many cancels go into the next batch: what fits now, if that is not too few to be worth a request."""
        largest = min(wanted, BATCH_MAX, self.limiter.largest_batch(Endpoint.CANCEL_BATCH))
        now, cost = self._clock.mono_ns(), self.limiter.cost(Endpoint.CANCEL_BATCH)
        for size in range(largest, min(largest, CANCELS_AT_ONCE), -1):
            if self.limiter.wait_ns(Lane.CANCEL, size * cost, now) == 0:
                return size
        return min(largest, CANCELS_AT_ONCE)

    def _batch_results[Ack: (CreateAck, CancelAck)](
        self, request: Request, answer: Answer, ids: Sequence[str], key: str, decode: Callable[[Json, str], Ack]
    ) -> list[Ack | VenueError]:
        """One result per id. Raises OrderOutcomeUnknown when the answer as a whole cannot be read."""
        name = request.name
        items = trusted(name, lambda: _items(answer))
        results: list[Ack | VenueError] = []
        for wanted, item in zip(ids, rest_codec.pair_items(ids, items, key), strict=True):
            if item is None:
                results.append(OrderOutcomeUnknown(name, f"the answer does not speak of {wanted}"))
            elif item.get("error"):
                results.append(refusals.item_error(name, answer.status, item["error"]))
            else:
                try:
                    ack = decode(item, wanted)
                except MalformedData as problem:
                    results.append(OrderOutcomeUnknown(name, f"answer not understood: {problem}"))
                else:
                    results.append(ack)
                    self._note_engine_time(answer, ack.event_ns)
        return results

    def _note_engine_time(self, answer: Answer, stamp_ns: Nanos) -> None:
        self._transport.note_stamp(answer.sent_ns, self._clock.now_ns(), stamp_ns, MILLISECOND)

    async def _inner(self, request: Request, key: str) -> Json:
        obj = read_object(await self._transport.read(request), request.name)
        return fields.as_object(fields.need(obj, key, request.name), key)

    async def _pages(self, request: Request, key: str, *, cursor_required: bool = True) -> list[Json]:
        """Every page of a list. Raises MalformedData when pages do not end or the end is not marked."""
        joined: list[Json] = []
        seen: set[str] = set()
        query = dict(request.query or {})
        for _ in range(PAGES_MAX):
            page = Request(request.endpoint, request.path, query, signed=request.signed)
            obj = read_object(await self._transport.read(page), request.name)
            if key not in obj:
                fields.need(obj, key, request.name)
            items = fields.as_array(obj[key] or [], key)  # null is how an empty list may be written, absent is not
            # An entry that is no object is one without any field: whoever reads it names what it lacks.
            joined += (item if isinstance(item, dict) else {} for item in items)
            cursor = fields.optional_text(obj, "cursor", request.name)
            if cursor is None:
                if cursor_required and "cursor" not in obj:
                    fields.need(obj, "cursor", request.name)  # a listing cut short would look complete
                return joined
            if cursor in seen:
                raise MalformedField(f"{request.name}.cursor", cursor, "a cursor that was not given before")
            seen.add(cursor)
            query["cursor"] = cursor
        raise MalformedField(f"{request.name}.cursor", len(seen), f"a listing of at most {PAGES_MAX} pages")

    def _own(self, query: dict[str, str | int]) -> dict[str, str | int]:
        return query | {"subaccount": self._subaccount}

    def _need_write(self, operation: str) -> None:
        if self._read_only:
            raise ReadOnly(operation)


def _items(answer: Answer) -> list[Json]:
    obj = read_object(answer, "batch")
    items = fields.as_array(fields.need(obj, "orders", "batch"), "batch.orders")
    return [item if isinstance(item, dict) else {} for item in items]  # one that is no object speaks of no order


def _segment(value: str) -> str:
    """A path segment as it goes on the wire; what is sent is what is signed."""
    if not value:
        raise MalformedField("path", value, "a non-empty id")
    return quote(value, safe="")


def _seconds(ns: Nanos | None) -> int | None:
    return None if ns is None else ns // SECOND
