import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, time

import pytest
from structlog.testing import capture_logs

from kalshi_daemon.domain.window import Phase, WindowStatus
from kalshi_daemon.ground.clock import ElasticClock, ManualClock
from kalshi_daemon.ground.new_york import eastern_ns
from kalshi_daemon.ground.units import HOUR, MINUTE, SECOND, Nanos
from kalshi_daemon.settings.model import WindowSettings
from kalshi_daemon.state import DaemonState
from kalshi_daemon.windows.scheduler import LINGER, WindowScheduler
from kalshi_daemon.windows.sessions import load_sessions
from kalshi_daemon.windows.table import build_windows
from tests.support.instruments import KXINX, KXINXU
from tests.windows.listings import put_listed

DAY = date(2026, 11, 25)


def at(hour: int, minute: int = 0, second: int = 0, day: date = DAY) -> Nanos:
    return eastern_ns(day, time(hour, minute, second))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class OrderStore:
    """A scheduler over a manual clock, with everything listed unless a test removes it."""

    def __init__(self, sessions, start: Nanos, series=(KXINXU,), *, listed=True, clock=None) -> None:
        self.state = DaemonState()
        self.clock = clock or ManualClock(start)
        self.seen: list[tuple[str, Phase]] = []
        self.settings = WindowSettings()
        self.scheduler = WindowScheduler(
            self.state, self.clock, sessions, self.settings, series, on_phase=self._on_phase
        )
        if listed:
            for session in sessions.sessions:
                if session.day in ("2026-11-25", "2026-11-27"):
                    for window in build_windows(session, self.settings, series):
                        put_listed(self.state.venue, window)

    def _on_phase(self, status: WindowStatus) -> None:
        assert self.state.windows[status.window.event_ticker] == status, "told before it was written"
        self.seen.append((status.window.event_ticker, status.phase))

    def phase(self, ticker: str) -> Phase:
        return self.state.windows[ticker].phase

    async def move(self, to: Nanos) -> None:
        self.clock.set(to)
        await settle()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["OrderStore"]:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self.scheduler.run())
            await settle()
            yield self
            task.cancel()


async def test_a_window_walks_through_its_phases_at_its_edges(sessions):
    ticker = "KXINXU-26NOV25H1100"
    async with OrderStore(sessions, at(9)).running() as desk:
        assert desk.phase(ticker) is Phase.UPCOMING
        for moment, phase in (
            (at(9, 59, 59), Phase.UPCOMING),
            (at(10), Phase.OPEN),
            (at(10, 54, 59), Phase.OPEN),
            (at(10, 55), Phase.HOLD),
            (at(10, 57, 50), Phase.CUTOFF),
            (at(11), Phase.SETTLING),
        ):
            await desk.move(moment)
            assert desk.phase(ticker) is phase
        assert [phase for one, phase in desk.seen if one == ticker] == [
            Phase.UPCOMING,
            Phase.OPEN,
            Phase.HOLD,
            Phase.CUTOFF,
            Phase.SETTLING,
        ]
        desk.scheduler.settled(ticker)
        assert desk.phase(ticker) is Phase.SETTLED
        assert desk.seen[-1] == (ticker, Phase.SETTLED)


async def test_settled_before_the_fixing_or_of_another_day_changes_nothing(sessions):
    async with OrderStore(sessions, at(10, 30)).running() as desk:
        desk.scheduler.settled("KXINXU-26NOV24H1600")
        desk.scheduler.settled("KXINXU-26NOV25H1100")
        assert desk.phase("KXINXU-26NOV25H1100") is Phase.OPEN
        await desk.move(at(11))
        assert desk.phase("KXINXU-26NOV25H1100") is Phase.SETTLED


async def test_session_open_follows_the_calendar(sessions):
    async with OrderStore(sessions, at(9)).running() as desk:
        seen = []
        for moment in (at(9, 29, 59), at(9, 30), at(15, 59, 59), at(16)):
            await desk.move(moment)
            seen.append(desk.state.session_open)
        assert seen == [False, True, True, False]


async def test_after_the_close_windows_linger_then_the_next_session_takes_over(sessions):
    async with OrderStore(sessions, at(15, 59)).running() as desk:
        await desk.move(at(16))
        assert desk.phase("KXINXU-26NOV25H1600") is Phase.SETTLING
        await desk.move(Nanos(at(16) + LINGER))
        assert sorted(desk.state.windows) == [f"KXINXU-26NOV27H1{hour}00" for hour in (0, 1, 2, 3)], "half day"
        assert all(status.phase is Phase.UPCOMING for status in desk.state.windows.values())
        assert desk.state.session == sessions.session_of(at(10, day=date(2026, 11, 27)))
        assert desk.state.session is not None
        assert desk.state.session.half_day
        await desk.move(at(10, 0, day=date(2026, 11, 27)))
        assert desk.phase("KXINXU-26NOV27H1100") is Phase.OPEN


async def test_starting_inside_a_window_finds_it_open(sessions):
    async with OrderStore(sessions, at(13, 20)).running() as desk:
        assert desk.phase("KXINXU-26NOV25H1400") is Phase.OPEN
        assert desk.phase("KXINXU-26NOV25H1300") is Phase.SETTLING


async def test_defect_02_a_holiday_and_a_night_have_no_open_window(sessions):
    thanksgiving = date(2026, 11, 26)
    for moment in (at(12, day=thanksgiving), at(4, 28), at(18, 58), at(3, day=date(2026, 11, 29))):
        async with OrderStore(sessions, moment).running() as desk:
            assert not desk.state.session_open
            assert not [s for s in desk.state.windows.values() if s.phase in (Phase.OPEN, Phase.HOLD, Phase.CUTOFF)]


async def test_an_unlisted_event_waits_until_its_opening_edge_and_is_then_shut(sessions):
    desk = OrderStore(sessions, at(9), listed=False)
    desk.state.venue.listing_read_ns["KXINXU"] = at(9)
    with capture_logs() as logs:
        async with desk.running():
            ticker = "KXINXU-26NOV25H1100"
            assert desk.phase(ticker) is Phase.UPCOMING
            await desk.move(at(10))
            status = desk.state.windows[ticker]
            assert status.phase is Phase.SHUT
            assert status.reason == f"{ticker} expected at 2026-11-25 11:00:00 ET, not listed"
            await desk.move(at(10, 56))
            assert len([one for one in logs if one["event"] == "window.not_quoted" and one["window"] == ticker]) == 1
            await desk.move(at(11))
            assert desk.phase(ticker) is Phase.SHUT, "a window that never opened does not start settling"


async def test_a_listing_that_was_never_read_keeps_windows_shut(sessions):
    async with OrderStore(sessions, at(10, 5), listed=False).running() as desk:
        status = desk.state.windows["KXINXU-26NOV25H1100"]
        assert (status.phase, status.reason) == (Phase.SHUT, "listing of KXINXU not read yet")


async def test_a_late_listing_opens_the_window_as_soon_as_it_is_read(sessions):
    desk = OrderStore(sessions, at(10, 5), listed=False)
    async with desk.running():
        window = desk.state.windows["KXINXU-26NOV25H1100"].window
        put_listed(desk.state.venue, window)
        assert desk.phase(window.event_ticker) is Phase.SHUT, "nobody said that the listing changed"
        desk.scheduler.listing_changed()
        await settle()
        assert desk.state.windows[window.event_ticker] == WindowStatus(window, Phase.OPEN)


async def test_a_close_time_moved_by_the_exchange_shuts_an_open_window_at_once(sessions):
    desk = OrderStore(sessions, at(10, 5))
    async with desk.running():
        ticker = "KXINXU-26NOV25H1100"
        window = desk.state.windows[ticker].window
        put_listed(desk.state.venue, window, Nanos(window.target_ns - 10 * MINUTE))
        desk.scheduler.listing_changed()
        await settle()
        assert desk.phase(ticker) is Phase.SHUT
        assert "10:50:00 ET, expected 2026-11-25 11:00:00 ET" in desk.state.windows[ticker].reason
        assert desk.seen[-1] == (ticker, Phase.SHUT)


async def test_a_wrong_listing_shuts_even_before_the_opening_edge(sessions):
    desk = OrderStore(sessions, at(9))
    window = build_windows(sessions.session_on(DAY), desk.settings, [KXINXU])[3]
    put_listed(desk.state.venue, window, Nanos(window.target_ns + HOUR))
    async with desk.running():
        assert desk.phase(window.event_ticker) is Phase.SHUT


async def test_an_event_leaving_the_listing_after_its_fixing_is_no_disagreement(sessions):
    desk = OrderStore(sessions, at(10, 59))
    async with desk.running():
        del desk.state.venue.events["KXINXU-26NOV25H1100"]
        await desk.move(at(11))
        desk.scheduler.listing_changed()
        await settle()
        assert desk.phase("KXINXU-26NOV25H1100") is Phase.SETTLING


async def test_a_close_the_exchange_lists_at_1600_on_a_half_day_stays_shut(sessions):
    friday = date(2026, 11, 27)
    desk = OrderStore(sessions, at(12, 30, day=friday), (KXINX,), listed=False)
    (window,) = build_windows(sessions.session_on(friday), desk.settings, [KXINX])
    put_listed(desk.state.venue, window, at(16, day=friday), event_ticker="KXINX-26NOV27H1600")
    async with desk.running():
        assert "exchange lists KXINX until 2026-11-27 16:00:00 ET" in desk.state.windows[window.event_ticker].reason


async def test_beyond_the_calendar_nothing_opens_and_it_says_so():
    short = load_sessions(date(2026, 11, 24), DAY)
    with capture_logs() as logs:
        async with OrderStore(short, at(15, 59)).running() as desk:
            assert [one["event"] for one in logs].count("calendar.nearly_exhausted") == 1
            await desk.move(Nanos(at(16) + LINGER))
            assert desk.state.windows == {}
            await desk.move(at(12, day=date(2026, 11, 30)))
            assert desk.state.windows == {}
            assert not desk.state.session_open
    assert [one["event"] for one in logs].count("calendar.exhausted") == 1


async def test_the_scheduler_sleeps_until_the_next_edge_only(sessions):
    async with OrderStore(sessions, at(9, 35)).running() as desk:
        assert desk.scheduler.look() == at(9, 55)
        await desk.move(at(9, 58))
        assert desk.scheduler.look() == at(10)
        await desk.move(Nanos(at(16) + LINGER))
        assert desk.scheduler.look() == desk.clock.now_ns() + 24 * HOUR, "a look a day while nothing is near"
        await desk.move(at(8, day=date(2026, 11, 27)))
        assert desk.scheduler.look() == at(9, 30, day=date(2026, 11, 27))


async def test_a_whole_day_in_elastic_time_gives_every_phase_in_order(sessions):
    clock = ElasticClock(at(9, 25), speed=1e9)
    desk = OrderStore(sessions, at(9, 25), clock=clock)
    async with desk.running():
        now = at(9, 25)
        while now < at(16, 1):
            now = Nanos(now + 5 * SECOND)
            clock.steer(now, now)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await settle()
    for hour in range(10, 17):
        mine = [phase for ticker, phase in desk.seen if ticker == f"KXINXU-26NOV25H{hour}00"]
        assert mine == [Phase.UPCOMING, Phase.OPEN, Phase.HOLD, Phase.CUTOFF, Phase.SETTLING]


async def test_a_failing_listener_is_not_swallowed(sessions):
    def explode(status: WindowStatus) -> None:
        raise RuntimeError("boom")

    clock = ManualClock(at(9))
    scheduler = WindowScheduler(DaemonState(), clock, sessions, WindowSettings(), [KXINXU], on_phase=explode)
    with pytest.raises(ExceptionGroup) as caught:
        await scheduler.run()
    assert caught.group_contains(RuntimeError, match="boom")
