"""When the vendor's history is asked, how often, and what a failure leaves behind."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import structlog

from kalshi_daemon.domain.index import Bar, Index
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.errors import HistoryRefused, HistoryUnavailable
from kalshi_daemon.ground.units import MINUTE, SECOND, Nanos
from kalshi_daemon.index_feed.history import History
from kalshi_daemon.memory.documents import encoded, remember
from kalshi_daemon.memory.gap_fill import ROUND_PAUSE, ROUNDS, SETTLE, GapFiller
from kalshi_daemon.memory.gap_replay import EVENTS_MAX, GapReplay
from kalshi_daemon.settings.model import CalibrationSettings
from tests.calibration.support import at, distribution_at, feed, model, session, tick
from tests.memory.test_gap_replay import SECONDS, between, minutes

DAYS = tuple(session(day) for day in range(3))
BARS = minutes(SECONDS, 0, 390)


class Vendor:
    """Knows Monday's minutes as far as the clock has gone; each entry of `answers` replaces one answer."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.asked: list[tuple[Nanos, Nanos]] = []
        self.answers: list[Exception | History] = []
        self.lag = Nanos(0)
        self.on_asked = lambda: None

    async def minute_bars(self, index: Index, from_ns: Nanos, to_ns: Nanos) -> History:
        self.asked.append((from_ns, to_ns))
        await asyncio.sleep(0)
        self.on_asked()
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        seen = self.clock.now_ns() - self.lag
        found = tuple(one for one in BARS if from_ns <= one.start_ns <= to_ns and one.end_ns <= seen)
        return History(found, delayed=False, refused=0, pages=1)


class Rig:
    def __init__(self, now: Nanos, warm_up: int) -> None:
        self.clock = ManualClock(now)
        self.vendor = Vendor(self.clock)
        self.model = model(*DAYS, settings=CalibrationSettings())
        self.replay = GapReplay(self.model)
        self.filler = GapFiller({Index.SPX: self.replay}, self.vendor, DAYS, self.clock, warm_up_sessions=warm_up)

    async def turn(self) -> None:
        """Let the task do what it can without time passing."""
        for _ in range(30):
            await asyncio.sleep(0)

    async def pass_time(self, seconds: float) -> None:
        """Seconds pass, each with a price when it is in the session and the feed is up."""
        for _ in range(round(seconds)):
            self.clock.advance(SECOND)
            await self.turn()

    async def live(self, start: float, end: float) -> None:
        for one in between(start, end):
            self.clock.set(one.event_ns)
            self.replay.on_tick(one)
            await self.turn()


@contextlib.asynccontextmanager
async def rig(now: Nanos, warm_up: int = 0) -> AsyncIterator[Rig]:
    made = Rig(now, warm_up)
    with contextlib.suppress(asyncio.CancelledError):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(made.filler.run())
            yield made
            task.cancel()


@pytest.fixture
def lines():
    with structlog.testing.capture_logs() as found:
        yield found


def said(lines, event: str) -> list:
    return [line for line in lines if line["event"] == event]


async def test_a_reconnect_is_filled_and_the_model_is_as_if_nothing_had_been_missed(lines):
    async with rig(at(0)) as made:
        feed(made.model, between(0, 40.3))
        made.clock.set(at(52.25))
        made.filler.on_session()
        await made.live(52.25, 54)
        assert made.vendor.asked == [(at(40), at(51))]
        assert made.filler.filled == 12
        assert not made.replay.armed()
        reference = feed(model(*DAYS, settings=CalibrationSettings()), between(0, 40.3))
        for one in BARS[40:52]:
            reference.on_bar(one)
        feed(reference, between(52.25, 54))
        assert encoded(remember(made.model)) == encoded(remember(reference))
    (line,) = said(lines, "calibration.gap_filled")
    assert (line["minutes"], line["missing"], line["used"]) == (12, 0, 12)


async def test_who_keeps_bars_is_told_of_those_that_history_gave():
    async with rig(at(0)) as made:
        kept: list[Bar] = []
        made.filler.on_bar = kept.append
        feed(made.model, between(0, 40.3))
        made.clock.set(at(52.25))
        made.filler.on_session()
        await made.live(52.25, 54)
    assert kept == BARS[40:52]


@pytest.mark.parametrize(("broke", "back"), [(40.3, 40.9), (40.98, 41.02), (390, 400)])
async def test_nothing_is_asked_when_no_whole_minute_was_missed(broke, back):
    async with rig(at(0)) as made:
        feed(made.model, between(0, broke) if broke < 390 else SECONDS)
        made.clock.set(at(back))
        made.filler.on_session()
        await made.live(back, back + 0.5)
        await made.pass_time(20)
        assert made.vendor.asked == []
        assert not made.replay.armed()


async def test_it_waits_for_a_bar_that_is_late():
    async with rig(at(0)) as made:
        feed(made.model, between(0, 40.3))
        made.vendor.lag = Nanos(20 * SECOND)
        made.clock.set(at(52.05))
        made.filler.on_session()
        await made.live(52.05, 53)
        assert len(made.vendor.asked) >= 2
        assert made.filler.filled == 12


async def test_a_bar_that_never_comes_is_waited_for_a_bounded_time(lines):
    async with rig(at(0)) as made:
        feed(made.model, between(0, 40.3))
        made.vendor.lag = Nanos(5 * MINUTE)
        made.clock.set(at(52.25))
        made.filler.on_session()
        await made.live(52.25, 54)
        assert len(made.vendor.asked) == ROUNDS
        assert made.filler.filled == 7
    assert said(lines, "calibration.gap_filled")[0]["missing"] == 5


async def test_a_delayed_plan_is_not_waited_for():
    async with rig(at(0)) as made:
        feed(made.model, between(0, 40.3))
        made.vendor.answers = [History(tuple(BARS[40:45]), delayed=True, refused=0, pages=1)]
        made.clock.set(at(52.25))
        made.filler.on_session()
        await made.live(52.25, 54)
        assert len(made.vendor.asked) == 1
        assert made.filler.filled == 5


async def test_failure_leaves_the_gap_unobserved_with_one_warning(lines):
    async with rig(at(0)) as made:
        feed(made.model, between(0, 40.3))
        made.vendor.answers = [HistoryUnavailable("of SPX", "503")] * ROUNDS
        made.clock.set(at(52.25))
        made.filler.on_session()
        await made.live(52.25, 55)
        assert len(made.vendor.asked) == ROUNDS
        plain = feed(model(*DAYS, settings=CalibrationSettings()), [*between(0, 40.3), *between(52.25, 55)])
        assert encoded(remember(made.model)) == encoded(remember(plain))
        assert not made.replay.armed()
    (warning,) = said(lines, "calibration.gap_not_filled")
    assert "503" in warning["SPX"]
    assert warning["asks_again"] is True


async def test_a_hiccup_is_asked_again():
    async with rig(at(0)) as made:
        feed(made.model, between(0, 40.3))
        made.vendor.answers = [HistoryUnavailable("of SPX", "503")]
        made.clock.set(at(52.25))
        made.filler.on_session()
        await made.live(52.25, 53)
        assert made.filler.filled == 12


async def test_a_refused_key_is_never_asked_with_again(lines):
    async with rig(at(0)) as made:
        feed(made.model, between(0, 40.3))
        made.vendor.answers = [HistoryRefused("of SPX", "You are not entitled to this data.")]
        made.clock.set(at(52.25))
        made.filler.on_session()
        await made.live(52.25, 53)
        made.clock.set(at(60))
        made.filler.on_session()
        await made.live(60, 61)
        assert len(made.vendor.asked) == 1
        assert not made.replay.armed()
    (warning,) = said(lines, "calibration.gap_not_filled")
    assert warning["asks_again"] is False


async def test_a_drop_while_history_is_asked_is_filled_with_it():
    async with rig(at(0)) as made:
        feed(made.model, between(0, 40.3))
        made.clock.set(at(52.25))
        made.vendor.answers = [HistoryUnavailable("of SPX", "503")]
        made.filler.on_session()
        await made.live(52.25, 52.3)
        made.clock.set(at(56.5))
        made.filler.on_session()
        await made.live(56.5, 58)
        assert not made.replay.armed()
        seen = made.model.health(at(58)).minutes_seen
        assert seen == pytest.approx(57, abs=0.1), "both gaps; the first minute of the day never counts"


async def test_prices_that_come_too_long_give_the_gap_up(lines):
    async with rig(at(0)) as made:
        feed(made.model, between(0, 40.3))
        made.clock.set(at(52.25))

        def flood() -> None:
            for one in between(52.25, 52.25 + (EVENTS_MAX + 100) / 60):
                made.replay.on_tick(one)

        made.vendor.on_asked = flood
        made.filler.on_session()
        await made.pass_time(30)
        assert len(made.vendor.asked) == 1
    assert "too many prices" in said(lines, "calibration.gap_not_filled")[0]["SPX"]


async def test_a_cold_start_before_the_open_asks_for_the_sessions_before():
    async with rig(at(-5, 2), warm_up=2) as made:
        made.filler.on_session()
        await made.pass_time(4 * (SETTLE + ROUND_PAUSE) / SECOND)
        assert made.vendor.asked[0] == (at(0, 0), at(389, 1))
        assert made.filler.filled == 390, "Monday is all the vendor knows"
        assert made.model.last_seen_ns == at(390)


async def test_a_cold_start_in_the_session_is_ready_at_once():
    async with rig(at(50.2), warm_up=0) as made:
        made.filler.on_session()
        await made.live(50.2, 51)
        assert made.vendor.asked == [(at(0), at(49))]
        assert made.model.health(at(51)).ready
        assert made.model.health(at(51)).minutes_seen == pytest.approx(50, abs=0.1)


async def test_a_vendor_that_has_nothing_is_no_alarm_for_a_cold_start(lines):
    async with rig(at(-5), warm_up=5) as made:
        made.filler.on_session()
        await made.pass_time(4 * (SETTLE + ROUND_PAUSE) / SECOND)
        assert made.vendor.asked == [], "no session before this one is known"
    assert not said(lines, "calibration.gap_not_filled")


async def hidden(made: Rig, first: float, last: float, until: float) -> None:
    """Prices up to `first`, then again from `last`: those between came and were not believed."""
    feed(made.model, between(0, first))
    for one in between(last, until):
        made.clock.set(one.event_ns)
        made.filler.on_tick(one)
        made.replay.on_tick(one)
        await made.turn()


async def test_values_that_were_withheld_are_asked_for_with_the_minute_in_which_they_are_believed_again(lines):
    async with rig(at(0)) as made:
        await hidden(made, 40.3, 43.5, 45.5)
        assert made.vendor.asked == [(at(40), at(43))]
        assert not made.replay.armed()
        steady = feed(model(*DAYS, settings=CalibrationSettings()), between(0, 45.5))
        left = feed(model(*DAYS, settings=CalibrationSettings()), [*between(0, 40.3), *between(43.5, 45.5)])
        healed, true, unhealed = (distribution_at(one, 45.5, at(90)).sigma for one in (made.model, steady, left))
        assert healed == pytest.approx(true, rel=1e-3)
        assert abs(healed - true) < 0.1 * abs(unhealed - true)
    assert said(lines, "calibration.gap_filled")[0]["minutes"] == 4


@pytest.mark.parametrize(("first", "last"), [(40.3, 40.5), (0.0, 0.2)], ids=["a slow feed", "the day's first value"])
async def test_a_short_pause_hides_nothing_worth_a_request(first, last):
    async with rig(at(0)) as made:
        made.model.on_tick(tick(380, 6_800.0, day=-3))
        await hidden(made, first, last, first + 3)
        assert made.vendor.asked == []
        assert not made.replay.armed()


async def test_a_part_of_one_minute_that_was_withheld_is_made_up_for():
    async with rig(at(0)) as made:
        await hidden(made, 40.1, 40.9, 42.5)
        assert made.vendor.asked == [(at(40), at(40))]
        assert made.filler.filled == 1


async def test_history_that_is_down_leaves_what_was_withheld_unobserved_with_one_warning(lines):
    async with rig(at(0)) as made:
        made.vendor.answers = [HistoryUnavailable("of SPX", "503")] * ROUNDS
        await hidden(made, 40.3, 43.5, 46.5)
        assert len(made.vendor.asked) == ROUNDS
        assert not made.replay.armed()
    assert len(said(lines, "calibration.gap_not_filled")) == 1


async def test_minutes_that_history_has_as_wrong_as_the_feed_are_not_learnt(lines):
    """What the feed took back does not come in again by the other door."""
    async with rig(at(0)) as made:
        bent = [replace(one, **{k: getattr(one, k) * 1.04 for k in ("open", "high", "low", "close")}) for one in BARS]
        made.vendor.answers = [History((*bent[41:46], *BARS[46:47]), delayed=False, refused=0, pages=1)]
        await hidden(made, 40.9, 46.5, 48.5)
        assert made.filler.filled == 1, "the minute in which they are believed again"
    assert said(lines, "calibration.bars_refused")[0]["refused"] == 5
