"""The decision loop: scan, judge, hand to orders; watch what rests in between.

A scan is due on the timer, when a resting quote has lost its edge, and when guards or books that the last scan had to
do without are there again (`rescans`).

Two tasks share the work so that pulling never waits behind placing: `_watch` looks at every resting quote each second
and at each phase edge, `_scan_all` makes new quotes. Both only read the state; orders are changed by `orders.manager`.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Never

import structlog

from kalshi_daemon.artifacts.writer import ArtifactWriter
from kalshi_daemon.calibration.market_record import MarketRecord
from kalshi_daemon.calibration.watch import log_fields
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.markout import Markout
from kalshi_daemon.domain.order import Order, Status
from kalshi_daemon.domain.quote import Profile, Quote
from kalshi_daemon.domain.verdict import RefusalEffect, Verdict
from kalshi_daemon.domain.window import Phase, Window, WindowStatus
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.guardrails.chain import Chain, Instant
from kalshi_daemon.guardrails.timing import WindowOpen
from kalshi_daemon.orders.manager import OrderManager
from kalshi_daemon.state import DaemonState
from kalshi_daemon.trading.inputs import picture_of, prices_of_others
from kalshi_daemon.trading.markouts import MarkoutWatch
from kalshi_daemon.trading.policy.policy import Policy, Pulls, ScanRequest
from kalshi_daemon.trading.rescans import Rescans, usable_books
from kalshi_daemon.trading.scan_log import RefusalLog, say_cutoff, say_killed, say_scan

log = structlog.get_logger()

_TURN: Final = SECOND
"""The loop turns at least this often, whatever the feed does."""
_KILL_DEADLINE: Final = Nanos(20 * SECOND)
_QUOTABLE: Final = frozenset({Phase.OPEN, Phase.HOLD})
_REQUOTE: Final = "requote"
_BETWEEN: Final = frozenset({_REQUOTE, "edge_lost"})
"""Scans that do not put off the timer's; a requote that changes nothing leaves no trace."""
_CLOSING: Final = frozenset({Phase.CUTOFF, Phase.SHUT})


@dataclass(frozen=True, slots=True)
class TraderParts:
    """The parts the loop works with."""

    state: DaemonState
    chain: Chain
    orders: OrderManager
    artifacts: ArtifactWriter
    clock: Clock
    policy: Policy[Any]
    market_records: Mapping[Index, MarketRecord]
    """Our probabilities against the mids, by index: new ones, or as they were remembered."""


@dataclass(frozen=True, slots=True)
class TraderRules:
    """What is quoted, and how often it may be looked at."""

    profiles: tuple[Profile, ...]
    rescan_ns_min: Nanos
    """Least time between scans of a window that an event triggered."""


@dataclass(frozen=True, slots=True)
class TraderCallbacks:
    """What the loop asks and tells."""

    plan_ids: Callable[[], str]
    """A new plan id, never the same twice."""
    on_progress: Callable[[], None]
    """Called at every turn of the watch: feeds the watchdog."""
    on_settled: Callable[[str], None]
    """Told the event ticker once every position of ours in it has been paid."""


class Trader:
    """Owns `state.market_records`, `state.decisions`, the scan counters, and what the policy remembers."""

    def __init__(self, parts: TraderParts, rules: TraderRules, callbacks: TraderCallbacks) -> None:
        self._parts = parts
        self.chain = parts.chain
        self._rules = rules
        self._callbacks = callbacks
        self._state = parts.state
        self._state.market_records.update(parts.market_records)
        self._clock = parts.clock
        self._watch_turn = asyncio.Event()
        self._scan_turn = asyncio.Event()
        self._due: dict[tuple[str, str], Nanos] = {}
        self._triggers: dict[tuple[str, str], str] = {}
        self._scanned: dict[tuple[str, str], Nanos] = {}
        self._closing: set[str] = set()
        self._closed: set[str] = set()
        self._refusals = RefusalLog()
        self._rescans = Rescans(rules.rescan_ns_min)
        self._memory: Any = parts.policy.initial()
        self._markouts = MarkoutWatch()
        self._kill_asked = False
        self._orders_changed = True
        self._ticked: set[Index] = set()  # since the last look
        self._look_at_all = True  # not only at the windows of the indices that ticked

    @property
    def memory(self) -> Any:  # noqa: ANN401 - of the policy's own kind
        """What the policy remembers now."""
        return self._memory

    # -- what wakes it

    def on_tick(self, index: Index) -> None:
        """New index value: look at what rests in its windows."""
        self._ticked.add(index)
        self._watch_turn.set()

    def on_phase(self, status: WindowStatus) -> None:
        """A window changed phase: scan what opened, cancel what closed, at once."""
        if status.phase is Phase.OPEN:
            self._forget_other_sessions()
            for profile in self._profiles_of(status.window):
                self._due[profile.name, status.window.event_ticker] = self._clock.now_ns()
        self._turn()
        self._scan_turn.set()

    def _forget_other_sessions(self) -> None:
        """Windows of sessions that are over leave no trace: a process may live for weeks."""
        windows, markets = self._state.windows, self._state.venue.markets
        self._refusals.forget(windows)
        for table in (self._due, self._scanned, self._triggers, self._state.decisions):
            for key in [key for key in table if key[1] not in windows]:
                del table[key]
        self._rescans.forget(windows)
        self._closed &= windows.keys()
        self._memory = self._parts.policy.forget(self._memory, markets)

    def on_kill_switch(self, *, engaged: bool) -> None:
        """The file appeared: everything is cancelled and verified. It went: scans go on at their next turn."""
        self._kill_asked = engaged
        self._turn()

    def on_orders_changed(self) -> None:
        """An order, fill or settlement of ours changed: look at what rests and at what is over."""
        self._orders_changed = True
        self._turn()

    def closed_guard(self, quote: Quote) -> str:
        """The first guard that holds this quote's window closed right now; "" when none does.

        Asked for each quote right before its intent is written: between the scan's judgement and that instant lie
        the answers to its cancels and to earlier batches.
        """
        profile = next((one for one in self._rules.profiles if one.name == quote.profile), None)
        status = self._state.windows.get(quote.window.event_ticker)
        if profile is None or status is None:
            return WindowOpen.name
        verdicts = self._parts.chain.judge_window(self._state, profile, status.window, self._clock.now_ns())
        return next((verdict.guard for verdict in verdicts if not verdict.allows), "")

    def may_stay(self) -> Callable[[Order], bool]:
        """Whether an order's lease may be renewed at this instant: its window is quotable, no guard demands it gone."""
        instant = self._parts.chain.at(self._state, self._clock.now_ns())

        def stays(order: Order) -> bool:
            status = self._state.windows.get(order.event_ticker)
            if status is None or status.phase not in _QUOTABLE or self._state.latch.closed:
                return False
            verdicts = instant.judge_resting(order.profile, status.window)
            # In the hold phase no new quotes are made, but what rests may stay until the cutoff.
            return all(verdict.allows or verdict.guard == WindowOpen.name for verdict in verdicts)

        return stays

    async def run(self) -> Never:
        """Until cancelled. An error here is a bug and ends the daemon through its shutdown sequence."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat(), name="trader.beat")
            group.create_task(self._watch(group), name="trader.watch")
            group.create_task(self._scan_all(), name="trader.scan")
        raise AssertionError("the trader's tasks never return")

    def _turn(self) -> None:
        """Look at everything, now."""
        self._look_at_all = True
        self._watch_turn.set()

    async def _beat(self) -> Never:
        while True:
            await self._clock.sleep(_TURN)
            self._turn()
            self._scan_turn.set()

    # -- watching what rests

    async def _watch(self, group: asyncio.TaskGroup) -> Never:
        while True:
            await self._watch_turn.wait()
            self._watch_turn.clear()
            if self._kill_asked:
                self._kill_asked = False
                group.create_task(self._kill(), name="trader.kill")
            self._look_at_fills()
            self._look_at_resting(group)
            self._look_at_settling()
            self._callbacks.on_progress()

    def _look_at_fills(self) -> None:
        """Where the market went after our fills; whole orders are read only when one of them has changed."""
        now, prices_of = self._clock.now_ns(), partial(prices_of_others, self._state)
        known: list[Markout] = []
        if self._orders_changed:
            self._orders_changed = False
            known = self._markouts.on_orders(self._state.orders.values(), prices_of, now)
        for one in (*known, *self._markouts.look(prices_of, now)):
            self._parts.artifacts.markout(one)

    def _look_at_resting(self, group: asyncio.TaskGroup) -> None:
        """Each second at every window, at a tick at those of its index: what the others rest on has not changed."""
        now, everything, ticked = self._clock.now_ns(), self._look_at_all, self._ticked
        self._look_at_all, self._ticked = False, set()
        instant = self._parts.chain.at(self._state, now)
        live: dict[str, list[Order]] = {}
        for order in self._state.live_orders():
            live.setdefault(order.event_ticker, []).append(order)
        for event_ticker, status in self._state.windows.items():
            if not everything and status.window.series.index not in ticked:
                continue
            if status.phase in _CLOSING and event_ticker not in self._closed | self._closing:
                if status.phase is Phase.CUTOFF or event_ticker in live:
                    self._closing.add(event_ticker)
                    group.create_task(self._close(status), name=f"trader.close.{event_ticker}")
                continue
            orders = live.get(event_ticker)
            if orders and status.phase in _QUOTABLE:
                self._judge_resting(status.window, orders, instant, group)

    def _look_at_settling(self) -> None:
        """Tell the scheduler which events are over for us: nothing of ours in them is unpaid or live."""
        now = self._clock.now_ns()
        for index, record in self._parts.market_records.items():
            if record.resolve(self._state.venue.markets, now):
                log.info("forecast_record.market_compared", index=index.value, **log_fields(record.readings()))
        settling = [t for t, status in self._state.windows.items() if status.phase is Phase.SETTLING]
        if not settling:
            return
        open_events = {p.event_ticker for p in self._state.ledger.positions.values() if not p.settled and p.count}
        open_events |= {order.event_ticker for order in self._state.live_orders()}
        for event_ticker in settling:
            if event_ticker not in open_events:
                self._callbacks.on_settled(event_ticker)

    def _judge_resting(self, window: Window, orders: list[Order], instant: Instant, group: asyncio.TaskGroup) -> None:
        staying: list[Order] = []
        pulling: dict[str, Verdict] = {}
        worst: tuple[Verdict, ...] = ()
        for profile in dict.fromkeys(order.profile for order in orders):
            own = [order for order in orders if order.profile == profile]
            verdicts = instant.judge_resting(profile, window)
            closed = [v for v in verdicts if not v.allows and v.closing is RefusalEffect.PULL]
            if closed:
                self._pull(own, f"guard:{closed[0].guard}", group)
            else:
                staying += own
            worst = verdicts if closed or not worst else worst
            pulling |= {verdict.guard: verdict for verdict in closed}
        if self._refusals.say(("resting", window.event_ticker), tuple(pulling.values()), window, ""):
            self._parts.artifacts.monitors(window, worst)
        resting = [order for order in staying if order.status is Status.RESTING]
        lost: Pulls = ()
        if resting:
            tickers = tuple(dict.fromkeys(order.market_ticker for order in resting))
            picture = picture_of(self._state, window, instant.now, markouts=self._markouts.recent(), tickers=tickers)
            self._markouts.on_books(picture.views, instant.now)
            lost, self._memory = self._parts.policy.review(picture, resting, self._memory)
        for order, reason in lost:
            self._triggers[order.profile, window.event_ticker] = "edge_lost"
            log.info("order.edge_lost", client_order_id=order.client_order_id, market=order.market_ticker, why=reason)
        if lost:
            self._pull([order for order, _reason in lost], "edge_lost", group)
            self._scan_turn.set()

    def _pull(self, orders: list[Order], reason: str, group: asyncio.TaskGroup) -> None:
        wanted = tuple(o.client_order_id for o in orders if o.status is Status.RESTING)
        if wanted:
            group.create_task(self._parts.orders.cancel(wanted, reason), name="trader.pull")

    async def _kill(self) -> None:
        """The shutdown sequence without the exit: new orders are already refused in the submit path."""
        deadline = Nanos(self._clock.now_ns() + _KILL_DEADLINE)
        result = await self._parts.orders.cancel_all("kill_switch", deadline)
        say_killed(result)

    async def _close(self, status: WindowStatus) -> None:
        """Cancel a window's quotes and verify with the exchange that nothing of it rests."""
        window = status.window
        result = await self._parts.orders.cancel_event(window.event_ticker, status.phase.value, window.gone_by_ns)
        now = self._clock.now_ns()
        counters = self._state.counters
        if now > window.gone_by_ns or not result.verified:
            counters.resting_after_cutoff_max = max(counters.resting_after_cutoff_max, result.remaining)
        say_cutoff(window, result, now)
        self._closing.discard(window.event_ticker)
        if result.verified or now >= window.target_ns:
            self._closed.add(window.event_ticker)

    # -- scanning

    async def _scan_all(self) -> Never:
        while True:
            await self._scan_turn.wait()
            self._scan_turn.clear()
            for profile, window, trigger in self._due_scans(self._clock.now_ns()):
                await self._scan(profile, window, trigger)

    def _due_scans(self, now: Nanos) -> list[tuple[Profile, Window, str]]:
        found = []
        least, every = self._rules.rescan_ns_min, self._parts.policy.requote_ns
        instant = self._parts.chain.at(self._state, now)
        for status in self._state.windows.values():
            if status.phase is not Phase.OPEN:
                continue
            for profile in self._profiles_of(status.window):
                key = (profile.name, status.window.event_ticker)
                if now >= self._due.get(key, now):
                    trigger = "timer" if key in self._scanned else "window_open"
                elif key in self._triggers and now - self._scanned.get(key, Nanos(0)) >= least:
                    trigger = self._triggers[key]
                elif every is not None and now - self._scanned.get(key, now) >= every:
                    trigger = _REQUOTE
                elif not (trigger := self._event_driven(profile, status.window, instant)):
                    continue
                found.append((profile, status.window, trigger))
        return found

    def _event_driven(self, profile: Profile, window: Window, instant: Instant) -> str:
        """Whether what the last scan had to do without is there now: a trigger, or ""."""

        def guards_open(ask_first: tuple[str, ...]) -> bool:
            return instant.window_open(profile, window, ask_first)

        key = (profile.name, window.event_ticker)
        return self._rescans.trigger(key, instant.now, usable_books(self._state, window.event_ticker), guards_open)

    async def _scan(self, profile: Profile, window: Window, trigger: str) -> None:
        key = (profile.name, window.event_ticker)
        now = self._clock.now_ns()
        if trigger not in _BETWEEN:
            self._due[key] = Nanos(now + profile.scan_every)
        self._scanned[key] = now
        self._triggers.pop(key, None)
        picture = picture_of(
            self._state, window, now, markouts=self._markouts.recent(), exposure_of=self._parts.chain.memo.of
        )
        request = ScanRequest(self._callbacks.plan_ids(), profile, trigger)
        plan, self._memory = self._parts.policy.plan(picture, request, self._memory)
        judgement = self._parts.chain.judge_plan(self._state, plan, now)
        usable = usable_books(self._state, window.event_ticker)
        self._rescans.scanned(
            key, trigger, now, closed=tuple(one.guard for one in judgement.closed), books_usable=usable
        )
        self._parts.market_records[window.series.index].note(plan)
        counters = self._state.counters
        counters.scans += 1
        counters.windows_scanned.add(window.event_ticker)
        self._refusals.say(key, judgement.closed, window, profile.name)
        for verdict in judgement.forced:
            log.warning("guard.forced", guard=verdict.guard, window=window.event_ticker, note=verdict.note)
        placed: tuple[Order, ...] = ()
        if plan.cancel:
            await self._parts.orders.cancel(tuple(name for name, _reason in plan.cancel), "replaced")
            # The answer may have taken seconds: what was allowed before need not be allowed now.
            judgement = self._parts.chain.judge_plan(self._state, plan, self._clock.now_ns())
            self._refusals.say(key, judgement.closed, window, profile.name)
        self._state.decisions[key] = plan, judgement
        if judgement.accepted:
            placed = await self._parts.orders.place(judgement.accepted)
        if trigger != _REQUOTE or plan.quotes or plan.cancel:
            say_scan(plan, judgement, placed)
            self._parts.artifacts.manifest(plan, judgement, placed)
            self._say_record(window.series.index)

    # -- saying it once

    def _say_record(self, index: Index) -> None:
        """The forecasts' record as the guards see it, for the monitors' files."""
        view = self._state.calibration.get(index)
        own = () if view is None else view.health(self._clock.now_ns()).readings
        self._parts.artifacts.record(index, (*own, *self._state.market_records[index].readings()))

    def _profiles_of(self, window: Window) -> list[Profile]:
        return [profile for profile in self._rules.profiles if window.series.ticker in profile.series]
