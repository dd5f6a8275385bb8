"""An exchange in memory that does what it is told to do wrong. Implements what the order path asks of the venue.

Money is booked as docs/reference/venue.md 7.3 says: a fill opens or nets, a pair gives its dollar back at once, resting
orders hold balance back. `script` makes the next request of an operation fail in a named way, before or after it was
applied.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from kalshi_daemon.domain.events import (
    Balance,
    CancelAck,
    CreateAck,
    FillEvent,
    MarketLifecycle,
    OrderGroupUpdate,
    RemoteOrder,
    UserOrder,
    VenueEvent,
)
from kalshi_daemon.domain.order import Fill, NewOrder, OrderRef, Settlement, VenuePosition
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.errors import (
    AlreadyExists,
    DaemonError,
    MarketClosed,
    NotFound,
    OrderOutcomeUnknown,
    PartlyUnreadable,
    RateLimited,
    UnreadableRecord,
    VenueError,
    VenueRejected,
    VenueUnavailable,
    VenueUnreachable,
)
from kalshi_daemon.ground.units import SECOND, Count, Dollars, Nanos, Price


@dataclass
class Resting:
    """An order of the account, in any state."""

    order_id: str
    client_order_id: str
    ticker: str
    side: Side
    price: Price
    count: Count
    expires_ns: Nanos | None
    created_ns: Nanos
    filled: Count = Count(0)
    status: str = "resting"
    ended_ns: Nanos = Nanos(0)
    group: str | None = None

    @property
    def remaining(self) -> Count:
        return Count(self.count - self.filled) if self.status == "resting" else Count(0)

    @property
    def facts(self) -> tuple[str, str, str, str, Side, Price, Count, Count, Count]:
        """What the exchange's lists and its stream say alike, in the order both events have it."""
        return (
            self.order_id,
            self.client_order_id,
            self.ticker,
            self.status,
            self.side,
            self.price,
            self.count,
            self.filled,
            self.remaining,
        )


@dataclass
class Group:
    """An order group: the limit in 1/100 contract, matches of the last 15 s."""

    limit: Count
    triggered: bool = False
    matched: list[tuple[int, int]] = field(default_factory=list)


@dataclass
class FakeVenue:
    """`script["create"]` etc. hold faults for the next requests; `calls` records (operation, argument)."""

    clock: Clock
    cash: int = 10_000_000
    orders_by_id: dict[str, Resting] = field(default_factory=dict)
    fills_made: list[Fill] = field(default_factory=list)
    settled: list[Settlement] = field(default_factory=list)
    far_cash: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    """By shard other than 0."""
    held: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    fees: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    script: defaultdict[str, deque] = field(default_factory=lambda: defaultdict(deque))
    calls: list[tuple[str, object]] = field(default_factory=list)
    listener: Callable[[VenueEvent], None] | None = None
    hidden: set[str] = field(default_factory=set)
    """Order ids that reads do not show yet."""
    unreadable: dict[str, list[UnreadableRecord]] = field(default_factory=dict)
    """By list: records that it has besides the sound ones; name of an order's own fills: `fills`, too."""
    misprinted: dict[str, Fill] = field(default_factory=dict)
    """By trade id: what the lists tell instead of it, or besides."""
    stale_resting: list[RemoteOrder] | None = None
    down: bool = False
    cancels_refused: bool = False
    settlements_late: bool = False
    closed: set[str] = field(default_factory=set)
    before_create: Callable[[], None] | None = None
    used: set[str] = field(default_factory=set)
    groups: dict[str, Group] = field(default_factory=dict)
    _ids: int = 0

    # --- the world ----------------------------------------------------------------------------------------------------

    def put_foreign(self, ticker, side=Side.BID, price=3000, count=100, name=""):
        """An order placed by hand."""
        return self._rest(name, ticker, side, Price(price), Count(count), None).order_id

    def trade(self, name: str, count: int, *, fee: int = 0, stream: bool = True, trade_id: str | None = None) -> Fill:
        """Somebody takes `count` of our resting order."""
        order = self.named(name)
        assert count <= order.remaining
        self._ids += 1
        fill = Fill(
            trade_id=trade_id or f"trade-{self._ids}",
            order_id=order.order_id,
            market_ticker=order.ticker,
            side=order.side,
            price=order.price,
            count=Count(count),
            fee=Dollars(fee),
            is_taker=False,
            event_ns=self.clock.now_ns(),
        )
        self._book(fill)
        order.filled = Count(order.filled + count)
        if order.filled == order.count:
            order.status, order.ended_ns = "executed", self.clock.now_ns()
        if stream:
            said = replace(fill, client_order_id=order.client_order_id, post_position=Count(self.held[order.ticker]))
            self.emit(FillEvent(said, self.clock.now_ns()))
            self.tell(order, "Trade")
        self._count_match(order, count)
        return fill

    def _book(self, fill: Fill) -> None:
        own = fill.price if fill.side is Side.BID else 10_000 - fill.price
        before = self.held[fill.market_ticker]
        closing = min(fill.count, max(0, -before if fill.side is Side.BID else before))
        self.cash += (10_000 - own) * closing // 100 - own * (fill.count - closing) // 100 - fill.fee
        self.held[fill.market_ticker] = before + fill.side.sign * fill.count
        self.fees[fill.market_ticker] += fill.fee
        self.fills_made.append(fill)

    def settle(self, ticker: str, result: str, *, stream: bool = True) -> None:
        """The market pays out."""
        now, count = self.clock.now_ns(), self.held.pop(ticker, 0)
        revenue = abs(count) * 100 if count and (count > 0) == (result == "yes") else 0
        self.cash += revenue
        if count:
            self.settled.append(
                Settlement(
                    ticker,
                    ticker.rpartition("-")[0],
                    result,
                    Count(max(0, count)),
                    Count(max(0, -count)),
                    Dollars(revenue),
                    Dollars(self.fees[ticker]),
                    now,
                )
            )
        if stream:
            self.emit(MarketLifecycle("determined", ticker, now, result=result))
            self.emit(MarketLifecycle("settled", ticker, now))

    def expire(self) -> None:
        for order in list(self.orders_by_id.values()):
            if order.status == "resting" and order.expires_ns is not None and order.expires_ns <= self.clock.now_ns():
                self.end(order, "ExpiryCancel")

    def end(self, order: Resting, reason: str = "", *, stream: bool = True) -> None:
        order.status, order.ended_ns = "canceled", self.clock.now_ns()
        if stream:
            self.tell(order, reason)

    def named(self, name: str) -> Resting:
        return next(order for order in self.orders_by_id.values() if order.client_order_id == name)

    def resting(self) -> list[Resting]:
        self.expire()
        return [order for order in self.orders_by_id.values() if order.status == "resting"]

    def emit(self, event: VenueEvent) -> None:
        if self.listener is not None:
            self.listener(event)

    def tell(self, order: Resting, reason: str = "") -> None:
        now = self.clock.now_ns()
        self.emit(UserOrder(*order.facts, now, now, reason))

    def _rest(self, name, ticker, side, price, count, expires) -> Resting:
        self._ids += 1
        order = Resting(f"ex-{self._ids}", name, ticker, side, price, count, expires, self.clock.now_ns())
        self.orders_by_id[order.order_id] = order
        return order

    # --- faults -------------------------------------------------------------------------------------------------------

    async def _enter(self, operation: str, argument: object) -> str:
        """Note the call and take its fault, if any. Faults: an exception, or one of the words below."""
        self.calls.append((operation, argument))
        await asyncio.sleep(0)
        self.expire()
        if self.down:
            raise VenueUnreachable(operation, "connection refused")
        fault = self.script[operation].popleft() if self.script[operation] else ""
        if isinstance(fault, DaemonError):
            raise fault
        write = operation in {"create", "cancel", "cancel_all", "amend", "group_create", "group_reset", "group_delete"}
        match fault:
            case "unreachable":
                raise VenueUnreachable(operation, "connection refused")
            case "429":
                raise RateLimited(operation, 10)
            case "lost":
                raise (OrderOutcomeUnknown(operation, "time-out") if write else VenueUnavailable(operation, 0, "t"))
            case "hang":
                await asyncio.Event().wait()
        return fault

    def _leave(self, operation: str, fault: str) -> None:
        if fault == "applied_lost":
            raise OrderOutcomeUnknown(operation, "time-out", 4_000)

    # --- writes -------------------------------------------------------------------------------------------------------

    async def create_orders(self, orders: Sequence[NewOrder]) -> list[CreateAck | VenueError]:
        if self.before_create is not None:
            self.before_create()
        fault = await self._enter("create", tuple(orders))
        results: list[CreateAck | VenueError] = []
        for position, new in enumerate(orders):
            key = f"create_item_{position}"
            item = self.script[key].popleft() if self.script[key] else None
            if isinstance(item, VenueError):
                results.append(item)
            elif new.client_order_id in self.used:
                results.append(AlreadyExists("create", 409, "order_already_exists", ""))
            elif new.market_ticker in self.closed:
                results.append(MarketClosed("create", 400, "market_inactive", ""))
            elif new.order_group_id and new.order_group_id not in self.groups:
                results.append(NotFound("create", 201, "ORDER_GROUP_NOT_FOUND", "order group not found"))
            elif new.order_group_id and self.groups[new.order_group_id].triggered:
                results.append(VenueRejected("create", 201, "EXCEEDED_ORDER_GROUP_RISK_LIMIT", "limit exceeded"))
            else:
                self.used.add(new.client_order_id)
                order = self._rest(
                    new.client_order_id, new.market_ticker, new.side, new.price, new.count, new.expires_ns
                )
                order.group = new.order_group_id
                self.tell(order)
                now = self.clock.now_ns()
                if item == "applied_lost":
                    results.append(OrderOutcomeUnknown("create", "item answered exchange_unavailable"))
                elif item == "dead_on_arrival":
                    self.end(order, "SelfTradeCancel")
                    results.append(CreateAck(new.client_order_id, order.order_id, Count(0), Count(0), now))
                else:
                    results.append(CreateAck(new.client_order_id, order.order_id, Count(0), new.count, now))
        self._leave("create", fault)
        return results

    async def cancel_orders(self, orders: Sequence[OrderRef]) -> list[CancelAck | VenueError]:
        fault = await self._enter("cancel", tuple(orders))
        if self.cancels_refused:
            raise RateLimited("cancel", 2)
        results: list[CancelAck | VenueError] = []
        for ref in orders:
            order = self.orders_by_id.get(ref.order_id)
            if order is None or order.status != "resting":
                results.append(NotFound("cancel", 404, "not_found", "not found"))
            elif order.ticker in self.closed:
                results.append(MarketClosed("cancel", 400, "market_inactive", ""))
            else:
                taken = order.remaining
                self.end(order)
                results.append(CancelAck(ref.order_id, taken, self.clock.now_ns()))
        self._leave("cancel", fault)
        return results

    async def amend_order(
        self, order: NewOrder, order_id: str, *, total_count: Count, price: Price, expires_ns: Nanos
    ) -> None:
        fault = await self._enter("amend", (order_id, total_count, price, expires_ns))
        known = self.orders_by_id.get(order_id)
        if known is None or known.status != "resting":
            raise NotFound("amend", 404, "not_found", "not found")
        assert (known.price, known.count) == (price, total_count), "only the expiry may change"
        known.expires_ns = expires_ns
        self._leave("amend", fault)

    async def cancel_all(self) -> None:
        fault = await self._enter("cancel_all", None)
        if self.cancels_refused:
            raise RateLimited("cancel_all", 2)
        for order in self.resting():
            self.end(order)
        self._leave("cancel_all", fault)

    async def create_order_group(self, contracts_limit: Count) -> str:
        fault = await self._enter("group_create", contracts_limit)
        self._ids += 1
        made = f"group-{self._ids}"
        self.groups[made] = Group(contracts_limit)
        self._leave("group_create", fault)
        return made

    async def reset_order_group(self, order_group_id: str) -> None:
        fault = await self._enter("group_reset", order_group_id)
        group = self._group(order_group_id)
        group.triggered, group.matched = False, []
        self.emit(OrderGroupUpdate("reset", order_group_id, self.clock.now_ns()))
        self._leave("group_reset", fault)

    async def delete_order_group(self, order_group_id: str) -> None:
        fault = await self._enter("group_delete", order_group_id)
        self._group(order_group_id)
        self.end_group(order_group_id)
        self._leave("group_delete", fault)

    async def order_groups(self) -> list[dict]:
        await self._enter("groups", None)
        return [
            {"id": name, "contracts_limit_fp": f"{group.limit / 100:.2f}"}
            for name, group in self.groups.items()
            if name not in self.hidden
        ]

    def _group(self, order_group_id: str) -> Group:
        if order_group_id not in self.groups:
            raise NotFound("group", 404, "ORDER_GROUP_NOT_FOUND", "order group not found")
        return self.groups[order_group_id]

    def end_group(self, order_group_id: str) -> None:
        """Deleted, by us or by somebody else."""
        self._cancel_group(order_group_id)
        del self.groups[order_group_id]
        self.emit(OrderGroupUpdate("deleted", order_group_id, self.clock.now_ns()))

    def trigger(self, order_group_id: str, *, stream: bool = True) -> None:
        """Exceeded, or by hand at the exchange."""
        self.groups[order_group_id].triggered = True
        if stream:
            self.emit(OrderGroupUpdate("triggered", order_group_id, self.clock.now_ns()))
        self._cancel_group(order_group_id)

    def _cancel_group(self, order_group_id: str) -> None:
        for order in self.resting():
            if order.group == order_group_id:
                self.end(order)

    def _count_match(self, order: Resting, count: int) -> None:
        group, now = self.groups.get(order.group or ""), self.clock.now_ns()
        if group is not None:
            group.matched = [(at, n) for at, n in group.matched if at > now - 15 * SECOND] + [(now, count)]
            if sum(n for _at, n in group.matched) > group.limit and not group.triggered:
                self.trigger(order.group or "")

    # --- reads --------------------------------------------------------------------------------------------------------

    def _remote(self, order: Resting) -> RemoteOrder:
        return RemoteOrder(*order.facts, order.expires_ns, 0)

    async def orders(
        self, *, status: str | None = None, market_ticker: str | None = None, min_ts_ns: Nanos | None = None
    ) -> list[RemoteOrder]:
        await self._enter("orders", (status, market_ticker))
        if status == "resting" and self.stale_resting is not None:
            return self.stale_resting
        return self._listed(
            "orders",
            [
                self._remote(order)
                for order in self.orders_by_id.values()
                if (status is None or order.status == status)
                and (market_ticker is None or order.ticker == market_ticker)
                and (min_ts_ns is None or order.created_ns >= min_ts_ns // SECOND * SECOND)
                and order.order_id not in self.hidden
            ],
        )

    async def order(self, order_id: str) -> RemoteOrder:
        await self._enter("order", order_id)
        if order_id not in self.orders_by_id or order_id in self.hidden:
            raise NotFound("order", 404, "not_found", "not found")
        return self._remote(self.orders_by_id[order_id])

    async def fills(self, *, min_ts_ns: Nanos | None = None, order_id: str | None = None) -> list[Fill]:
        await self._enter("fills", (min_ts_ns, order_id))
        return self._listed(
            "fills",
            [
                fill
                for fill in ({made.trade_id: made for made in self.fills_made} | self.misprinted).values()
                if (min_ts_ns is None or fill.event_ns >= min_ts_ns // SECOND * SECOND)
                and (order_id is None or fill.order_id == order_id)
                and fill.trade_id not in self.hidden
            ],
        )

    async def positions(self) -> list[VenuePosition]:
        await self._enter("positions", None)
        return self._listed(
            "positions",
            [
                VenuePosition(ticker, Count(count), Dollars(self.fees[ticker]), Dollars(0))
                for ticker, count in self.held.items()
                if ticker not in self.hidden
            ],
        )

    async def settlements(self, *, min_ts_ns: Nanos | None = None) -> list[Settlement]:
        await self._enter("settlements", min_ts_ns)
        settled = [s for s in self.settled if s.settled_ns >= (min_ts_ns or 0) and s.market_ticker not in self.hidden]
        return self._listed("settlements", [] if self.settlements_late else settled)

    def _listed(self, name: str, records: list) -> list:
        if self.unreadable.get(name):
            raise PartlyUnreadable(name, records, self.unreadable[name])
        return records

    async def balance(self, exchange_index: int | None = 0) -> Balance:
        await self._enter("balance", exchange_index)
        if exchange_index:
            return Balance(Dollars(self.far_cash[exchange_index]), Dollars(0), self.clock.now_ns())
        reserved = sum(
            (order.price if order.side is Side.BID else 10_000 - order.price) * order.remaining // 100
            for order in self.resting()
        )
        others = sum(self.far_cash.values()) if exchange_index is None else 0
        return Balance(Dollars(self.cash + others - reserved), Dollars(0), self.clock.now_ns())

    async def account_limits(self) -> dict:
        raise NotImplementedError

    async def endpoint_costs(self) -> dict:
        raise NotImplementedError
