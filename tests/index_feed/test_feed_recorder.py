import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from kalshi_daemon.domain.index import Bar, Channel, Index, Tick
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.index_feed import recorder as recorder_module
from kalshi_daemon.index_feed.recorder import Recorder, folder_of
from tests.index_feed.feed_rig import running, sleepers, until
from tests.index_feed.recordings import read_files, read_folder

REPO = Path(__file__).resolve().parents[2]
NOW = Nanos(int(datetime(2026, 11, 23, 15, 0, 5, tzinfo=UTC).timestamp()) * SECOND)  # 10:00:05 in New York
FOLDER = Path("data/raw/2026/11/23/polygon_index")


def tick(number, index=Index.SPX):
    return Tick(index, Channel.VALUE, 6_850.25 + number, Nanos(NOW + number), Nanos(NOW + number + 7))


def bar(number, index=Index.SPX):
    start = Nanos(NOW + number)
    return Bar(index, Channel.MINUTE, 1.5, 3.5, 0.5, 2.5, start, Nanos(start + 60), Nanos(start + 61))


@pytest.fixture
def recorder(tmp_path):
    return Recorder(tmp_path, ManualClock(NOW), flush_every_s=60)


async def test_bars_of_the_history_are_kept_apart_from_those_the_feed_delivered(recorder, tmp_path):
    recorder.on_bar(bar(2))
    recorder.on_missed_bar(bar(1))
    recorder.on_missed_bar(bar(0, Index.NDX))
    await recorder.flush()
    found = read_folder(tmp_path / FOLDER)
    assert found.bars == [bar(2)]
    assert set(found.missed) == {bar(1), bar(0, Index.NDX)}


async def test_whoever_learns_from_a_recording_skips_what_was_not_believed(recorder, tmp_path):
    recorder.on_withheld(tick(1))
    recorder.on_withheld(bar(2))
    for number in (3, 4, 5):
        recorder.on_tick(tick(number))
    recorder.on_tick(tick(4, Index.NDX))
    recorder.on_retracted(Index.SPX, tick(3).event_ns, tick(4).event_ns)
    recorder.on_tick(tick(6))
    recorder.on_bar(bar(7))
    await recorder.flush()
    found = read_folder(tmp_path / FOLDER)
    assert set(found.ticks) == {tick(5), tick(6), tick(4, Index.NDX)}
    assert found.bars == [bar(7)]
    assert found.withheld == [tick(1), bar(2)]


async def test_what_was_recorded_reads_back_exactly_one_file_per_index(recorder, tmp_path):
    recorder.on_tick(tick(1))
    recorder.on_bar(bar(2))
    recorder.on_tick(tick(3, Index.NDX))
    written = await recorder.flush()
    assert [path.relative_to(tmp_path) for path in written] == [
        FOLDER / "20261123T100005_SPX.parquet",
        FOLDER / "20261123T100005_NDX.parquet",
    ]
    spx = read_files(written[:1])
    assert (spx.ticks, spx.bars) == ([tick(1)], [bar(2)])
    both = read_folder(tmp_path / FOLDER)
    assert set(both.ticks) == {tick(1), tick(3, Index.NDX)}
    assert await recorder.flush() == ()


def test_the_folder_is_that_of_the_new_york_date(tmp_path):
    evening = Nanos(int(datetime(2026, 11, 24, 3, 0, tzinfo=UTC).timestamp()) * SECOND)
    assert folder_of(tmp_path, evening) == tmp_path / "2026/11/23/polygon_index"


async def test_a_name_that_is_taken_is_not_overwritten(recorder):
    paths = []
    for number in range(3):
        recorder.on_tick(tick(number))
        paths += await recorder.flush()
    assert [path.name for path in paths] == [
        "20261123T100005_SPX.parquet",
        "20261123T100005_SPX_1.parquet",
        "20261123T100005_SPX_2.parquet",
    ]
    assert read_folder(paths[0].parent).ticks == [tick(0), tick(1), tick(2)]


async def test_it_flushes_on_the_clock_and_once_more_when_stopped(recorder, tmp_path):
    clock = recorder._clock
    async with running(recorder.run()):
        recorder.on_tick(tick(1))
        await sleepers(clock)
        clock.advance(Nanos(60 * SECOND))
        await until(lambda: len(list((tmp_path / FOLDER).glob("*.parquet"))) == 1)
        recorder.on_tick(tick(2))
    assert read_folder(tmp_path / FOLDER).ticks == [tick(1), tick(2)]


async def test_the_loop_is_not_blocked_by_a_write(recorder, monkeypatch):
    threads = []
    real = recorder_module._write_whole

    def noted(*args):
        threads.append(threading.get_ident())
        return real(*args)

    monkeypatch.setattr(recorder_module, "_write_whole", noted)
    recorder.on_tick(tick(1))
    await recorder.flush()
    assert threads
    assert threading.get_ident() not in threads


async def test_a_stop_in_the_middle_of_a_write_loses_nothing(recorder, tmp_path, monkeypatch):
    entered, leave = threading.Event(), threading.Event()
    real = recorder_module._write_whole

    def slow(*args):
        entered.set()
        assert leave.wait(10)
        return real(*args)

    monkeypatch.setattr(recorder_module, "_write_whole", slow)
    recorder.on_tick(tick(1))
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(recorder.run())
        await sleepers(recorder._clock)
        recorder._clock.advance(Nanos(60 * SECOND))
        await until(entered.is_set)
        recorder.on_tick(tick(2))
        task.cancel()
        await asyncio.sleep(0)
        leave.set()
    assert task.cancelled()
    assert read_folder(tmp_path / FOLDER).ticks == [tick(1), tick(2)]


async def test_a_failed_write_keeps_its_rows_for_the_next_one(recorder, tmp_path):
    blocked = tmp_path / "data"
    blocked.write_text("a file where a folder should be")
    recorder.on_tick(tick(1))
    with capture_logs() as logs:
        assert await recorder.flush() == ()
    assert [each["event"] for each in logs] == ["recorder.flush_failed"]
    blocked.unlink()
    recorder.on_tick(tick(2))
    await recorder.flush()
    assert read_folder(tmp_path / FOLDER).ticks == [tick(1), tick(2)]


async def test_when_one_index_fails_the_other_is_not_written_twice(recorder, tmp_path, monkeypatch):
    real = recorder_module._write_whole

    def full_for_ndx(folder, stem, table):
        if stem.endswith("NDX"):
            raise OSError("disk full")
        return real(folder, stem, table)

    monkeypatch.setattr(recorder_module, "_write_whole", full_for_ndx)
    recorder.on_tick(tick(1))
    recorder.on_tick(tick(2, Index.NDX))
    await recorder.flush()
    monkeypatch.setattr(recorder_module, "_write_whole", real)
    await recorder.flush()
    assert set(read_folder(tmp_path / FOLDER).ticks) == {tick(1), tick(2, Index.NDX)}
    assert len(list((tmp_path / FOLDER).glob("*.parquet"))) == 2


async def test_a_full_buffer_keeps_the_oldest_and_counts_what_it_drops(tmp_path):
    small = Recorder(tmp_path, ManualClock(NOW), flush_every_s=60, rows_max=3)
    for number in range(3):
        small.on_tick(tick(number))
    small.on_bar(bar(3))
    small.on_tick(tick(4, Index.NDX))
    with capture_logs() as logs:
        await small.flush()
    assert small.dropped == 1
    assert [each["dropped"] for each in logs if each["event"] == "recorder.rows_dropped"] == [1]
    assert read_folder(tmp_path / FOLDER).bars == []
    assert len(read_folder(tmp_path / FOLDER).ticks) == 4


async def test_rows_given_back_by_a_failed_write_push_out_the_newest(tmp_path, monkeypatch):
    small = Recorder(tmp_path, ManualClock(NOW), flush_every_s=60, rows_max=3)
    for number in range(3):
        small.on_tick(tick(number))
    real = recorder_module.write_files

    def fail(*args):
        small.on_tick(tick(3))  # arrives while the write is under way
        raise OSError("disk full")

    monkeypatch.setattr(recorder_module, "write_files", fail)
    await small.flush()
    monkeypatch.setattr(recorder_module, "write_files", real)
    await small.flush()
    assert read_folder(tmp_path / FOLDER).ticks == [tick(0), tick(1), tick(2)]
    assert small.dropped == 1


async def test_a_write_that_fails_half_way_leaves_no_file_behind(recorder, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: 1 // 0)
    recorder.on_tick(tick(1))
    with pytest.raises(ZeroDivisionError):
        await recorder.flush()
    assert list((tmp_path / FOLDER).iterdir()) == []


async def test_a_second_without_free_names_fails_the_flush(recorder, monkeypatch):
    monkeypatch.setattr(recorder_module, "NAMES_MAX", 1)
    for _ in range(2):
        recorder.on_tick(tick(1))
        with capture_logs() as logs:
            await recorder.flush()
    assert [each["event"] for each in logs] == ["recorder.flush_failed"]


WRITER = """
import asyncio, sys
from pathlib import Path
from kalshi_daemon.domain.instruments import SHIPPED_INSTRUMENTS
from kalshi_daemon.ground.clock import SystemClock
from kalshi_daemon.domain.index import Channel, Index, Tick
from kalshi_daemon.index_feed.recorder import Recorder

async def main():
    recorder = Recorder(Path(sys.argv[1]), SystemClock(), flush_every_s=60)
    number = 0
    while True:
        for index in SHIPPED_INSTRUMENTS.indices:
            for _ in range(2000):
                number += 1
                recorder.on_tick(Tick(index, Channel.VALUE, float(number), number, number))
        await recorder.flush()
        print(number, flush=True)

asyncio.run(main())
"""


def test_whatever_the_moment_of_a_kill_every_file_that_exists_can_be_read(tmp_path):
    rng = random.Random(5)
    for attempt in range(2):
        folder = tmp_path / str(attempt)
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(REPO)},
        )
        assert process.stdout is not None
        try:
            for _ in range(rng.randrange(2, 6)):
                assert process.stdout.readline(), "the writer died by itself"
            threading.Event().wait(rng.random() * 0.01)  # some moment inside the next write
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()
        files = sorted(folder.rglob("*.parquet"))
        assert len(files) >= 4
        assert len(read_files(files).ticks) == 2000 * len(files)


async def test_defect_18_one_file_per_flush_not_four_per_second(recorder, tmp_path):
    """The predecessor wrote four JSON files a second, one per series alias, under a hard-coded date."""
    for number in range(600):
        recorder.on_tick(tick(number))
        recorder.on_tick(tick(number, Index.NDX))
    await recorder.flush()
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 2
