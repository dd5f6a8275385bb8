"""How the daemon stands, as one value: what `status`, the terminal's table, the metrics and the log line all show.

`status_of` makes it from the shared state and from what the state does not hold (`RunFacts`). It is pure, and bounded:
what it lists is cut at ROWS_MAX, with the whole count beside it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from kalshi_daemon.domain.alert import Alert
from kalshi_daemon.domain.order import Order
from kalshi_daemon.domain.quote import Profile
from kalshi_daemon.domain.verdict import Verdict
from kalshi_daemon.domain.window import Phase, WindowStatus
from kalshi_daemon.ground.clock import age_ms
from kalshi_daemon.ground.new_york import eastern_clock
from kalshi_daemon.ground.units import Count, Dollars, Nanos
from kalshi_daemon.guardrails.budgets import LossBudget
from kalshi_daemon.guardrails.chain import Chain
from kalshi_daemon.guardrails.permission import Armed, KillSwitch, LatchOpen
from kalshi_daemon.state import DaemonState

ROWS_MAX: Final = 400
"""Orders, and positions, that are listed: an account within its limits has a tenth of that."""
STALLED_AFTER_MS: Final = 30_000
"""A decision loop that has not turned for this long is stuck; it turns each second, and systemd waits as long."""
_SAID_APART: Final = frozenset({Armed.name, KillSwitch.name, LatchOpen.name})
"""Guards whose closing is said in a sentence of its own."""
_JUDGED: Final = frozenset({Phase.OPEN, Phase.HOLD})


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the state does not hold of a run."""

    mode: str
    version: str
    run_id: str
    ready: bool
    """Whether our books agreed with the exchange's once and the tasks run."""
    progress_age_ms: int | None = None
    """Since the decision loop last turned; None: it never did."""
    chain: Chain | None = None
    """None: the parts are not built yet."""
    profiles: tuple[Profile, ...] = ()
    closed_since: Mapping[str, Nanos] = field(default_factory=dict)
    """Guard -> since when it has been seen to refuse; of those that did so in the status before."""


@dataclass(frozen=True, slots=True)
class ClosedGuard:
    """A guard that refuses new quotes in some window, with the numbers of one of them."""

    guard: str
    measured: int | float | str | None
    limit: int | float | str | None
    unit: str
    closing: str
    note: str
    windows: tuple[str, ...]
    since_ns: Nanos
    """When it was first seen closed, of this time."""

    @property
    def text(self) -> str:
        """`feed_age: 5310 against 2500 ms (note)`."""
        verdict = Verdict(self.guard, passed=False, measured=self.measured, limit=self.limit, unit=self.unit)
        return f"{self.guard}: {verdict.numbers}{f' ({self.note})' if self.note else ''}"


@dataclass(frozen=True, slots=True)
class WindowStanding:
    """A window of the session, and what is ours in it."""

    event_ticker: str
    index: str
    phase: Phase
    reason: str
    """Why it is shut; "" otherwise."""
    opens_ns: Nanos
    target_ns: Nanos
    resting: int
    filled: Count
    held: Count
    """Contracts of either side that are not paid yet."""
    quoting: bool
    """Whether a new quote may be sent in it now, by some profile."""
    closed: tuple[str, ...]
    """Guards that refuse, of any profile."""


@dataclass(frozen=True, slots=True)
class IndexStanding:
    """An index as the feed last showed it."""

    value: float | None
    age_ms: int | None
    withheld: bool
    """Whether its newest value is not believed yet."""

    @property
    def text(self) -> str:
        """`6,884.32 (1.5 s old)`, or `silent`."""
        if self.value is None or self.age_ms is None:
            return "silent"
        return f"{self.value:,.2f} ({self.age_ms / 1_000:.1f} s old{', not believed' if self.withheld else ''})"


@dataclass(frozen=True, slots=True)
class PositionLine:
    """A position that is not paid yet."""

    market_ticker: str
    event_ticker: str
    count: Count
    cash: Dollars
    fees: Dollars


@dataclass(frozen=True, slots=True)
class BudgetStanding:
    """A loss budget: lost plus the worst case of all that is held and rests, against its limit."""

    lost: Dollars
    used: Dollars
    limit: Dollars

    @property
    def used_percent(self) -> int:
        """Whole percents, rounded down."""
        return self.used * 100 // self.limit


@dataclass(frozen=True, slots=True)
class DaemonStatus:
    """One instant of a run. Ages in milliseconds; None is unknown, never zero."""

    now_ns: Nanos
    facts: RunFacts
    armed: bool
    stopping: str
    """Why it stops; "" while it does not."""
    kill_switch: bool
    reconciled: bool
    reconciled_problem: str
    quoting: bool
    """Whether a new quote may be sent in some window now."""
    why_not: tuple[str, ...]
    """Every reason, while nothing may be quoted."""
    closed: tuple[ClosedGuard, ...]
    passing: tuple[tuple[str, Verdict], ...]
    """Guards that refuse in no window that is open or in hold, each with such a window and its verdict there."""
    windows: tuple[WindowStanding, ...]
    """By fixing."""
    indices: Mapping[str, IndexStanding]
    resting: tuple[Order, ...]
    """Orders that may still trade; the oldest, at most ROWS_MAX."""
    resting_total: int
    positions: tuple[PositionLine, ...]
    positions_total: int
    contracts_held: Count
    fills: int
    contracts_filled: Count
    fees: Dollars
    pnl_today: Dollars
    pnl_week: Dollars
    disputed: Dollars
    quarantined: int
    budgets: Mapping[str, BudgetStanding]
    """By guard; empty until our books were compared with the exchange's once."""
    halted: Mapping[str, str]
    """Profile -> why its order group stopped it."""
    feed_connected: bool
    feed_problem: str
    stream_up: bool
    session_open: bool
    disk_free_bytes: int | None
    ages: Mapping[str, int | None]
    scans: int
    orders_placed: int
    orders_cancelled: int
    alerts: tuple[Alert, ...]
    """The last ones, the newest last."""

    @property
    def progressing(self) -> bool:
        """Whether the decision loop turns."""
        age = self.facts.progress_age_ms
        return self.facts.ready and age is not None and age <= STALLED_AFTER_MS


def status_of(state: DaemonState, now_ns: Nanos, facts: RunFacts) -> DaemonStatus:
    """How the daemon stands at an instant of its clock."""
    closed, passing, quotable = _judged(state, now_ns, facts)
    held = [one for one in state.ledger.positions.values() if not one.settled and one.count]
    live = state.live_orders()
    ledger, counters = state.ledger, state.counters
    return DaemonStatus(
        now_ns=now_ns,
        facts=facts,
        armed=state.armed,
        stopping=state.latch.reason,
        kill_switch=state.kill_switch,
        reconciled=state.reconciliation.agreed,
        reconciled_problem=state.reconciliation.problem,
        quoting=bool(quotable) and facts.ready,
        why_not=() if quotable and facts.ready else tuple(_why_not(state, facts, closed)),
        closed=closed,
        passing=passing,
        windows=_windows(state, closed, quotable),
        indices=_indices(state, now_ns),
        resting=live[:ROWS_MAX],
        resting_total=len(live),
        positions=tuple(
            PositionLine(one.market_ticker, one.event_ticker, one.count, one.cash, one.fees) for one in held[:ROWS_MAX]
        ),
        positions_total=len(held),
        contracts_held=Count(sum(abs(one.count) for one in held)),
        fills=ledger.fills_total,
        contracts_filled=ledger.contracts_total,
        fees=ledger.fees_total,
        pnl_today=ledger.realized_today,
        pnl_week=ledger.realized_week,
        disputed=ledger.disputed,
        quarantined=len(state.quarantined),
        budgets=_budgets(state, facts.chain),
        halted={profile: halt.reason for profile, halt in state.order_groups.halted.items()},
        feed_connected=state.feed.connected,
        feed_problem=state.feed.problem,
        stream_up=state.venue.stream_up,
        session_open=state.session_open,
        disk_free_bytes=state.disk.free_bytes,
        ages=_ages(state, now_ns, facts),
        scans=counters.scans,
        orders_placed=counters.orders_placed,
        orders_cancelled=counters.orders_cancelled,
        alerts=state.alerts,
    )


type _Passing = tuple[tuple[str, Verdict], ...]


def _judged(
    state: DaemonState, now_ns: Nanos, facts: RunFacts
) -> tuple[tuple[ClosedGuard, ...], _Passing, frozenset[str]]:
    """In windows open or in hold: the guards that refuse, those that do not, and where some profile may quote."""
    if facts.chain is None:
        return (), (), frozenset()
    instant = facts.chain.at(state, now_ns)
    first: dict[str, Verdict] = {}
    passing: dict[str, tuple[str, Verdict]] = {}
    where: dict[str, dict[str, None]] = {}
    quotable: set[str] = set()
    for event_ticker, status in state.windows.items():
        if status.phase not in _JUDGED:
            continue
        for profile in facts.profiles:
            if status.window.series.ticker not in profile.series:
                continue
            allowed = True
            for verdict in instant.judge(facts.chain.window_guards, profile.name, status.window):
                if verdict.allows:
                    passing.setdefault(verdict.guard, (event_ticker, verdict))
                    continue
                allowed = False
                first.setdefault(verdict.guard, verdict)
                where.setdefault(verdict.guard, {})[event_ticker] = None
            if allowed:
                quotable.add(event_ticker)
    names = [guard.name for guard in facts.chain.window_guards]
    closed = tuple(
        _closed(first[name], tuple(where[name]), facts.closed_since.get(name, now_ns))
        for name in names
        if name in first
    )
    fine = tuple(passing[name] for name in names if name in passing and name not in first)
    return closed, fine, frozenset(quotable)


def _closed(one: Verdict, windows: tuple[str, ...], since_ns: Nanos) -> ClosedGuard:
    return ClosedGuard(one.guard, one.measured, one.limit, one.unit, one.closing.value, one.note, windows, since_ns)


def _why_not(state: DaemonState, facts: RunFacts, closed: Iterable[ClosedGuard]) -> Iterable[str]:
    if state.latch.closed:
        yield f"stopping: {state.latch.reason}"
    elif not facts.ready:
        yield f"starting: {state.reconciliation.problem or 'tasks are not running yet'}"
    if not state.armed:
        yield "not armed: nothing is ever sent (run --arm)"
    if state.kill_switch:
        yield "the kill switch is engaged (kalshi-daemon unkill)"
    by_phase: dict[Phase, list[WindowStatus]] = {}
    for status in state.windows.values():
        by_phase.setdefault(status.phase, []).append(status)
    if Phase.OPEN not in by_phase:
        upcoming = by_phase.get(Phase.UPCOMING, [])
        opens = min((status.window.opens_ns for status in upcoming), default=None)
        then = "" if opens is None else f"; the next opens {eastern_clock(opens)} New York"
        yield f"no window takes new quotes now{then}"
        return
    for one in closed:
        if one.guard not in _SAID_APART:
            yield one.text


def _windows(
    state: DaemonState, closed: tuple[ClosedGuard, ...], quotable: frozenset[str]
) -> tuple[WindowStanding, ...]:
    resting: dict[str, int] = {}
    for order in state.live_orders():
        resting[order.event_ticker] = resting.get(order.event_ticker, 0) + 1
    filled: dict[str, int] = {}
    held: dict[str, int] = {}
    for one in state.ledger.positions.values():
        filled[one.event_ticker] = filled.get(one.event_ticker, 0) + one.traded
        if not one.settled:
            held[one.event_ticker] = held.get(one.event_ticker, 0) + abs(one.count)
    found = [
        WindowStanding(
            event_ticker,
            status.window.series.index.value,
            status.phase,
            status.reason,
            status.window.opens_ns,
            status.window.target_ns,
            resting.get(event_ticker, 0),
            Count(filled.get(event_ticker, 0)),
            Count(held.get(event_ticker, 0)),
            event_ticker in quotable,
            tuple(one.guard for one in closed if event_ticker in one.windows),
        )
        for event_ticker, status in state.windows.items()
    ]
    return tuple(sorted(found, key=lambda one: one.target_ns))


def _indices(state: DaemonState, now_ns: Nanos) -> dict[str, IndexStanding]:
    return {
        index.value: IndexStanding(
            None if one.last is None else one.last.value,
            None if one.last is None else age_ms(now_ns, one.last.event_ns),
            one.withheld is not None,
        )
        for index, one in state.index.items()
    }


def _budgets(state: DaemonState, chain: Chain | None) -> dict[str, BudgetStanding]:
    if chain is None or state.reconciliation.checked_ns is None:
        return {}
    at_risk = chain.memo.of(state).worst_loss
    return {
        guard.name: BudgetStanding(lost := guard.lost(state), Dollars(lost + at_risk), guard.most)
        for guard in chain.window_guards
        if isinstance(guard, LossBudget)
    }


def _ages(state: DaemonState, now_ns: Nanos, facts: RunFacts) -> dict[str, int | None]:
    """Of what decides whether anything is quoted; `decision_loop` is measured on the monotonic clock."""
    stamps = {
        "index_feed_frame": state.feed.last_frame_ns,
        "reconciliation": state.reconciliation.checked_ns,
        "exchange_status": None if state.venue.status is None else state.venue.status.read_ns,
        "balance": None if state.balance is None else state.balance.read_ns,
        "disk": state.disk.read_ns,
    }
    ages: dict[str, int | None] = {f"index.{name}": one.age_ms for name, one in _indices(state, now_ns).items()}
    ages |= {name: None if stamp is None else age_ms(now_ns, stamp) for name, stamp in stamps.items()}
    ages["decision_loop"] = facts.progress_age_ms
    return ages
