"""The exchange's cash against what our fills and settlements make of it, look by look.

What rests, what is about to be paid and what was paid just now make the expected cash a band; when there is nothing of
the kind it is one number, to a cent. Cash outside of it is a disagreement like any other. Deposits, withdrawals and
transfers between shards happen and no list that we read tells of them: a difference that stands still for
ACCEPTED_AFTER while everything else agrees is taken for one and said.

While all our markets are on shard 0 its cash is compared. Once one is on another shard it is the account's whole cash,
of one answer: which shard a fill was paid from need not be known then, and cash that the exchange moves between shards
by itself (docs/reference/venue.md 2.5, 10) is no difference.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import structlog

from kalshi_daemon.domain.events import Balance, RemoteOrder
from kalshi_daemon.domain.order import Order
from kalshi_daemon.ground.units import CONTRACT, DOLLAR, MINUTE, SECOND, Dollars, Nanos, format_dollars
from kalshi_daemon.orders.bookkeeping import Bookkeeping
from kalshi_daemon.orders.order_store import OrderStore
from kalshi_daemon.orders.reconcile import Act, Finding
from kalshi_daemon.state import Position

log = structlog.get_logger()

ACCEPTED_AFTER: Final = Nanos(10 * MINUTE)
TOLERANCE: Final = Dollars(DOLLAR // 100)
"""Differences below a cent are rounding of the exchange's (docs/reference/venue.md 7.2)."""
READS_LAG: Final = Nanos(5 * SECOND)
"""Cash is not compared this soon after an order of ours ended: reads lag writes (docs/reference/venue.md 2.1)."""
PAID_LAG: Final = Nanos(2 * MINUTE)
"""A payment booked from the stream may come to the cash this much later."""
_PAYS: Final = DOLLAR // CONTRACT
_FEE_MAX: Final = 2
"""More than any maker fee of 1/100 contract, in 1/10 000 dollar."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What is compared with itself before and after the reads of a look."""

    ledger_cash: Dollars
    live: tuple[Order, ...]


@dataclass(slots=True)
class _Drift:
    amount: Dollars
    since_ns: Nanos
    finding: Finding


class CashWatch:
    """Remembers the cash of a quiet moment. Only with scope `account`: in a shared one, strangers' trades move it."""

    def __init__(self, store: OrderStore, bookkeeping: Bookkeeping, *, whole_account: bool) -> None:
        self._store = store
        self._bookkeeping = bookkeeping
        self._whole_account = whole_account
        self._expected_offset: Dollars | None = None
        """Cash minus the ledger's figure, of a quiet moment; None while no moment was quiet yet."""
        self._drift: _Drift | None = None
        self._others_ns = Nanos(0)
        self._others_hold = False
        self.all_shards = False
        """A market of ours is, or was in this life, on another shard than 0: the cash of all shards is compared."""
        self.total: Balance | None = None
        """The cash of all shards, as the last look read it."""
        self.moved = Dollars(0)
        """Accepted since the start: what came and went by other ways than our fills and settlements."""

    def mark(self) -> Mark:
        """To be taken before the reads of a look."""
        return Mark(self._bookkeeping.ledger.exchange_cash(), tuple(self._store.live()))

    def others_traded(self, last_ns: Nanos) -> None:
        """The account traded markets of other series, the last time then: its cash is not ours alone to explain."""
        if last_ns > self._others_ns:
            self._others_ns = last_ns
            self._forget()

    def others_hold(self, *, held: bool) -> None:
        """The account holds positions in other series, whose payments move its cash."""
        self._others_hold = held
        if held:
            self._forget()

    def compare(
        self, mark: Mark, resting: Iterable[RemoteOrder], waiting: Iterable[Position], now: Nanos
    ) -> list[Finding]:
        """Findings of one look; `resting` is the exchange's list, `waiting` are positions past their fixing.

        A look that cannot be compared repeats what stands.
        """
        band = self._band(mark, resting, waiting, now)
        balance = self.known()
        if band is None or balance is None:
            return [] if self._drift is None else [self._drift.finding]
        below, above = band
        actual = Dollars(balance.cash - mark.ledger_cash)
        if self._expected_offset is None:
            if below == above == 0:
                self._expected_offset = actual
            return []
        difference = actual - self._expected_offset
        if -below - TOLERANCE < difference < above + TOLERANCE:
            self._drift = None
            return []
        amount = Dollars(difference + below if difference < 0 else difference - above)
        expected = Dollars(balance.cash - amount)
        of_all = " of all shards" if self.all_shards else ""
        leave, has = format_dollars(expected), format_dollars(balance.cash)
        text = f"cash{of_all}: our fills and settlements leave {leave}, exchange {has}"
        finding = Finding(Act.DISAGREE, "cash", text)
        since = now if self._drift is None or self._drift.amount != amount else self._drift.since_ns
        self._drift = _Drift(amount, since, finding)
        return [finding]

    def settle(self, now: Nanos, *, only_cash: bool) -> bool:
        """Accept a difference that has stood still for long while everything else agreed; whether it was."""
        drift = self._drift
        if drift is None or not only_cash or self._expected_offset is None or now - drift.since_ns < ACCEPTED_AFTER:
            return False
        self._expected_offset = Dollars(self._expected_offset + drift.amount)
        self.moved = Dollars(self.moved + drift.amount)
        self._drift = None
        log.warning(
            "cash.moved",
            amount=format_dollars(drift.amount),
            problem=drift.finding.text,
            stood_s=(now - drift.since_ns) // SECOND,
            moved_since_start=format_dollars(self.moved),
        )
        return True

    def known(self) -> Balance | None:
        """The cash that our fills and settlements move; None when it was not read."""
        return self.total if self.all_shards else self._store.state.balance

    def note_shards(self, *, windows: bool = False) -> None:
        """Look whether anything of ours is on another shard than 0. `windows`: a market of a window is.

        What was compared until then is forgotten: the next quiet moment is what later ones are held against.
        """
        state = self._store.state
        held = (position.market_ticker for position in self._bookkeeping.ledger.positions.values())
        live = (order.market_ticker for order in self._store.live())
        if not self.all_shards and (windows or any(state.venue.shard_of(ticker) for ticker in (*held, *live))):
            self.all_shards = True
            self._forget()

    def _forget(self) -> None:
        self._expected_offset = None
        self._drift = None

    def _band(
        self, mark: Mark, resting: Iterable[RemoteOrder], waiting: Iterable[Position], now: Nanos
    ) -> tuple[int, int] | None:
        """(how far below, how far above the ledger's figure) the cash may be; None when it cannot be compared now."""
        state, ledger = self._store.state, self._bookkeeping.ledger
        ours = {order.client_order_id for order in mark.live}
        self.note_shards()
        if (
            not self._whole_account
            or self._others_hold
            or state.unbooked
            or state.refused_fills
            or self.mark() != mark
            or any(remote.client_order_id not in ours for remote in resting)
            or any(not order.status.live and order.updated_ns > now - READS_LAG for order in state.orders.values())
        ):
            return None
        may_trade = sum(order.leaves for order in mark.live)
        may_be_paid = sum(abs(position.count) for position in waiting)
        lately = self._bookkeeping.settled_lately(Nanos(now - PAID_LAG))
        paid_lately = sum(abs(ledger.count(ticker)) for ticker in lately)
        below = may_trade * (_PAYS + _FEE_MAX) + paid_lately * _PAYS
        above = (may_trade + may_be_paid + paid_lately) * _PAYS
        return below, above
