"""Order groups of every account: creation, limits, triggers, and which orders belong to them."""

from collections.abc import Callable

from kalshi_daemon.ground.units import Count, Nanos
from kalshi_daemon.simulator.exchange.matching import Matcher
from kalshi_daemon.simulator.exchange.order_groups import GROUPS_MAX, LIMIT_MAX, LIMIT_MIN, GroupEvent, OrderGroup
from kalshi_daemon.simulator.exchange.order_terms import (
    GROUP_NOT_FOUND,
    GROUP_TRIGGERED,
    OrderState,
    Reason,
    Refusal,
    bad_request,
)
from kalshi_daemon.simulator.exchange.sim_orders import Account, SimOrder


class GroupDesk:
    """Owns the groups. A group cancels through the matcher; its orders end without a reason of their own."""

    def __init__(self, matcher: Matcher, new_id: Callable[[], str]) -> None:
        self._matcher = matcher
        self._new_id = new_id
        self.groups: dict[str, dict[str, OrderGroup]] = {}
        """Account name -> group id -> group."""
        self._orders: dict[str, dict[str, SimOrder]] = {}
        """Group id -> order id -> order, live ones and, until looked at, ended ones."""

    def of(self, account: Account) -> dict[str, OrderGroup]:
        """The groups of an account, by id."""
        return self.groups.setdefault(account.name, {})

    def refuse(self, account: Account, group_id: str, shard: int = 0) -> Refusal | None:
        """Why an order with this group id may not enter; None without a group. Groups do not span shards."""
        if not group_id:
            return None
        group = self.of(account).get(group_id)
        if group is None or group.shard != shard:
            return GROUP_NOT_FOUND
        return GROUP_TRIGGERED if group.triggered else None

    def join(self, order: SimOrder) -> None:
        """An order begins to rest in its group."""
        if order.group_id:
            self._orders[order.group_id][order.order_id] = order

    def create(self, account: Account, limit: Count, now_ns: Nanos, shard: int = 0) -> OrderGroup | Refusal:
        """A new group; the limit is 1 to 1 000 000 contracts."""
        if not LIMIT_MIN <= limit <= LIMIT_MAX:
            return bad_request("contracts_limit must be between 1 and 1000000")
        if len(self.of(account)) >= GROUPS_MAX:
            return bad_request("too many order groups")
        group = OrderGroup(self._new_id(), limit, shard=shard)
        self.of(account)[group.group_id] = group
        self._orders[group.group_id] = {}
        self._matcher.listener.group_changed(account, group, GroupEvent.CREATED, now_ns)
        return group

    def set_limit(self, account: Account, group_id: str, limit: Count, now_ns: Nanos) -> Refusal | None:
        """Lowering the limit below what was just matched triggers the group at once."""
        group = self.of(account).get(group_id)
        if group is None:
            return GROUP_NOT_FOUND
        if not LIMIT_MIN <= limit <= LIMIT_MAX:
            return bad_request("contracts_limit must be between 1 and 1000000")
        group.limit = limit
        self._matcher.listener.group_changed(account, group, GroupEvent.LIMIT_UPDATED, now_ns)
        if group.exceeded(now_ns):
            self._trigger(account, group, now_ns)
        return None

    def trigger(self, account: Account, group_id: str, now_ns: Nanos) -> Refusal | None:
        """Cancel all of a group and close it, as the operator asks; why not, if it cannot be."""
        group = self.of(account).get(group_id)
        if group is None:
            return GROUP_NOT_FOUND
        self._trigger(account, group, now_ns)
        return None

    def reset(self, account: Account, group_id: str, now_ns: Nanos) -> Refusal | None:
        """Let a group take orders again; why not, if it cannot be."""
        group = self.of(account).get(group_id)
        if group is None:
            return GROUP_NOT_FOUND
        group.reset()
        self._matcher.listener.group_changed(account, group, GroupEvent.RESET, now_ns)
        return None

    def delete(self, account: Account, group_id: str, now_ns: Nanos) -> Refusal | None:
        """Cancel the group's orders and forget it."""
        group = self.of(account).pop(group_id, None)
        if group is None:
            return GROUP_NOT_FOUND
        self._cancel_orders(group, now_ns)
        del self._orders[group_id]
        self._matcher.listener.group_changed(account, group, GroupEvent.DELETED, now_ns)
        return None

    def live_orders(self, group_id: str) -> list[SimOrder]:
        """Resting orders of a group; ended ones are forgotten on the way."""
        orders = self._orders.get(group_id, {})
        for order_id in [key for key, order in orders.items() if order.state is not OrderState.RESTING]:
            del orders[order_id]
        return list(orders.values())

    def on_match(self, order: SimOrder, count: Count, now_ns: Nanos) -> None:
        """Count a fill towards the order's group and trigger it when the limit is exceeded."""
        group = self.of(order.account).get(order.group_id)
        if group is not None and group.record(count, now_ns) and not group.triggered:
            self._trigger(order.account, group, now_ns)

    def _trigger(self, account: Account, group: OrderGroup, now_ns: Nanos) -> None:
        group.triggered = True
        self._matcher.listener.group_changed(account, group, GroupEvent.TRIGGERED, now_ns)
        self._cancel_orders(group, now_ns)

    def _cancel_orders(self, group: OrderGroup, now_ns: Nanos) -> None:
        for order in self.live_orders(group.group_id):
            if order.remaining > 0:
                self._matcher.cancel(order, Reason.NONE, now_ns)
