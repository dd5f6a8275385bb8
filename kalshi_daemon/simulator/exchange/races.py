"""Races lost on purpose: somebody is a moment faster than the member whose request has just arrived.

A create meets an order that makes it cross (so post-only refuses it); a cancel meets a trade that has just taken the
order, in whole or in part. Each happens as often as it was asked for, to members with a history only.
"""

from typing import Final

from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import Count, Dollars, Nanos
from kalshi_daemon.simulator.exchange.exchange import Exchange
from kalshi_daemon.simulator.exchange.order_terms import OrderSpec, TimeInForce

RACER: Final = "racer"
_MIN: Final = Count(100)


class Racer:
    """Implements `exchange.Races` with an account of its own."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        exchange.open_account(RACER, Dollars(0), keeps_history=False, checks_cash=False)
        exchange.races = self
        self.crossings = 0
        """Creates still to be crossed."""
        self.takes = 0
        """Cancels still to be beaten by a trade."""
        self.part = False
        """Take half of the order only."""
        self.won = 0
        """Races that were run."""

    def before_create(self, account_name: str, spec: OrderSpec, now_ns: Nanos) -> None:
        """Rest one contract at the price of the create, on the other side, unless that would trade."""
        if (
            not self.crossings
            or not self._is_member(account_name)
            or spec.ticker not in self._exchange.catalogue.markets
        ):
            return
        self.crossings -= 1
        other = Side.ASK if spec.side is Side.BID else Side.BID
        baseline = OrderSpec(spec.ticker, other, spec.price, _MIN, post_only=True)
        self.won += self._exchange.submit(RACER, baseline, now_ns).refusal is None

    def before_cancel(self, account_name: str, order_id: str, now_ns: Nanos) -> None:
        """Trade with the order, and with whoever stands before it in the queue."""
        order = self._exchange.accounts[account_name].orders.get(order_id)
        if not self.takes or order is None or not order.booked or not self._is_member(account_name):
            return
        self.takes -= 1
        half = self.part and order.remaining > _MIN
        wanted = Count(order.remaining // 2 if half else order.remaining)
        other = Side.ASK if order.side is Side.BID else Side.BID
        count = Count(order.market.book.ahead_of(order) + wanted)
        baseline = OrderSpec(
            order.market.spec.ticker, other, order.price, count, time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL
        )
        before = order.filled
        self._exchange.submit(RACER, baseline, now_ns)
        self.won += order.filled > before

    def _is_member(self, account_name: str) -> bool:
        return self._exchange.accounts[account_name].keeps_history
