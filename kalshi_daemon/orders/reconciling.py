"""Looks at the exchange's own lists and makes our books agree with them, or says with both numbers that they do not.

Reads: resting orders, fills by a cursor of our own that does not depend on the stream, positions, balance. Owns
`state.reconciliation` and `state.balance`. A disagreement counts when two looks in a row show it, and clears only when
a look shows none.
"""

from collections.abc import Sequence
from typing import Final

import structlog

from kalshi_daemon.domain.events import Balance, RemoteOrder
from kalshi_daemon.domain.order import Fill, Order, Status
from kalshi_daemon.ground.units import DAY, MINUTE, SECOND, Count, Nanos, format_dollars, from_s
from kalshi_daemon.kalshi.api import PortfolioApi
from kalshi_daemon.orders.bookkeeping import Bookkeeping
from kalshi_daemon.orders.cancelling import Canceller
from kalshi_daemon.orders.cash import CashWatch, Mark
from kalshi_daemon.orders.deadlines import EXCHANGE_ERRORS
from kalshi_daemon.orders.order_store import OrderStore, event_of, in_table, series_of
from kalshi_daemon.orders.outcome_resolver import LAPSE_GRACE, PATIENCE, OutcomeResolver, report_of
from kalshi_daemon.orders.quarantine import QUARANTINED_MAX
from kalshi_daemon.orders.reconcile import (
    CERTAIN,
    Act,
    Finding,
    compare_filled,
    compare_orders,
    compare_positions,
    disagreements,
    same_terms,
)
from kalshi_daemon.orders.records import read_list
from kalshi_daemon.orders.refused_fills import LIST
from kalshi_daemon.orders.settling import Settler
from kalshi_daemon.settings.model import OrderSettings
from kalshi_daemon.state import Position

log = structlog.get_logger()

SETTLE: Final = Nanos(2 * SECOND)
"""What changed later than this before a look is not compared in it: reads lag writes (docs/reference/venue.md 2.1)."""
FILL_OVERLAP: Final = Nanos(5 * MINUTE)
"""How far behind the cursor fills are read again: a fill may be listed this much later than it happened."""
FILL_LAG: Final = Nanos(30 * SECOND)
"""A fill of ours younger than this need not be listed yet."""
FIRST_LOOK_BACK: Final = Nanos(8 * DAY)
LEAST_APART: Final = SECOND
SECOND_LOOK: Final = SECOND
"""A first disagreement is looked at again after this."""
AFTER_TROUBLE: Final = Nanos(2 * SECOND)
SETTLEMENT_LAG: Final = Nanos(2 * MINUTE)
ORDERS_ASKED: Final = 5
"""Orders whose fills do not add up that are asked about in one look."""
SHARDS_MAX: Final = 8
"""Shards other than 0 whose cash is read; the exchange has four."""
_SHOWN: Final = 3
_FILLS: Final = "fills"
_INHERITED: Final = "inherited"
_ADOPTED: Final = "adopted"
"""The profile of an order with an id of ours that the journal did not know: it has no plan, and no lease of ours."""
_REPORTED_MAX: Final = 1_000


class Reconciler:
    """One look at a time."""

    def __init__(
        self,
        store: OrderStore,
        bookkeeping: Bookkeeping,
        api: PortfolioApi,
        settings: OrderSettings,
        asker: OutcomeResolver,
        canceller: Canceller,
        settler: Settler,
    ) -> None:
        self._store = store
        self._bookkeeping = bookkeeping
        self._api = api
        self._settings = settings
        self._asker = asker
        self._canceller = canceller
        self._settler = settler
        self.cash = CashWatch(store, bookkeeping, whole_account=settings.scope == "account")
        self._every = from_s(settings.reconcile_every_s)
        self._next = Nanos(0)
        self._looked = Nanos(0)
        self._before: dict[str, str] = {}
        self._reported: set[str] = set()

    def soon(self) -> None:
        """Look at the next turn, but not twice within LEAST_APART."""
        self._next = Nanos(min(self._next, self._looked + LEAST_APART))

    async def turn(self) -> None:
        """Look when it is time. Never raises for trouble with the exchange: it looks again soon."""
        if self._store.clock.now_ns() < self._next:
            return
        try:
            await self.look()
        except EXCHANGE_ERRORS as problem:
            self._next = Nanos(min(self._next, self._store.clock.now_ns() + AFTER_TROUBLE))
            log.warning("reconciliation.failed", problem=str(problem))

    async def look(self) -> bool:
        """One whole look; whether it found agreement. Raises what the API raises."""
        store = self._store
        asked = self._looked = store.clock.now_ns()
        self._next = Nanos(asked + self._every)
        before = {order.client_order_id: order for order in store.live()}
        mark = self.cash.mark()
        resting = await read_list(self._api.orders(status="resting"), store.state)
        findings = self._compare_orders(before, resting.records, asked) + resting.findings
        findings += await self.read_fills()
        await self._act(findings)
        findings += self._look_at_quarantine(resting.records, asked)
        findings += await self._look_at_positions()
        findings += await self._look_at_fill_sums(asked)
        findings += self._settler.findings()
        await self.read_balance()
        findings += self._compare_cash(mark, resting.records, findings)
        return self._judge(findings, asked)

    # --- orders -------------------------------------------------------------------------------------------------------

    def _compare_orders(self, before: dict[str, Order], remote: Sequence[RemoteOrder], asked: Nanos) -> list[Finding]:
        orders = self._store.state.orders
        still = {
            name: order
            for name, order in before.items()
            if orders.get(name) is order
            and order.updated_ns <= asked - SETTLE
            and order.status in {Status.RESTING, Status.PENDING_CANCEL}
        }
        moving = {order.client_order_id for order in self._store.live()} | set(before)
        moving -= set(still)
        ended = self._store.ended(r.client_order_id for r in remote if r.client_order_id not in moving)
        lately = {name for name, order in ended.items() if order.updated_ns > asked - SETTLE}
        return compare_orders(still, ended, moving | lately, remote, self._settings.scope)

    async def _act(self, findings: Sequence[Finding]) -> None:
        listed: list[RemoteOrder] = []
        for finding in findings:
            match finding:
                case Finding(act=Act.UPDATE, order=Order() as order, remote=RemoteOrder() as remote):
                    self._asker.believe(remote, order)
                case Finding(act=Act.ASK | Act.DISAGREE, order=Order() as order):
                    self._asker.want(order.client_order_id)
                case Finding(act=Act.ADOPT, remote=RemoteOrder() as remote):
                    self._adopt(remote, finding)
                case Finding(act=Act.CANCEL_GHOST, order=Order() as order, remote=RemoteOrder() as remote):
                    log.warning("order.ghost_listed", client_order_id=order.client_order_id, text=finding.text)
                    await self._lay(order, remote)
                case Finding(act=Act.CANCEL_FOREIGN, remote=RemoteOrder() as remote) if self._store.state.armed:
                    listed.append(remote)
                case Finding(act=Act.REPORT_FOREIGN | Act.CANCEL_FOREIGN) if finding.key not in self._reported:
                    self._report(finding)
                case _:
                    pass
        await self._send_adopted_away()
        await self._canceller.cancel_listed(listed, "foreign")

    def _adopt(self, remote: RemoteOrder, finding: Finding) -> None:
        """Take one in, unless the list has its name twice, or its id is that of an order we know by another name."""
        owner = self._store.find(None, remote.order_id)
        if owner is not None:
            self._store.doubt(owner, "listed", f"{remote.order_id} is order {remote.client_order_id} at the exchange")
        elif self._store.find(remote.client_order_id, None) is None:
            log.warning("order.adopted", client_order_id=remote.client_order_id, text=finding.text)
            self._store.adopt(self._stranger_of_ours(remote))

    async def _send_adopted_away(self) -> None:
        """Also those of an earlier life: it may have died between taking one in and cancelling it."""
        resting = [o for o in self._store.live() if o.profile == _ADOPTED and o.status is Status.RESTING]
        await self._canceller.cancel([order.client_order_id for order in resting], "not_in_journal")

    async def _lay(self, order: Order, remote: RemoteOrder) -> None:
        """Put a ghost to rest: one we thought refused comes back to life first, so that it counts as risk meanwhile."""
        if order.status is Status.REJECTED and order.order_id in {None, remote.order_id}:
            self._store.apply(order.client_order_id, report_of(remote, order, self._store.clock.now_ns()))
            await self._canceller.cancel([order.client_order_id], "thought_refused")
        else:
            await self._canceller.cancel_listed([remote], "ended_in_our_books")

    def _report(self, finding: Finding) -> None:
        if len(self._reported) >= _REPORTED_MAX:
            self._reported.clear()
        self._reported.add(finding.key)
        log.warning("order.foreign_listed", text=finding.text)

    def _stranger_of_ours(self, remote: RemoteOrder) -> Order:
        now, state = self._store.clock.now_ns(), self._store.state
        return Order(
            client_order_id=remote.client_order_id,
            market_ticker=remote.market_ticker,
            event_ticker=event_of(remote.market_ticker, state),
            series_ticker=series_of(remote.market_ticker, state),
            profile=_ADOPTED,
            side=remote.side,
            price=remote.price,
            count=remote.initial,
            status=Status.RESTING,
            expires_ns=Nanos(now + DAY) if remote.expires_ns is None else remote.expires_ns,
            created_ns=now,
            updated_ns=now,
            order_id=remote.order_id,
            filled=remote.filled,
        )

    def _look_at_quarantine(self, resting: Sequence[RemoteOrder], asked: Nanos) -> list[Finding]:
        """Let go of orders that the exchange describes as our books have them, and of which it shows no second one."""
        store = self._store
        for name in store.quarantine.names():
            order = store.find(name, None)
            shown = [remote for remote in resting if remote.client_order_id == name]
            if order is None or any(not same_terms(order, remote) for remote in shown):
                continue
            if self._bookkeeping.refused.concerns(name):
                continue
            if store.quarantine.agreed_before(name, asked):
                store.release(order, "the exchange agrees")
            elif not order.status.live and not shown and asked >= self._surely_over(order):
                store.release(order, "its expiry has passed and the exchange lists nothing of its name")
        if len(store.quarantine) <= QUARANTINED_MAX:
            return []
        text = f"the exchange said what cannot be of {len(store.quarantine)} orders, {QUARANTINED_MAX} at the most"
        return [Finding(Act.DISAGREE, "quarantine", text)]

    def _surely_over(self, order: Order) -> Nanos:
        """From when no order of this name can rest: it was made with this expiry, and not renewed in quarantine."""
        last = max(order.expires_ns, self._store.quarantine.quiet_since(order.client_order_id))
        return Nanos(last + LAPSE_GRACE + PATIENCE)

    # --- fills --------------------------------------------------------------------------------------------------------

    async def read_fills(self) -> list[Finding]:
        """Book what the exchange lists and we have not seen, whatever the stream did. Raises what the API raises."""
        store = self._store
        asked = store.clock.now_ns()
        cursor = store.journal.cursor(_FILLS)
        since = Nanos(asked - FIRST_LOOK_BACK) if cursor is None else Nanos(cursor - FILL_OVERLAP)
        listed = await read_list(self._api.fills(min_ts_ns=since), store.state)
        others = [f.event_ns for f in listed.records if not in_table(f.market_ticker, store.state)]
        if others:
            self.cash.others_traded(max(others))
        # The venue's filter is in whole seconds and its stamps are its own clock's: the edges are not compared.
        missed, findings = self._bookkeeping.missed(listed.records, Nanos(since + SETTLE), Nanos(asked - FILL_LAG))
        refused = self._bookkeeping.refused
        self._bookkeeping.book_listed(missed, "list", LIST, {fill.trade_id for fill in listed.records})
        if not listed.unreadable and not refused.listed:  # else it is listed again until it can be booked
            store.journal.set_cursor(_FILLS, asked)
        return findings + listed.findings + refused.findings()

    async def _look_at_fill_sums(self, asked: Nanos) -> list[Finding]:
        """Orders of which more traded than our fills add up to: read their fills by order id."""
        orders = [o for o in self._store.state.orders.values() if o.updated_ns <= asked - SETTLE and o.filled]
        totals = {order.client_order_id: self._store.fill_total(order) for order in orders}
        short = compare_filled(orders, totals)
        unreadable: list[Finding] = []
        for finding in short[:ORDERS_ASKED]:
            assert finding.order is not None
            listed = await read_list(self._fills_of(finding.order), self._store.state)
            unreadable += listed.findings
            told = {fill.trade_id for fill in listed.records}
            self._bookkeeping.book_listed(listed.records, "order", finding.order.order_id or "", told)
        self._bookkeeping.refused.only_orders([f.order.order_id or "" for f in short if f.order is not None])
        if not short:
            return []
        orders = [self._store.state.orders.get(f.order.client_order_id, f.order) for f in short if f.order is not None]
        totals = {order.client_order_id: self._store.fill_total(order) for order in orders}
        return compare_filled(orders, totals) + unreadable + self._bookkeeping.refused.findings()

    async def _fills_of(self, order: Order) -> list[Fill]:
        return [] if order.order_id is None else await self._api.fills(order_id=order.order_id)

    # --- positions, balance -------------------------------------------------------------------------------------------

    async def _look_at_positions(self) -> list[Finding]:
        before = self._bookkeeping.unsettled()
        asked = self._store.clock.now_ns()
        state = self._store.state
        answer = await read_list(self._api.positions(), state)
        listed = [p for p in answer.records if in_table(p.market_ticker, state)]
        others = (p for p in answer.records if not in_table(p.market_ticker, state))
        self.cash.others_hold(held=any(p.count for p in others))
        theirs = {position.market_ticker: position.count for position in listed}
        if self._store.journal.cursor(_INHERITED) is None:
            if answer.unreadable:
                return answer.findings  # what was there before us is taken over whole or not yet
            differences = {t: Count(theirs[t] - before.get(t, 0)) for t in theirs if theirs[t] != before.get(t, 0)}
            if differences:
                self._bookkeeping.inherit(differences)
            self._store.journal.set_cursor(_INHERITED, asked)
            return []
        after = self._bookkeeping.unsettled()
        moved = {ticker for ticker in {*before, *after} if before.get(ticker) != after.get(ticker)}
        paid_out = {p.market_ticker for p in self.waiting(asked) if not theirs.get(p.market_ticker)}
        lately = self._bookkeeping.settled_lately(Nanos(asked - SETTLEMENT_LAG))
        named = {record.market_ticker for record in answer.unreadable}
        return compare_positions(after, listed, moved | paid_out | lately | named) + answer.findings

    def waiting(self, now: Nanos) -> list[Position]:
        """Our open positions in markets that are past their fixing, as far as the windows tell."""
        windows = self._store.state.windows
        over = {
            position.event_ticker
            for position in self._bookkeeping.ledger.open_positions()
            if position.event_ticker not in windows or now >= windows[position.event_ticker].window.target_ns
        }
        return self._bookkeeping.waiting(over)

    async def read_balance(self) -> None:
        """The cash of shard 0, and of every other shard that markets of today's windows are on.

        Raises what the API raises for shard 0. Another shard that cannot be read is not known: its markets wait.
        """
        state = self._store.state
        state.balance = await self._api.balance()
        far = sorted({shard for event in state.windows for shard in state.venue.far_shards(event)})[:SHARDS_MAX]
        for shard in [shard for shard in state.shard_balances if shard not in far]:
            del state.shard_balances[shard]
        for shard in far:
            try:
                state.shard_balances[shard] = await self._api.balance(shard)
            except EXCHANGE_ERRORS as problem:
                state.shard_balances.pop(shard, None)
                log.warning("cash.not_read", exchange_index=shard, problem=str(problem))
        self.cash.note_shards(windows=bool(far))
        self.cash.total = await self._cash_of_all() if self.cash.all_shards else None

    async def _cash_of_all(self) -> Balance | None:
        try:
            return await self._api.balance(None)
        except EXCHANGE_ERRORS as problem:
            log.warning("cash.not_read", exchange_index=None, problem=str(problem))
            return None

    def _compare_cash(self, mark: Mark, resting: Sequence[RemoteOrder], others: Sequence[Finding]) -> list[Finding]:
        now = self._store.clock.now_ns()
        found = self.cash.compare(mark, resting, self.waiting(now), now)
        if not found:
            return []
        self._settler.soon()
        return [] if self.cash.settle(now, only_cash=not disagreements(others)) else found

    # --- the judgement ------------------------------------------------------------------------------------------------

    def _judge(self, findings: Sequence[Finding], asked: Nanos) -> bool:
        disputes = disagreements(findings)
        certain = {finding.key for finding in findings if finding.act in CERTAIN} | set(self._before)
        confirmed = [text for key, text in disputes.items() if key in certain]
        self._before = disputes
        shared = self._store.state.reconciliation
        if disputes and not confirmed:
            self._next = Nanos(self._store.clock.now_ns() + SECOND_LOOK)
            return False
        problem = "; ".join(confirmed[:_SHOWN])
        if problem != shared.problem:
            if problem:
                log.error("reconciliation.disagreed", problem=problem, disputes=len(confirmed))
            else:
                live, cash = len(self._store.live()), _cash_dollars(self._store)
                log.info("reconciliation.agreed", orders=live, cash_dollars=cash)
        shared.problem = problem
        shared.agreed = not problem
        shared.checked_ns = asked
        if problem:
            self._next = Nanos(min(self._next, self._store.clock.now_ns() + AFTER_TROUBLE))
        self._store.on_change()
        return not problem


def _cash_dollars(store: OrderStore) -> str | None:
    return None if store.state.balance is None else format_dollars(store.state.balance.cash)
