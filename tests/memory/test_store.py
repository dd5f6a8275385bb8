"""The files of what was learnt: written whole, read back, and set aside when they cannot be used."""

import asyncio

import pytest
import structlog

from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import DAY, HOUR, MINUTE, SECOND, Nanos
from kalshi_daemon.memory.documents import decoded, encoded, remember
from kalshi_daemon.memory.store import AFTER_CLOSE, ASIDE_MAX, CalibrationStore, Keeping
from kalshi_daemon.settings.model import CalibrationSettings
from kalshi_daemon.windows.sessions import SessionTable
from tests.calibration.support import at, calendar, feed, session, walk
from tests.calibration.support import model as spx_model
from tests.support.written import as_written

SAVE_EVERY = Nanos(10 * MINUTE)
WEEK = tuple(session(day) for day in range(5))
TABLE = SessionTable(WEEK, start_ns=at(-570), end_ns=at(2_000, 4))


class Rig:
    """A store of one index and the clock it lives by."""

    def __init__(self, folder, now: Nanos, *, most: int = 2) -> None:
        self.clock = ManualClock(now)
        self.model = spx_model(*WEEK, settings=CalibrationSettings())
        self.store = CalibrationStore(folder, self.clock, {Index.SPX: self.model}, TABLE, Keeping(most, 30, SAVE_EVERY))

    @property
    def found(self):
        return self.store.recollections[Index.SPX]


@pytest.fixture
def lines():
    with structlog.testing.capture_logs() as found:
        yield found


def kept(folder, minutes: float = 120) -> Rig:
    """A life that watched Monday for so long, and saved."""
    rig = Rig(folder, at(minutes))
    feed(rig.model, walk(minutes, step_s=20))
    rig.store.save()
    return rig


def warnings(lines) -> list:
    return [line for line in lines if line["event"] == "calibration.started_cold"]


def test_a_first_start_is_cold_without_a_warning(tmp_path, lines):
    rig = Rig(tmp_path, at(0))
    rig.store.recall()
    assert rig.found.said == "cold: nothing was kept yet"
    assert rig.model.health(at(0)).memory == "cold: nothing was kept yet"
    assert not warnings(lines)
    assert as_written(rig.store.monitor())["metrics"]["SPX"]["restored_from"] is None


def test_a_restart_takes_over_bit_for_bit(tmp_path, lines):
    first = kept(tmp_path)
    again = Rig(tmp_path, at(121))
    again.store.recall()
    assert remember(again.model) == remember(first.model)
    assert again.found.restored_ns == at(120)
    said = "restored: last price 2025-11-24T16:30:00.000000Z, written 2025-11-24T16:30:00.000000Z"
    assert again.model.health(at(121)).memory == said
    monitor = as_written(again.store.monitor())
    assert monitor["status"] == "OK"
    assert monitor["metrics"]["SPX"] == {
        "restored_from": "2025-11-24T16:30:00.000000Z",
        "last_price": "2025-11-24T16:30:00.000000Z",
        "cold": None,
        "slow_parts_from": None,
        "sessions_missed": 0,
    }
    assert not warnings(lines)


def test_a_memory_written_long_after_its_last_price_says_when_that_was(tmp_path, lines):
    first = Rig(tmp_path, at(200))
    feed(first.model, walk(120, step_s=20))
    first.store.save()
    again = Rig(tmp_path, at(201))
    again.store.recall()
    (line,) = [line for line in lines if line["event"] == "calibration.memory_loaded"]
    assert line["memory"] == "restored: last price 2025-11-24T16:30:00.000000Z, written 2025-11-24T17:50:00.000000Z"
    found = as_written(again.store.monitor())["metrics"]["SPX"]
    assert (found["last_price"], found["restored_from"]) == (
        "2025-11-24T16:30:00.000000Z",
        "2025-11-24T17:50:00.000000Z",
    )


def test_the_record_against_the_market_is_kept_with_it(tmp_path):
    first = Rig(tmp_path, at(60))
    feed(first.model, walk(60, step_s=20))
    first.store.records[Index.SPX].gains["late"].weight = 12.5
    first.store.save()
    again = Rig(tmp_path, at(61))
    again.store.recall()
    assert again.store.records[Index.SPX].gains["late"].weight == 12.5


@pytest.mark.parametrize(
    ("now", "missed"),
    [(at(130), 0), (at(391), 1), (at(10, 1), 1), (at(10, 2), 2), (at(389, 2), 2)],
)
def test_age_is_counted_in_closes_that_passed_unseen(tmp_path, now, missed):
    kept(tmp_path)
    again = Rig(tmp_path, now)
    again.store.recall()
    assert again.found.restored_ns is not None
    assert again.found.sessions_missed == missed


@pytest.mark.parametrize("minutes", [390, 389.4])
def test_a_whole_day_seen_to_its_end_is_not_missed_over_night(tmp_path, minutes):
    kept(tmp_path, minutes)
    again = Rig(tmp_path, at(-5, 1))
    again.store.recall()
    assert again.found.sessions_missed == 0


@pytest.mark.parametrize("now", [at(391, 4), Nanos(at(390, 1) + 29 * DAY)], ids=["days", "weeks"])
def test_what_ages_in_months_outlives_a_memory_that_is_too_old_to_go_on_from(tmp_path, lines, now):
    first = Rig(tmp_path, at(395, 1))
    feed(first.model, walk(390, step_s=20))
    feed(first.model, walk(390, step_s=20, day=1, seed=2))
    first.store.save()
    assert first.model.hour_layer.scale_weight.sum() > 0.0
    again = Rig(tmp_path, now)
    fresh = remember(again.model)
    again.store.recall()
    learnt, found = remember(first.model), remember(again.model)
    slow = {"base", "hour_layer", "close_layer"}
    assert {name for name in found if found[name] != fresh[name]} == slow
    assert all(found[name] == learnt[name] for name in slow)
    (warning,) = warnings(lines)
    assert "too old" in warning["why"]
    assert warning["kept"] == "session curve, online corrections"
    assert again.found.restored_ns is None
    assert "corrections written 2025-11-25" in again.found.said
    assert again.found.last_price_ns == at(390, 1)
    assert first.store.path(Index.SPX).exists(), "the next save takes its place"


def test_a_memory_too_old_and_not_sound_is_put_aside(tmp_path, lines):
    first = kept(tmp_path)
    path = first.store.path(Index.SPX)
    document = decoded(path.read_bytes())
    document["model"]["base"][0] = -1.0
    path.write_bytes(encoded(document))
    again = Rig(tmp_path, at(1, 4))
    cold = remember(again.model)
    again.store.recall()
    assert remember(again.model) == cold
    assert not path.exists()
    (warning,) = warnings(lines)
    assert "positive" in warning["why"]


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (Nanos(at(120) + 31 * DAY), "more than 30 days have passed"),
        (Nanos(at(120) - 2 * HOUR), "to come"),
    ],
)
def test_a_memory_of_another_time_means_a_cold_start_with_one_warning(tmp_path, lines, now, why):
    first = kept(tmp_path)
    again = Rig(tmp_path, now)
    cold = remember(again.model)
    again.store.recall()
    assert remember(again.model) == cold
    (warning,) = warnings(lines)
    assert why in warning["why"]
    assert why in again.found.said
    assert not first.store.path(Index.SPX).exists()
    assert len(list((tmp_path / "calibration").glob("SPX.json.refused-*"))) == 1


def test_a_price_older_than_the_calendar_is_too_old(tmp_path):
    kept(tmp_path)
    rig = Rig(tmp_path, at(10, 4), most=10)
    rig.store._sessions = SessionTable(WEEK[3:], start_ns=at(-500, 3), end_ns=at(2_000, 4))
    rig.store.recall()
    assert "too old: its last price is of 2025-11-24" in rig.found.said


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "header"),
        (b"\x00" * 4_000, "header"),
        (b"{}\n{}\n", "not a file of ours"),
        (b"x" * 4_000_001, "too many"),
    ],
)
def test_damage_means_a_cold_start_with_one_warning(tmp_path, lines, content, why):
    rig = kept(tmp_path)
    rig.store.path(Index.SPX).write_bytes(content)
    again = Rig(tmp_path, at(121))
    again.store.recall()
    (warning,) = warnings(lines)
    assert why in warning["why"]
    assert again.model.last_seen_ns is None


def test_the_memory_of_the_other_index_is_refused(tmp_path, lines):
    rig = kept(tmp_path)
    path = rig.store.path(Index.SPX)
    path.rename(path.with_name("NDX.json"))
    other = spx_model(*WEEK, settings=CalibrationSettings())
    other.index = Index.NDX
    store = CalibrationStore(tmp_path, rig.clock, {Index.NDX: other}, TABLE, Keeping(2, 30, Nanos(MINUTE)))
    store.recall()
    assert "it is about SPX, not NDX" in warnings(lines)[0]["why"]


def test_what_cannot_be_read_at_all_is_cold(tmp_path, lines):
    rig = Rig(tmp_path, at(5))
    rig.store.path(Index.SPX).mkdir(parents=True)
    rig.store.recall()
    assert "cannot be read" in rig.found.said
    assert len(warnings(lines)) == 1


def test_files_put_aside_are_bounded(tmp_path):
    for number in range(ASIDE_MAX + 3):
        rig = kept(tmp_path)
        rig.store.path(Index.SPX).write_bytes(b"damaged %d" % number)
        Rig(tmp_path, Nanos(at(121) + number * SECOND)).store.recall()
    aside = sorted((tmp_path / "calibration").glob("SPX.json.refused-*"))
    assert len(aside) == ASIDE_MAX
    assert aside[-1].read_bytes() == b"damaged %d" % (ASIDE_MAX + 2), "the newest are kept"


def test_a_model_that_saw_nothing_overwrites_nothing(tmp_path):
    rig = kept(tmp_path)
    before = rig.store.path(Index.SPX).read_bytes()
    Rig(tmp_path, at(121)).store.save()
    assert rig.store.path(Index.SPX).read_bytes() == before


async def until(condition) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - a thread writes; nothing else signals it
            await asyncio.sleep(0.001)


async def test_it_is_saved_on_the_timer_and_right_after_the_close(tmp_path):
    rig = Rig(tmp_path, at(378))
    feed(rig.model, walk(378, step_s=20))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(rig.store.run())
        for number, due in enumerate((at(388), Nanos(at(390) + AFTER_CLOSE), Nanos(at(400) + AFTER_CLOSE)), 1):
            await until(lambda due=due: rig.clock._sleepers.next_due() == due)
            assert rig.store.saves == number - 1
            rig.clock.set(due)
            await until(lambda number=number: rig.store.saves == number)
        task.cancel()
    assert rig.store.path(Index.SPX).exists()


def test_a_disk_that_refuses_is_said_once_and_tried_again(tmp_path, lines):
    rig = Rig(tmp_path, at(60))
    feed(rig.model, walk(60, step_s=20))
    (tmp_path / "calibration").write_text("in the way")
    rig.store.save()
    rig.store.save()
    assert [line["event"] for line in lines].count("calibration.memory_not_saved") == 1
    assert rig.store.saves == 0
    (tmp_path / "calibration").unlink()
    rig.store.save()
    assert rig.store.saves == 1


def test_the_calendar_of_these_tests_is_the_models():
    assert calendar(*WEEK)(at(10, 3)) == TABLE.session_of(at(10, 3))
    assert WEEK[1].open_ns - WEEK[0].open_ns == DAY
