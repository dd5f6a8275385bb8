"""The matching engine: one YES-denominated book per market, price then time; money booked as each trade happens.

No clock and no rules of admission here: `exchange` has checked what arrives and says what time it is.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import PRICE_ONE, Count, Nanos, Price
from kalshi_daemon.simulator.exchange.listener import ExchangeListener, TradeRecord
from kalshi_daemon.simulator.exchange.order_terms import OrderState, Reason, SelfTrade, TimeInForce
from kalshi_daemon.simulator.exchange.sim_fees import fill_fee, trade_fee
from kalshi_daemon.simulator.exchange.sim_orders import FillRecord, SimOrder

TRADES_KEPT: Final = 50_000
"""Public trades remembered for GET /markets/trades; older ones are forgotten."""


class Matcher:
    """Moves orders between accounts and books. `on_match` hears every fill of an order that has a group."""

    def __init__(
        self,
        listener: ExchangeListener,
        new_id: Callable[[], str],
        on_match: Callable[[SimOrder, Count, Nanos], None],
    ) -> None:
        self.listener = listener
        self.trades: deque[TradeRecord] = deque(maxlen=TRADES_KEPT)
        self.trade_count = 0
        self._new_id = new_id
        self._on_match = on_match
        self._fill_rank = 0

    def place(self, order: SimOrder, now_ns: Nanos) -> None:
        """Take in a checked order: trade what crosses, rest or cancel what is left. Ends with its user_order frame."""
        account = order.account
        if account.keeps_history:
            account.orders[order.order_id] = order
        if order.time_in_force is TimeInForce.FILL_OR_KILL and self.fillable(order) < order.remaining:
            self._finish(order, Reason.NONE, now_ns)
            return
        self._match(order, now_ns)
        if order.state is not OrderState.RESTING:
            return
        if order.time_in_force is TimeInForce.GOOD_TILL_CANCELED:
            self._book(order, now_ns)
            if account.keeps_history:
                self.listener.order_changed(order, order.reason, now_ns)
        else:
            self._finish(order, Reason.REDUCE_ONLY if order.held_back else Reason.NONE, now_ns)

    def cancel(self, order: SimOrder, reason: Reason, now_ns: Nanos, cause: SimOrder | None = None) -> Count:
        """End a live order, resting or just arriving; returns what was taken off."""
        taken = order.remaining
        if order.booked:
            self._unbook(order, now_ns, cause or order)
        self._finish(order, reason, now_ns)
        return taken

    def reduce(self, order: SimOrder, by: Count, reason: Reason, now_ns: Nanos) -> None:
        """Lower what rests, keeping the place in the queue."""
        market = order.market
        market.book.side(order.side).shrink(order, by)
        order.remaining = Count(order.remaining - by)
        order.account.refresh_reserve(market.spec.ticker)
        self.listener.book_changed(market, order.side, order.price, Count(-by), now_ns, order)
        self.touch(order, reason, now_ns)

    def rest(self, order: SimOrder, now_ns: Nanos) -> None:
        """Let an order rest as it is, whatever it would trade with: for books that are played back."""
        self._book(order, now_ns)

    def resize(self, order: SimOrder, remaining: Count, now_ns: Nanos) -> None:
        """Make what rests smaller or larger, at its place in the queue; 0 takes it out. For books played back."""
        if remaining == 0:
            self.cancel(order, Reason.NONE, now_ns)
        else:
            self.reduce(order, Count(order.remaining - remaining), Reason.NONE, now_ns)

    def meet(self, taker: SimOrder, maker: SimOrder, count: Count, now_ns: Nanos) -> None:
        """Let two orders trade, whatever stands before the maker in its queue: for books that are played back."""
        self._trade(taker, maker, count, now_ns)

    def replace(self, order: SimOrder, price: Price, remaining: Count, now_ns: Nanos) -> None:
        """Move to the back of the queue at a new price or a larger size; may trade on the way."""
        self._unbook(order, now_ns, order)
        order.price = price
        order.remaining = remaining
        order.reason = Reason.AMEND
        self._match(order, now_ns)
        if order.state is OrderState.RESTING:
            self._book(order, now_ns)
            self.touch(order, Reason.AMEND, now_ns)

    def touch(self, order: SimOrder, reason: Reason, now_ns: Nanos) -> None:
        """Stamp a change that leaves the order resting and tell its owner."""
        order.updated_ns = now_ns
        order.reason = reason
        if order.account.keeps_history:
            self.listener.order_changed(order, reason, now_ns)

    def fillable(self, order: SimOrder) -> Count:
        """What a FILL_OR_KILL order could trade now: stops at an own order when self-trade ends the taker."""
        half = order.market.book.against(order.side)
        found = 0
        for price in sorted(half.levels, reverse=half.is_bid):
            if price > order.price if order.side is Side.BID else price < order.price:
                break
            for maker in half.levels[price].orders.values():
                if maker.account is order.account:
                    if order.self_trade is SelfTrade.TAKER_AT_CROSS:
                        return Count(found)
                    continue
                found += maker.remaining
        return Count(found)

    def _match(self, taker: SimOrder, now_ns: Nanos) -> None:
        book = taker.market.book
        half = book.against(taker.side)
        while taker.remaining > taker.held_back and book.would_cross(taker.side, taker.price):
            maker = half.front()
            assert maker is not None, "a crossing book has an order in front"
            if maker.account is taker.account:
                if taker.self_trade is SelfTrade.TAKER_AT_CROSS:
                    self._finish(taker, Reason.SELF_TRADE, now_ns)
                    return
                self.cancel(maker, Reason.SELF_TRADE, now_ns, taker)
                continue
            self._trade(taker, maker, Count(min(taker.remaining - taker.held_back, maker.remaining)), now_ns)
            if taker.state is not OrderState.RESTING:
                return

    def _trade(self, taker: SimOrder, maker: SimOrder, count: Count, now_ns: Nanos) -> None:
        market, price = taker.market, maker.price
        self.trade_count += 1
        trade = TradeRecord(self.trade_count, self._new_id(), market.spec.ticker, price, count, taker.side, now_ns)
        self.trades.append(trade)
        half = market.book.side(maker.side)
        half.shrink(maker, count)
        maker.remaining = Count(maker.remaining - count)
        taker.remaining = Count(taker.remaining - count)
        if maker.remaining == 0:
            half.remove(maker)
            maker.booked = False
            maker.account.drop_resting(maker)
        longs = max(0, taker.account.position(trade.ticker)) + max(0, maker.account.position(trade.ticker))
        fills = (self._book_fill(taker, trade, is_taker=True), self._book_fill(maker, trade, is_taker=False))
        after = max(0, taker.account.position(trade.ticker)) + max(0, maker.account.position(trade.ticker))
        market.open_interest = Count(market.open_interest + after - longs)
        market.last_price, market.last_count = price, count
        market.volume = Count(market.volume + count)
        market.dollar_volume += price * count
        self.listener.book_changed(market, maker.side, price, Count(-count), now_ns, taker)
        self.listener.traded(market, trade)
        for fill in fills:
            self._tell_fill(fill, now_ns)
        for order in (maker, taker):
            if order.group_id:
                self._on_match(order, count, now_ns)

    def _book_fill(self, order: SimOrder, trade: TradeRecord, *, is_taker: bool) -> FillRecord:
        account, market = order.account, order.market
        held = account.holding(trade.ticker, market.spec.event_ticker)
        revenue = held.apply(order.side, trade.price, trade.count)
        charged = trade_fee(market.fees, trade.price, trade.count, taker=is_taker)
        fee = fill_fee(revenue, charged, account.precision, order.fee_accumulated)
        order.fee_accumulated = fee.accumulated
        account.cash += revenue - fee.net
        account.fees += fee.net
        held.fees += fee.net
        held.open_fees += fee.net if held.count else 0
        held.updated_ns = trade.at_ns
        order.filled = Count(order.filled + trade.count)
        order.updated_ns = trade.at_ns
        order.reason = Reason.TRADE
        own = trade.price if order.side is Side.BID else PRICE_ONE - trade.price
        if is_taker:
            order.taker_cost += own * trade.count
            order.taker_fees += fee.net
        else:
            order.maker_cost += own * trade.count
            order.maker_fees += fee.net
        if order.remaining == 0:
            order.state = OrderState.EXECUTED
        account.refresh_reserve(trade.ticker)
        self._fill_rank += 1
        fill = FillRecord(
            self._fill_rank, trade.trade_id, order, trade.price, trade.count, is_taker, fee.net, held.count, trade.at_ns
        )
        if account.keeps_history:
            account.fills.append(fill)
        return fill

    def _tell_fill(self, fill: FillRecord, now_ns: Nanos) -> None:
        order = fill.order
        if not order.account.keeps_history:
            return
        self.listener.filled(fill)
        self.listener.order_changed(order, Reason.TRADE, now_ns)
        self.listener.position_changed(order.account, order.market, now_ns)

    def _book(self, order: SimOrder, now_ns: Nanos) -> None:
        market = order.market
        market.book.side(order.side).add(order)
        order.booked = True
        order.account.add_resting(order)
        order.account.refresh_reserve(market.spec.ticker)
        self.listener.book_changed(market, order.side, order.price, order.remaining, now_ns, order)

    def _unbook(self, order: SimOrder, now_ns: Nanos, cause: SimOrder) -> None:
        market = order.market
        market.book.side(order.side).remove(order)
        order.booked = False
        order.account.drop_resting(order)
        order.account.refresh_reserve(market.spec.ticker)
        self.listener.book_changed(market, order.side, order.price, Count(-order.remaining), now_ns, cause)

    def _finish(self, order: SimOrder, reason: Reason, now_ns: Nanos) -> None:
        """Cancel what remains of an order that is not in the book."""
        order.state = OrderState.CANCELED
        order.remaining = Count(0)
        order.updated_ns = now_ns
        order.reason = reason
        order.account.cancels[reason.value] += 1
        if order.account.keeps_history:
            self.listener.order_changed(order, reason, now_ns)
