"""The exchange's core: synchronous, deterministic for a seed and a sequence of calls, without sockets.

Time comes from `clock_now`; every call first executes what fell due (expiries, closes, settlements). In-process traders
may pass `at_ns` to act at the instant they were scheduled for; time never goes backwards.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import DAY, MINUTE, Count, Dollars, Nanos, Price
from kalshi_daemon.simulator.exchange.admission import affordable, refuse_amend, refuse_create
from kalshi_daemon.simulator.exchange.agenda import Agenda, Turn
from kalshi_daemon.simulator.exchange.catalogue import Catalogue
from kalshi_daemon.simulator.exchange.group_desk import GroupDesk
from kalshi_daemon.simulator.exchange.holdings import MICROS
from kalshi_daemon.simulator.exchange.instruments import Listing
from kalshi_daemon.simulator.exchange.lifecycle import CUTOFF_BEFORE, DETERMINATION_DELAY, IndexValue, Lifecycle
from kalshi_daemon.simulator.exchange.listener import ExchangeListener, LifecycleEvent, NobodyListens
from kalshi_daemon.simulator.exchange.matching import Matcher
from kalshi_daemon.simulator.exchange.order_terms import (
    EXCHANGE_PAUSED,
    EXPIRED,
    INSUFFICIENT_BALANCE,
    INVALID_PRICE,
    INVALID_SIZE,
    MARKET_INACTIVE,
    MARKET_NOT_FOUND,
    NOT_FOUND,
    POST_ONLY_CROSS,
    TRADING_PAUSED,
    OrderSpec,
    Reason,
    Refusal,
)
from kalshi_daemon.simulator.exchange.sim_book import SimBook
from kalshi_daemon.simulator.exchange.sim_fees import CENTICENT
from kalshi_daemon.simulator.exchange.sim_orders import Account, CancelReceipt, Receipt, SimMarket, SimOrder
from kalshi_daemon.simulator.exchange.venue_desk import VenueDesk


@dataclass(frozen=True, slots=True)
class Rules:
    """Where the venue's behaviour is not settled by any source, and where tests want the other one."""

    post_only_refused: bool = True
    """True: 400 `post only cross`. False: accepted, then canceled with PostOnlyCrossCancel (docs, FIX)."""
    amend_honours_post_only: bool = False
    """Undocumented; the worse case for a maker is that a crossing amend trades."""
    cancel_all_blackout_ns: Nanos = MINUTE
    """Orders placed this long after a cancel-all are canceled as well (the venue says they may be)."""
    cutoff_before_ns: Nanos = CUTOFF_BEFORE
    determination_delay_ns: Nanos = DETERMINATION_DELAY


DEFAULT_RULES = Rules()


@dataclass(frozen=True, slots=True)
class Amendment:
    """An amend. `count` is the total fillable; `expires_ns` None keeps, 0 clears."""

    ticker: str
    side: Side
    price: Price
    count: Count
    client_order_id: str | None = None
    updated_client_order_id: str | None = None
    expires_ns: Nanos | None = None


class Races(Protocol):
    """Somebody who acts between the arrival of a member's request and its execution."""

    def before_create(self, account_name: str, spec: OrderSpec, now_ns: Nanos) -> None:
        """A create has arrived and is not yet worked on."""
        ...

    def before_cancel(self, account_name: str, order_id: str, now_ns: Nanos) -> None:
        """A cancel has arrived and is not yet worked on."""
        ...


class Exchange:
    """Accounts, books and time in one place."""

    def __init__(
        self,
        clock_now: Callable[[], Nanos],
        seed: int,
        index_value: IndexValue,
        listing: Listing,
        *,
        rules: Rules = DEFAULT_RULES,
    ) -> None:
        self.rules = rules
        self.accounts: dict[str, Account] = {}
        self.catalogue = Catalogue()
        self.orders_accepted = 0
        self.archived_before_ns = Nanos(clock_now() - 60 * DAY)
        """The cutoff of the historical tier: what settled or traded before it is on the live side no more."""
        self.races: Races | None = None
        """Who gets in first, when somebody is to; see `races`."""
        self._clock_now = clock_now
        self._now = clock_now()
        self._rng = random.Random(seed)  # noqa: S311 - ids of a simulator, reproducible on purpose
        self._id_prefix = f"{self._rng.getrandbits(32):08x}-{self._rng.getrandbits(16):04x}-4000-8000"
        self._ids = 0
        self.agenda = Agenda()
        self.matcher = Matcher(NobodyListens(), self.new_id, self._on_match)
        self.groups = GroupDesk(self.matcher, self.new_id)
        self.lifecycle = Lifecycle(
            self.catalogue,
            self.accounts,
            self.matcher,
            self.agenda,
            index_value,
            cutoff_before_ns=rules.cutoff_before_ns,
            determination_delay_ns=rules.determination_delay_ns,
        )
        self.venue = VenueDesk(self.catalogue, self.accounts, self.matcher, self.agenda, self.enter, self.new_id)
        self.list_markets(listing)

    # -- time ---------------------------------------------------------------------------------------------------

    def now(self) -> Nanos:
        """The exchange's time: the clock's, or later when it has been run ahead."""
        return Nanos(max(self._now, self._clock_now()))

    def run_until(self, now_ns: Nanos) -> None:
        """Execute everything due up to and including `now_ns`, in time order."""
        self.agenda.run(now_ns, self._set_now)
        self._set_now(now_ns)

    def _set_now(self, now_ns: Nanos) -> None:
        self._now = Nanos(max(self._now, now_ns))

    def enter(self, at_ns: Nanos | None = None) -> Nanos:
        """Bring the exchange to the present (or to a trader's instant) and return it. Every request starts here."""
        now = Nanos(max(self._now, self._clock_now() if at_ns is None else at_ns))
        due = self.agenda.next_due()
        if due is not None and due <= now:
            self.run_until(now)
        self._now = now
        return now

    # -- set-up -------------------------------------------------------------------------------------------------

    def set_listener(self, listener: ExchangeListener) -> None:
        """Who hears what happens, from now on."""
        self.matcher.listener = listener

    def list_markets(self, listing: Listing) -> None:
        """Add series and events; listeners hear `created` of every new market."""
        now = self.enter()
        for event in self.catalogue.add(listing, now):
            self.lifecycle.schedule(event, now)
            self.matcher.listener.event_created(event)
            for market in self.catalogue.by_event[event.ticker]:
                self.matcher.listener.market_changed(market, LifecycleEvent.CREATED, now)

    def open_account(
        self,
        name: str,
        cash: Dollars,
        *,
        keeps_history: bool = True,
        checks_cash: bool = True,
        precision: int = CENTICENT,
    ) -> Account:
        """Add a member. In-process traders pass `keeps_history=False, checks_cash=False`: cheaper, and silent.

        `precision`: the step of its fees, in micro-dollars.
        """
        if name in self.accounts:
            raise ValueError(f"account {name!r} exists")
        micros = cash * MICROS
        account = Account(name, self.new_id(), micros, micros, keeps_history, checks_cash, precision)
        self.accounts[name] = account
        return account

    def new_id(self) -> str:
        """A unique id of UUID form, the same for the same seed and history."""
        self._ids += 1
        return f"{self._id_prefix}-{self._ids:012x}"

    # -- reads --------------------------------------------------------------------------------------------------

    def book(self, ticker: str) -> SimBook[SimOrder]:
        """Raises KeyError for a market that is not listed."""
        return self.catalogue.markets[ticker].book

    def archived(self, market: SimMarket) -> bool:
        """Whether a market is in the historical tier alone."""
        return market.settled_ns is not None and market.settled_ns < self.archived_before_ns

    def best(self, ticker: str) -> tuple[Price | None, Price | None]:
        """Best bid and ask on the YES scale; None for an empty side."""
        book = self.catalogue.markets[ticker].book
        return book.best_bid, book.best_ask

    # -- orders -------------------------------------------------------------------------------------------------

    def submit(self, account_name: str, spec: OrderSpec, at_ns: Nanos | None = None) -> Receipt:
        """Create an order. Never raises for what the venue refuses: see `Receipt.refusal`."""
        now = self.enter(at_ns)
        if self.races is not None:
            self.races.before_create(account_name, spec, now)
        account = self.accounts[account_name]
        market = self.catalogue.markets.get(spec.ticker)
        if market is None:
            return Receipt(None, MARKET_NOT_FOUND, at_ns=now)
        crosses = spec.post_only and market.book.would_cross(spec.side, spec.price)
        refusal = (
            self._refuse_state(market, now)
            or refuse_create(account, market, spec, now)
            or self.groups.refuse(account, spec.group_id, market.shard)
            or (POST_ONLY_CROSS if crosses and self.rules.post_only_refused else None)
        )
        if refusal is not None:
            return Receipt(None, refusal, at_ns=now)
        order = self._accept(account, market, spec, now)
        if crosses:
            account.orders[order.order_id] = order
            self.matcher.cancel(order, Reason.POST_ONLY_CROSS, now)
        else:
            self._place(order, spec, now)
        return Receipt(order, None, order.filled, order.remaining, order.cost, order.fees, now)

    def _accept(self, account: Account, market: SimMarket, spec: OrderSpec, now: Nanos) -> SimOrder:
        if spec.client_order_id:
            account.client_ids.add(spec.client_order_id)
        self.orders_accepted += 1
        return SimOrder(
            order_id=self.new_id(),
            rank=self.orders_accepted,
            account=account,
            market=market,
            side=spec.side,
            price=spec.price,
            initial=spec.count,
            remaining=spec.count,
            client_order_id=spec.client_order_id,
            time_in_force=spec.time_in_force,
            self_trade=spec.self_trade,
            post_only=spec.post_only,
            cancel_on_pause=spec.cancel_on_pause,
            expires_ns=spec.expires_ns,
            group_id=spec.group_id,
            created_ns=now,
            updated_ns=now,
        )

    def _place(self, order: SimOrder, spec: OrderSpec, now: Nanos) -> None:
        account = order.account
        if spec.reduce_only:
            position = account.position(spec.ticker)
            closable = max(0, -position if spec.side is Side.BID else position)
            order.held_back = Count(max(0, spec.count - closable))
        self.groups.join(order)
        self.matcher.place(order, now)
        if not order.booked:
            return
        self.lifecycle.resting_changed(account, order.market.spec.event_ticker)
        if order.expires_ns is not None:
            self.agenda.add(order.expires_ns, Turn.EXPIRY, partial(self._expire, order))
        if now < account.blackout_until_ns:
            self.agenda.add(Nanos(now + 1), Turn.EXPIRY, partial(self._blackout, order))

    def cancel(self, account_name: str, order_id: str, at_ns: Nanos | None = None) -> CancelReceipt:
        """Cancel one order; 404 when it is unknown, executed or canceled, MARKET_INACTIVE once its market closed."""
        now = self.enter(at_ns)
        if self.races is not None:
            self.races.before_cancel(account_name, order_id, now)
        order, refusal = self._live_order(account_name, order_id, now)
        if refusal is not None or order is None:
            return CancelReceipt(order, refusal, at_ns=now)
        taken = self.matcher.cancel(order, Reason.NONE, now)
        return CancelReceipt(order, None, taken, now)

    def cancel_all(self, account_name: str) -> int:
        """The kill switch: everything of the account, and what it places in the minute after. Returns how many."""
        now = self.enter()
        account = self.accounts[account_name]
        found = [order for orders in account.resting.values() for order in orders.values()]
        live = [order for order in found if now < order.market.spec.close_ns]
        for order in live:
            self.matcher.cancel(order, Reason.NONE, now)
        account.blackout_until_ns = Nanos(now + self.rules.cancel_all_blackout_ns)
        return len(live)

    def decrease(
        self, account_name: str, order_id: str, *, by: Count | None = None, to: Count | None = None
    ) -> CancelReceipt:
        """Lower the remaining count by `by`, or to `to`; nothing left means canceled. Keeps the place in the queue."""
        now = self.enter()
        order, refusal = self._live_order(account_name, order_id, now)
        if refusal is not None or order is None:
            return CancelReceipt(order, refusal, at_ns=now)
        if (by is None) == (to is None) or (by is not None and by <= 0) or (to is not None and to < 0):
            return CancelReceipt(order, INVALID_SIZE, at_ns=now)
        taken = Count(min(by, order.remaining)) if by is not None else Count(max(0, order.remaining - (to or 0)))
        if taken == order.remaining:
            self.matcher.cancel(order, Reason.DECREASE, now)
        elif taken > 0:
            self.matcher.reduce(order, taken, Reason.DECREASE, now)
        return CancelReceipt(order, None, taken, now)

    def amend(self, account_name: str, order_id: str, change: Amendment) -> Receipt:
        """Change price, total count or expiry. Keeps the queue place only for a smaller size or an expiry alone."""
        now = self.enter()
        order, refusal = self._live_order(account_name, order_id, now)
        if order is None or refusal is not None:
            return Receipt(order, refusal, at_ns=now)
        refusal = self._refuse_state(order.market, now) or self._refuse_change(order, change, now)
        if refusal is not None:
            return Receipt(order, refusal, at_ns=now)
        if change.updated_client_order_id:
            order.account.client_ids.add(change.updated_client_order_id)
            order.client_order_id = change.updated_client_order_id
        self._reschedule(order, change.expires_ns)
        filled, cost, fees = order.filled, order.cost, order.fees
        remaining = Count(change.count - order.filled)
        if change.price != order.price or remaining > order.remaining:
            self.matcher.replace(order, change.price, remaining, now)
            if order.booked:
                self.lifecycle.resting_changed(order.account, order.market.spec.event_ticker)
        elif remaining < order.remaining:
            self.matcher.reduce(order, Count(order.remaining - remaining), Reason.AMEND, now)
        else:
            self.matcher.touch(order, Reason.AMEND, now)
        return Receipt(
            order, None, Count(order.filled - filled), order.remaining, order.cost - cost, order.fees - fees, now
        )

    def _refuse_change(self, order: SimOrder, change: Amendment, now: Nanos) -> Refusal | None:
        refusal = refuse_amend(
            order,
            ticker=change.ticker,
            side=change.side,
            client_order_id=change.client_order_id,
            updated_client_order_id=change.updated_client_order_id,
        )
        if refusal is not None:
            return refusal
        if change.count <= order.filled:
            return INVALID_SIZE
        if not order.market.grid.contains(change.price):
            return INVALID_PRICE
        if change.expires_ns is not None and 0 < change.expires_ns <= now:
            return EXPIRED
        guarded = order.post_only and self.rules.amend_honours_post_only
        if guarded and order.market.book.would_cross(order.side, change.price):
            return POST_ONLY_CROSS
        rest = Count(change.count - order.filled)
        if affordable(order.account, order.market, order.side, change.price, rest, without=order.order_id):
            return None
        return INSUFFICIENT_BALANCE

    def _reschedule(self, order: SimOrder, expires_ns: Nanos | None) -> None:
        if expires_ns is None:
            return
        order.expires_ns = expires_ns or None
        if order.expires_ns is not None:
            self.agenda.add(order.expires_ns, Turn.EXPIRY, partial(self._expire, order))

    def _live_order(self, account_name: str, order_id: str, now: Nanos) -> tuple[SimOrder | None, Refusal | None]:
        order = self.accounts[account_name].orders.get(order_id)
        if order is None:
            return None, NOT_FOUND
        if not self.venue.flags(order.market.shard)[0]:
            return order, EXCHANGE_PAUSED
        if now >= order.market.spec.close_ns:
            return order, MARKET_INACTIVE
        return order, None if order.booked else NOT_FOUND

    def _refuse_state(self, market: SimMarket, now: Nanos) -> Refusal | None:
        exchange_active, trading_active = self.venue.flags(market.shard)
        if not exchange_active or not trading_active:
            return TRADING_PAUSED if exchange_active else EXCHANGE_PAUSED
        return None if market.trades_at(now) else MARKET_INACTIVE

    def _expire(self, order: SimOrder, now_ns: Nanos) -> None:
        # An amended or canceled order leaves its old entry behind; only the current expiry counts.
        if order.booked and order.expires_ns is not None and order.expires_ns <= now_ns:
            self.matcher.cancel(order, Reason.EXPIRY, now_ns)

    def _blackout(self, order: SimOrder, now_ns: Nanos) -> None:
        if order.booked:
            self.matcher.cancel(order, Reason.NONE, now_ns)

    def _on_match(self, order: SimOrder, count: Count, now_ns: Nanos) -> None:
        self.groups.on_match(order, count, now_ns)
