import asyncio
import os
from datetime import date, time

import pytest

from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.new_york import eastern_ns
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.settings.model import MacroFeed, MacroSettings
from kalshi_daemon.state import DaemonState
from kalshi_daemon.windows.macro import LOOK_EVERY, MacroWatch, load_macro_calendar, modified_times
from kalshi_daemon.windows.releases import release

START = Nanos(1_795_000_000 * SECOND)


async def until(condition) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - a file looked at by a thread sets no event
            await asyncio.sleep(0.001)


async def watching(settings: MacroSettings, check) -> None:
    state, clock = DaemonState(), ManualClock(START)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(MacroWatch(state, clock, settings).run())
        await until(lambda: state.macro.checked_ns is not None)
        await check(state, clock)
        task.cancel()


async def test_ages_of_feed_files_are_seen_and_missing_is_none(tmp_path):
    fresh, gone = tmp_path / "cpi.csv", tmp_path / "gas.csv"
    fresh.write_text("1")
    os.utime(fresh, ns=(START, START - 5 * SECOND))
    feeds = {"cpi": MacroFeed(path=fresh, age_hours_max=1), "gas": MacroFeed(path=gone, age_hours_max=1)}

    async def check(state, clock):
        assert state.macro.feed_read_ns == {"cpi": START - 5 * SECOND, "gas": None}
        assert state.macro.checked_ns == START
        gone.write_text("2")
        os.utime(gone, ns=(START, START))
        clock.advance(LOOK_EVERY)
        await until(lambda: state.macro.feed_read_ns["gas"] is not None)
        assert state.macro.feed_read_ns["gas"] == START
        fresh.unlink()
        clock.advance(LOOK_EVERY)
        await until(lambda: state.macro.feed_read_ns["cpi"] is None)

    await watching(MacroSettings(feeds=feeds), check)


async def test_without_feeds_the_check_is_stamped_all_the_same():
    async def check(state, clock):
        assert state.macro.feed_read_ns == {}
        assert state.macro.checked_ns == START

    await watching(MacroSettings(), check)


def test_a_directory_and_a_path_through_a_file_are_missing(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    assert modified_times({"dir": tmp_path, "odd": file / "below"}) == {"dir": None, "odd": None}


def test_an_unreadable_folder_is_missing(tmp_path, monkeypatch):
    path = tmp_path / "feed"
    path.write_text("")

    def refuse(self, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "is_file", refuse)
    assert modified_times({"feed": path}) == {"feed": None}


def write(tmp_path, text: str) -> MacroSettings:
    path = tmp_path / "releases.csv"
    path.write_text(text)
    return MacroSettings(calendar=path)


def test_the_operators_releases_join_the_shipped_ones(tmp_path):
    settings = write(
        tmp_path, "date,time_et,event,note\n2027-01-13,08:30,CPI,x\n2027-12-31,,END_OF_CPI,\n2026-11-23,11:00,SPEECH,\n"
    )
    calendar = load_macro_calendar(settings)
    assert calendar.events_for("2026-11-23") == (release("SPEECH", date(2026, 11, 23), time(11)),)
    assert calendar.complete_until["CPI"] == date(2027, 12, 31)
    speech = eastern_ns(date(2026, 11, 23), time(11))
    assert calendar.release_near(speech, Nanos(0), Nanos(0)) is not None
    assert load_macro_calendar(MacroSettings()).events_for("2026-11-23") == ()


@pytest.mark.parametrize(
    ("text", "where", "problem"),
    [
        ("", ":1", "columns missing: date, time_et, event"),
        ("date,event\n", ":1", "columns missing: time_et"),
        ("date,time_et,event\n2027-13-01,08:30,CPI\n", ":2", "not a release"),
        ("date,time_et,event\n2027-01-13,half nine,CPI\n", ":2", "not a release"),
        ("date,time_et,event\n2027-01-13,08:30,\n", ":2", "not a release"),
        ("date,time_et,event\n2027-01-13,08:30Z,CPI\n", ":2", "not a release"),
        ("date,time_et,event\n2027-01-13\n", ":2", "not a release"),
        ("date,time_et,event\n,,END_OF_CPI\n", ":2", "not a release"),
        ("date,time_et,event\n" + "2027-01-13,08:30,CPI\n" * 10_000, ":10001", "more than 10000 lines"),
    ],
)
def test_a_malformed_release_file_is_one_line_naming_file_and_line(tmp_path, text, where, problem):
    settings = write(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        load_macro_calendar(settings)
    assert str(caught.value).startswith(f"{settings.calendar}{where}: {problem}")
    assert "\n" not in str(caught.value)


def test_a_named_but_missing_release_file_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match=r"macro.calendar: .*none\.csv cannot be read: No such file"):
        load_macro_calendar(MacroSettings(calendar=tmp_path / "none.csv"))
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="not UTF-8 text"):
        load_macro_calendar(MacroSettings(calendar=binary))
