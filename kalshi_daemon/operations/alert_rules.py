"""What a person is told of: events of the log that call for it, and what lasts too long or uses up too much.

The log says each thing once, with its numbers, where it happens; `alert_of` picks what somebody asleep should hear.
What no single line says (a guard closed for ten minutes, a budget at 80 %) is folded from one status after another by
`StatusWatch`. Both are pure: time comes in with what they are shown.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kalshi_daemon.domain.alert import Alert, AlertSeverity
from kalshi_daemon.domain.window import Phase
from kalshi_daemon.ground.errors import ExitCode
from kalshi_daemon.ground.new_york import eastern_day
from kalshi_daemon.ground.units import MEGABYTE, MINUTE, Nanos, format_dollars, from_s
from kalshi_daemon.operations.status import DaemonStatus
from kalshi_daemon.settings.service import AlertSettings

INFO, WARNING, CRITICAL = AlertSeverity
_TEXT_MAX: Final = 500
_FIELD_MAX: Final = 200
_OWN_ALERT: Final = frozenset({"kill_switch", "latch", "armed"})
"""Guards whose closing is told of in another way, or is what the operator asked for."""
_BUDGET_STEPS: Final = ((100, CRITICAL), (80, WARNING), (50, INFO))
_MEMORY_CLEAR_PERCENT: Final = 90
_SILENT_MS: Final = 10_000
"""An index without a newer value for this long is silent: values come each second."""


@dataclass(frozen=True, slots=True)
class Rule:
    """An event that is told of."""

    kind: str
    severity: AlertSeverity
    words: str
    fields: tuple[str, ...] = ()
    """Of the line: they follow the words."""
    subject: str = ""
    """The field that says what it is about."""
    over: bool = False


EVENTS: Final[Mapping[str, Rule]] = {
    "daemon.ready": Rule("started", INFO, "The daemon is ready."),
    "daemon.failed": Rule("died", CRITICAL, "An error ends the daemon", ("error", "message")),
    "daemon.task_died": Rule("died", CRITICAL, "A bug ends the daemon", ("error", "message")),
    "session.summary": Rule(
        "stopped",
        INFO,
        "The daemon has stopped",
        ("stop_reason", "verified", "resting_at_end", "fills", "pnl_dollars", "books_equal"),
    ),
    "stop.unverified": Rule("unverified", CRITICAL, "UNVERIFIED: orders may rest", ("remaining", "detail")),
    "kill_switch.unverified": Rule(
        "unverified", CRITICAL, "UNVERIFIED after the kill switch: orders may rest", ("remaining", "detail")
    ),
    "window.cutoff_unverified": Rule(
        "unverified",
        CRITICAL,
        "UNVERIFIED at a cutoff: orders may rest",
        ("window", "remaining", "detail"),
        "window",
    ),
    "kill_switch.engaged": Rule("kill_switch", WARNING, "The kill switch is engaged", ("reason",)),
    "kill_switch.released": Rule("kill_switch", INFO, "The kill switch is released.", over=True),
    "reconciliation.disagreed": Rule(
        "disagreement", CRITICAL, "Our books and the exchange's differ: nothing new is quoted", ("problem",)
    ),
    "reconciliation.agreed": Rule("disagreement", INFO, "Our books and the exchange's agree again.", over=True),
    "settlement.disagreed": Rule("disagreement", CRITICAL, "A settlement is not what our books expect", ("text",)),
    "settlement.disputed": Rule(
        "dispute", WARNING, "A market that has paid is not final", ("market", "why", "at_risk"), "market"
    ),
    "fill.not_booked": Rule(
        "fill_refused", CRITICAL, "The exchange tells of a fill that cannot be", ("trade_id", "problem"), "trade_id"
    ),
    "order.quarantined": Rule(
        "quarantine",
        WARNING,
        "The exchange said of an order what cannot be",
        ("client_order_id", "problem"),
        "client_order_id",
    ),
    "order_group.halted": Rule(
        "group_triggered",
        CRITICAL,
        "The exchange's brake was triggered: the profile quotes no more",
        ("profile", "reason"),
        "profile",
    ),
    "order_group.still_halted": Rule(
        "group_triggered", WARNING, "A profile is still halted", ("profile", "reason"), "profile"
    ),
    "fee.schedule_changed": Rule(
        "fee_changed", CRITICAL, "A fee schedule changed: the series is shut", ("series", "change"), "series"
    ),
    "fee.event_differed": Rule(
        "fee_changed", WARNING, "An event's fees differ from its series'", ("event_ticker", "fee_type"), "event_ticker"
    ),
    "disk.ran_low": Rule("disk", WARNING, "The disk has little room", ("free_megabytes", "free_inodes", "path")),
    "disk.ran_short": Rule(
        "disk", CRITICAL, "The disk is nearly full: nothing new is quoted", ("free_megabytes", "free_inodes", "path")
    ),
    "disk.read_failed": Rule("disk", CRITICAL, "The room on the disk cannot be told", ("problem",)),
    "disk.recovered": Rule("disk", INFO, "The disk has room again", ("free_megabytes",), over=True),
    "journal.write_failed": Rule("journal", CRITICAL, "The order journal cannot be written", ("problem",)),
    "feed.auth_failed": Rule("feed_refused", CRITICAL, "The feed refused key, plan or host", ("message",)),
    "feed.evicted": Rule("feed_evicted", WARNING, "Another session uses the index key"),
    "feed.plan_delayed": Rule("feed_delayed", CRITICAL, "The index feed is a delayed plan", ("behind_s",)),
    "daemon.clock_refused": Rule("clock", CRITICAL, "Signatures are refused: this machine's clock is off"),
    "calendar.exhausted": Rule("calendar", CRITICAL, "The trading calendar holds no further session"),
    "calendar.nearly_exhausted": Rule("calendar", WARNING, "The trading calendar ends within weeks"),
    "digest.written": Rule("digest", INFO, "The day's digest is written", ("page",), "page"),
    "digest.not_written": Rule("digest", WARNING, "The day's digest could not be written", ("problem",)),
}


def alert_of(event: str, fields: Mapping[str, Any], at_ns: Nanos) -> Alert | None:
    """The alert that a line of the log is; None when nobody is told of it."""
    rule = EVENTS.get(event)
    if rule is None:
        return None
    known = ((name, fields.get(name)) for name in rule.fields)
    shown = ", ".join(f"{name} {str(value)[:_FIELD_MAX]}" for name, value in known if value not in (None, ""))
    text = f"{rule.words}: {shown}" if shown else rule.words
    return Alert(at_ns, rule.kind, str(fields.get(rule.subject, "")), rule.severity, text[:_TEXT_MAX], rule.over)


def alert_of_exit(code: int, at_ns: Nanos) -> Alert | None:
    """The last word: what the process is about to say by its exit code. None for 0."""
    if code == ExitCode.OK:
        return None
    if code == ExitCode.CONFIG:
        text = "Exit code 78: configuration, key or plan is wrong; systemd does not start it again"
        return Alert(at_ns, "exit_78", "", CRITICAL, text)
    words = "UNVERIFIED: run cancel-all" if code == ExitCode.UNVERIFIED else "see the log"
    return Alert(at_ns, "exited", str(code), CRITICAL, f"Exit code {code}: {words}")


class StatusWatch:
    """Folds one status after another into alerts. `megabytes` beside each is what the process holds, None: unknown."""

    def __init__(self, limits: AlertSettings) -> None:
        self._limits = limits
        self._closed_since: dict[str, Nanos] = {}
        self._told_closed: set[str] = set()
        self._budget_step: dict[str, int] = {}
        self._budget_day = ""
        self._feed = _Lasting(from_s(limits.feed_lost_s))
        self._stalled = _Lasting(Nanos(0))
        self._memory_told = False

    def look(self, status: DaemonStatus, megabytes: int | None) -> tuple[Alert, ...]:
        """What is to be told now that was not at the look before."""
        found = [*self._stuck(status)]
        if status.facts.ready and not status.stopping:
            found += [*self._guards(status), *self._feeds(status), *self._budgets(status)]
        return (*found, *self._memory(status, megabytes))

    def _guards(self, status: DaemonStatus) -> Iterator[Alert]:
        now = status.now_ns
        is_open = {one.event_ticker for one in status.windows if one.phase is Phase.OPEN}
        closed = {
            one.guard: one
            for one in status.closed
            if one.guard not in _OWN_ALERT and not is_open.isdisjoint(one.windows)
        }
        for guard in self._closed_since.keys() - closed.keys():
            del self._closed_since[guard]
            if guard in self._told_closed and is_open:
                yield Alert(now, "guard_closed", guard, INFO, f"Guard {guard} is open again.", over=True)
            self._told_closed.discard(guard)
        for guard, one in closed.items():
            since = self._closed_since.setdefault(guard, now)
            lasted = (now - since) / MINUTE
            if lasted >= self._limits.guard_closed_min and guard not in self._told_closed:
                self._told_closed.add(guard)
                where = ", ".join(ticker for ticker in one.windows if ticker in is_open)
                text = f"Guard closed for {lasted:.0f} min in an open window: {one.text}; {where}"
                yield Alert(now, "guard_closed", guard, WARNING, text[:_TEXT_MAX])

    def _feeds(self, status: DaemonStatus) -> Iterator[Alert]:
        silent = any(one.age_ms is None or one.age_ms > _SILENT_MS for one in status.indices.values())
        lost = status.session_open and (silent or not status.feed_connected)
        told = self._feed.look(status.now_ns, lost=lost)
        if told is True:
            words = ", ".join(f"{name} {one.text}" for name, one in status.indices.items())
            problem = f"; {status.feed_problem}" if status.feed_problem else ""
            text = f"The index feed is lost for {self._limits.feed_lost_s:g} s: {words}{problem}"
            yield Alert(status.now_ns, "feed_lost", "", WARNING, text[:_TEXT_MAX])
        elif told is False:
            yield Alert(status.now_ns, "feed_lost", "", INFO, "The index feed is back.", over=True)

    def _stuck(self, status: DaemonStatus) -> Iterator[Alert]:
        stuck = status.facts.ready and not status.progressing and not status.stopping
        if self._stalled.look(status.now_ns, lost=stuck):
            text = f"The decision loop has not turned for {(status.facts.progress_age_ms or 0) / 1_000:.0f} s"
            yield Alert(status.now_ns, "stalled", "", CRITICAL, text)

    def _budgets(self, status: DaemonStatus) -> Iterator[Alert]:
        day = eastern_day(status.now_ns).isoformat()
        if day != self._budget_day:
            self._budget_day, self._budget_step = day, {}
        for name, one in status.budgets.items():
            step, severity = next((s for s in _BUDGET_STEPS if one.used_percent >= s[0]), (0, INFO))
            if step > self._budget_step.get(name, 0):
                self._budget_step[name] = step
                used, limit = format_dollars(one.used), format_dollars(one.limit)
                lost = format_dollars(one.lost)
                text = f"Budget {name} at {one.used_percent} %: ${used} of ${limit} lost or at risk, ${lost} of it lost"
                yield Alert(status.now_ns, "budget", f"{name} {step}", severity, text)

    def _memory(self, status: DaemonStatus, megabytes: int | None) -> Iterator[Alert]:
        if megabytes is None:
            return
        limit = self._limits.memory_megabytes_max
        if megabytes > limit and not self._memory_told:
            self._memory_told = True
            yield Alert(status.now_ns, "memory", "", WARNING, f"The process holds {megabytes} MB, more than {limit}")
        elif megabytes * 100 < limit * _MEMORY_CLEAR_PERCENT:
            self._memory_told = False


class _Lasting:
    """Something that is told of once it has lasted, and once it is over."""

    def __init__(self, patience: Nanos) -> None:
        self._patience = patience
        self.since: Nanos | None = None
        self._told = False

    def look(self, now: Nanos, *, lost: bool) -> bool | None:
        """True: tell of it now. False: tell that it is over. None: nothing new."""
        if not lost:
            told, self.since, self._told = self._told, None, False
            return False if told else None
        if self.since is None:
            self.since = now
        if self._told or now - self.since < self._patience:
            return None
        self._told = True
        return True


def megabytes_of(pages_text: str, page_bytes: int) -> int | None:
    """Resident memory in MB (1024 x 1024 bytes) from /proc/self/statm; None when it cannot be read in the text."""
    words = pages_text.split()
    if len(words) < 2 or not words[1].isdigit():  # noqa: PLR2004 - size, resident, ...
        return None
    return int(words[1]) * page_bytes // MEGABYTE
