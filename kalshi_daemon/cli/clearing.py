"""Everything off the book without a daemon: the twin of the daemon's shutdown sequence (`orders.cancelling`).

The ladder works on the journal and the state of one process; this one has neither, and must not touch a journal that a
running daemon writes. It knows what the exchange lists and nothing else. Verified means the same in both: the
exchange's own list of resting orders came back empty, twice.
"""

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from kalshi_daemon.domain.events import CancelAck, RemoteOrder
from kalshi_daemon.domain.order import OrderRef
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.errors import (
    AuthFailed,
    ClockSkewed,
    PartlyUnreadable,
    UnreadableRecord,
    VenueRejected,
    VenueUnreachable,
)
from kalshi_daemon.ground.units import MILLISECOND, SECOND, Nanos
from kalshi_daemon.orders.cancelling import AFTER_TROUBLE, ZERO_LOOKS, VenueOrders
from kalshi_daemon.orders.deadlines import EXCHANGE_ERRORS, DeadlinePassed, within
from kalshi_daemon.orders.ids import is_ours
from kalshi_daemon.orders.reconcile import Scope

LOOKS_APART: Final = Nanos(300 * MILLISECOND)
"""Between two looks: the list lags the engine (docs/reference/venue.md 2.1), and nobody waits for milliseconds here."""
FIRST_LOOK_MAX: Final = Nanos(2 * SECOND)
"""How long the cancel-all may wait for the list that tells what it is going to cancel."""


class Fate(StrEnum):
    """What became of an order that was seen resting."""

    CANCELLED = "cancelled"
    """The exchange acknowledged our cancel of this very order."""
    GONE = "gone"
    """Off the list after the cancel-all: cancelled, unless it traded or expired in the same moment."""
    NOT_CONFIRMED = "not confirmed"
    """On the last list that was read."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """How it ended. `orders` is every order in scope that was seen; `remaining` of the last list, None without any."""

    verified: bool
    orders: tuple[tuple[RemoteOrder, Fate], ...]
    remaining: int | None
    """Those that cannot be read included."""
    foreign: int
    """Orders outside the scope on the last list: left alone."""
    detail: str


class Clearing:
    """One clearing of the subaccount (scope `account`) or of our own orders (`own`). Use once.

    Lists before `count_from_ns` never count as a zero: somebody may still be placing until then. Deadlines are the
    clock's, which should be the machine's.
    """

    def __init__(
        self, api: VenueOrders, clock: Clock, *, scope: Scope, deadline_ns: Nanos, count_from_ns: Nanos
    ) -> None:
        self._api = api
        self._clock = clock
        self._scope = scope
        self._deadline_ns = deadline_ns
        self._count_from_ns = count_from_ns
        self._mass_cancel_due = scope == "account"
        self._zeros = 0
        self._seen: dict[str, RemoteOrder] = {}
        self._acked: set[str] = set()
        self._listed: set[str] | None = None
        self._foreign = 0
        self._unreadable = 0
        """Records of the last list that could not be read: each may be an order that rests."""
        self._detail = "the exchange was not asked"
        self._unreachable: VenueUnreachable | None = None
        """Set while no request has ever reached the exchange."""
        self._reached = False

    async def run(self) -> Cleared:
        """Cancel and look until the list is empty twice or the deadline has come.

        Raises AuthFailed when the exchange refuses the key, ClockSkewed when that is our clock's doing,
        VenueUnreachable when nothing ever reached it; any other
        trouble is tried again and ends in an unverified result.
        """
        if self._mass_cancel_due:
            first = min(self._deadline_ns, self._clock.now_ns() + FIRST_LOOK_MAX)
            await self._tried(self._look(counts=False), Nanos(first))
        while True:
            done = await self._tried(self._turn(), self._deadline_ns)
            pause = LOOKS_APART if done else AFTER_TROUBLE
            if self._zeros >= ZERO_LOOKS or self._clock.now_ns() + pause >= self._deadline_ns:
                break
            await self._clock.sleep(pause)
        if self._unreachable is not None:
            raise VenueUnreachable("cancel-all", f"{self._unreachable.cause}; nothing was cancelled, UNVERIFIED")
        return self._result()

    async def _tried(self, work: Coroutine[Any, Any, None], deadline_ns: Nanos) -> bool:
        """Whether `work` ended well; what was wrong is remembered."""
        try:
            await within(self._clock, deadline_ns, work)
        except DeadlinePassed:
            self._note("no answer before the deadline", None)
        except (AuthFailed, ClockSkewed) as problem:
            if not self._reached:
                raise  # a second try cannot help
            self._note(str(problem), problem)
        except EXCHANGE_ERRORS as problem:
            self._note(str(problem), problem)
        else:
            return True
        self._zeros = 0
        return False

    def _note(self, detail: str, problem: Exception | None) -> None:
        self._detail = detail
        if isinstance(problem, VenueUnreachable) and not self._reached:
            self._unreachable = problem
        elif problem is not None:
            self._heard()

    def _heard(self) -> None:
        self._reached, self._unreachable = True, None

    async def _turn(self) -> None:
        if self._mass_cancel_due:
            await self._mass_cancel()
        await self._look(counts=True)
        if self._listed:
            await self._cancel([self._seen[order_id] for order_id in sorted(self._listed)])

    async def _mass_cancel(self) -> None:
        """The venue's own cancel-all. Trouble with it is no reason not to look and cancel what is listed."""
        try:
            await self._api.cancel_all()
        except ClockSkewed as problem:
            self._detail = str(problem)
        except VenueRejected as problem:
            # Not every member may use it (docs/reference/venue.md 2.3): then the batches do it alone. A wrong key shows
            # at the list.
            self._mass_cancel_due = False
            self._detail = str(problem)
        except EXCHANGE_ERRORS as problem:
            self._detail = str(problem)
        else:
            self._mass_cancel_due = False
            self._heard()

    async def _look(self, *, counts: bool) -> None:
        unreadable: Sequence[UnreadableRecord] = ()
        try:
            found = await self._api.orders(status="resting")
        except PartlyUnreadable as partly:  # what can be read is cancelled; the rest is never a zero
            found = [order for order in partly.readable if isinstance(order, RemoteOrder)]
            unreadable = partly.unreadable
        self._heard()
        mine = [order for order in found if self._scope == "account" or is_ours(order.client_order_id)]
        self._seen.update((order.order_id, order) for order in mine)
        self._listed = {order.order_id for order in mine}
        self._foreign = len(found) - len(mine)
        self._unreadable = len(unreadable)
        if mine or unreadable:
            self._zeros = 0
            self._detail = f"the exchange lists {len(mine)} resting"
            if unreadable:
                self._detail += f" and {len(unreadable)} that cannot be read; {unreadable[0].text}"
        elif counts and self._clock.now_ns() >= self._count_from_ns:
            self._zeros += 1
            self._detail = "the exchange listed nothing only once"

    async def _cancel(self, listed: Sequence[RemoteOrder]) -> None:
        refs = [OrderRef(order.order_id, order.market_ticker) for order in listed]
        for ref, result in zip(refs, await self._api.cancel_orders(refs), strict=True):
            if isinstance(result, CancelAck):
                if result.reduced_by > 0:
                    self._acked.add(ref.order_id)
            else:
                self._detail += f": {result}"

    def _result(self) -> Cleared:
        verified = self._zeros >= ZERO_LOOKS
        return Cleared(
            verified=verified,
            orders=tuple((order, self._fate(order.order_id)) for order in self._seen.values()),
            remaining=None if self._listed is None else len(self._listed) + self._unreadable,
            foreign=self._foreign,
            detail="the exchange lists nothing resting, seen twice" if verified else self._detail,
        )

    def _fate(self, order_id: str) -> Fate:
        if self._listed is None or order_id in self._listed:
            return Fate.NOT_CONFIRMED
        return Fate.CANCELLED if order_id in self._acked else Fate.GONE
