"""The window scheduler: wakes at phase edges and when the exchange's listing changes, and says what may be quoted.

Owns `state.windows`, `state.session` and `state.session_open`. A window opens only when the session calendar and the
exchange's listing agree about it; where they disagree it is SHUT, with both sides' values, until they agree or its
fixing passes.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Never

import structlog

from kalshi_daemon.domain.index import Series
from kalshi_daemon.domain.window import Phase, Session, Window, WindowStatus
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.units import DAY, HOUR, Nanos, to_s
from kalshi_daemon.settings.model import WindowSettings
from kalshi_daemon.state import DaemonState
from kalshi_daemon.windows.sessions import SessionTable
from kalshi_daemon.windows.table import Listing, agree, build_windows, listings, next_edge_after

LINGER: Final = Nanos(3 * HOUR)
"""How long after its close a session's windows stay visible (settling) before the next session's take their place."""
_CALENDAR_WARNING: Final = Nanos(14 * DAY)
"""Each new session within this of the calendar's end says so; beyond the end there are no windows at all."""
_WAIT_MAX: Final = DAY
"""Longest sleep; reached only when the calendar has nothing more to say."""


class WindowScheduler:
    """One per daemon. `on_phase` is called synchronously for every change, after the state was written."""

    def __init__(
        self,
        state: DaemonState,
        clock: Clock,
        sessions: SessionTable,
        settings: WindowSettings,
        enabled_series: Sequence[Series],
        *,
        on_phase: Callable[[WindowStatus], None],
    ) -> None:
        self._state = state
        self._clock = clock
        self._sessions = sessions
        self._settings = settings
        self._series = tuple(enabled_series)
        self._on_phase = on_phase
        self._session: Session | None = None
        self._windows: tuple[Window, ...] = ()
        self._settled: set[str] = set()
        self._listing_changed = asyncio.Event()
        self._begun = False
        self._log = structlog.get_logger()

    def listing_changed(self) -> None:
        """The venue room read a listing or heard of a change: judge every window again, soon."""
        self._listing_changed.set()

    def settled(self, event_ticker: str) -> None:
        """Every market of ours in this event has been paid. Unknown events (of an earlier session) are ignored."""
        if event_ticker in self._state.windows:
            self._settled.add(event_ticker)
            self.look()

    async def run(self) -> Never:
        """Move windows from phase to phase as time passes, forever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_listing(), name="windows.listing")
            while True:
                await self._clock.sleep_until(self.look())

    async def _follow_listing(self) -> Never:
        while True:
            await self._listing_changed.wait()
            self._listing_changed.clear()
            self.look()

    def look(self) -> Nanos:
        """Bring the state up to date with now; returns the next instant at which time alone changes something."""
        now = self._clock.now_ns()
        session = self._sessions.current_or_next(now, LINGER)
        if not self._begun or session != self._session:
            self._begin(session, now)
        was_open = self._state.session_open
        self._state.session_open = self._sessions.session_of(now) is not None
        if was_open != self._state.session_open:
            self._log.info(
                "calendar.session_changed", open=self._state.session_open, session=session.day if session else ""
            )
        listed = listings(self._windows, self._state.venue.events, self._state.venue.markets)
        for window in self._windows:
            self._update(window, listed[window.event_ticker], now)
        return self._next_edge(now)

    def _begin(self, session: Session | None, now: Nanos) -> None:
        self._begun = True
        self._session = self._state.session = session
        self._settled.clear()
        self._windows = () if session is None else build_windows(session, self._settings, self._series)
        # Statuses appear one by one in `_update`, each with its own call of `on_phase`.
        self._state.windows = {}
        left_s = round(to_s(Nanos(self._sessions.end_ns - now)))
        if session is None:
            self._log.error("calendar.exhausted", left_s=left_s)
            return
        if now > self._sessions.end_ns - _CALENDAR_WARNING:
            self._log.warning("calendar.nearly_exhausted", left_s=left_s)
        self._log.info(
            "calendar.session_planned", session=session.day, half_day=session.half_day, windows=len(self._windows)
        )

    def _update(self, window: Window, listing: Listing, now: Nanos) -> None:
        before = self._state.windows.get(window.event_ticker)
        status = self._status(window, listing, now, before)
        if status == before:
            return
        self._state.windows[window.event_ticker] = status
        fields = {
            "window": window.event_ticker,
            "phase": status.phase.value,
            "was": before.phase.value if before else "",
            "to_fixing_s": round(to_s(Nanos(window.target_ns - now)), 3),
        }
        if status.phase is Phase.SHUT:
            self._log.warning("window.not_quoted", reason=status.reason, **fields)
        else:
            self._log.info("window.phase_changed", **fields)
        self._on_phase(status)

    def _status(self, window: Window, listing: Listing, now: Nanos, before: WindowStatus | None) -> WindowStatus:
        phase = window.phase_at(now)
        if window.event_ticker in self._settled and now >= window.target_ns:
            return WindowStatus(window, Phase.SETTLED)
        if phase is Phase.SETTLING:
            # Past the fixing the event may leave the listing, and nothing is quoted: a shut window stays shut.
            return before if before is not None and before.phase is Phase.SHUT else WindowStatus(window, phase)
        reason = self._disagreement(window, listing, phase)
        return WindowStatus(window, Phase.SHUT, reason) if reason else WindowStatus(window, phase)

    def _disagreement(self, window: Window, listing: Listing, phase: Phase) -> str:
        assert self._session is not None, "windows exist only inside a session"
        if phase is Phase.UPCOMING and not listing.markets:
            return ""  # not listed yet, or not read yet: that matters at the opening edge
        if window.series.ticker not in self._state.venue.listing_read_ns:
            return f"listing of {window.series.ticker} not read yet"
        return agree(window, listing, self._session)

    def _next_edge(self, now: Nanos) -> Nanos:
        edges = [Nanos(now + _WAIT_MAX)]
        if (edge := next_edge_after(self._windows, now)) is not None:
            edges.append(edge)
        if self._session is not None:
            ends = (self._session.open_ns, self._session.close_ns, Nanos(self._session.close_ns + LINGER))
            edges.extend(edge for edge in ends if edge > now)
        return min(edges)
