"""Nobody waits for a log: a full disk, a file that is gone and a reader that does not read hold up their own thread."""

import errno
import io
import json
import os
import sys
import threading
from time import monotonic

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.operations import log_outlets
from kalshi_daemon.operations.log_outlets import FileOutput, LineQueue, Outlet
from kalshi_daemon.operations.logging import LineSink, configure
from tests.operations.test_logging import lines

INFO, WARNING, ERROR = 20, 30, 40


@pytest.fixture(autouse=True)
def _as_before():
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(log_outlets, "RETRY_FIRST_S", 0.01)
    monkeypatch.setattr(log_outlets, "LOOK_EVERY_S", 0.01)


class Destination:
    """Fails with what it is told to; `open_for` counts bytes it still takes."""

    name = "file"

    def __init__(self) -> None:
        self.taken = b""
        self.problem: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.asked = threading.Semaphore(0)

    def write(self, data: bytes) -> int:
        self.asked.release()
        self.gate.wait()
        if self.problem is not None:
            raise self.problem
        self.taken += data
        return len(data)

    def look(self) -> str:
        return ""

    def reopen(self) -> None:
        return

    def close(self) -> None:
        return


class Heard:
    def __init__(self) -> None:
        self.events: list[tuple[str, dict]] = []
        self.new = threading.Semaphore(0)

    def __call__(self, event, _severity, fields) -> None:
        self.events.append((event, dict(fields)))
        self.new.release()

    def wait(self) -> None:
        assert self.new.acquire(timeout=10)


@given(
    put=st.lists(st.tuples(st.sampled_from([10, INFO, WARNING, ERROR]), st.integers(1, 30)), max_size=60),
    lines_max=st.integers(1, 12),
    bytes_max=st.integers(1, 200),
)
def test_the_queue_is_bounded_ordered_and_drops_the_lowest_severity_first(put, lines_max, bytes_max):
    queue = LineQueue(lines_max, bytes_max)
    sent: list[tuple[int, bytes]] = []
    for number, (severity, size) in enumerate(put):
        line = b"%d:%s\n" % (number, b"x" * size)
        sent.append((severity, line))
        queue.put(line, severity)
        assert queue.lines <= lines_max
        assert queue.bytes <= bytes_max
    kept = []
    while batch := queue.take(1):
        kept += batch
    assert kept == [line for _severity, line in sent if line in set(kept)], "in the order they came"
    assert sum(queue.dropped.values()) == len(sent) - len(kept), "every line is either kept or counted"
    severity_of = {line: severity for severity, line in sent}
    if kept and len(sent) <= lines_max + 1 and sum(len(line) for _s, line in sent[:-1]) <= bytes_max:
        lost = [severity for severity, line in sent if line not in set(kept)]
        assert max(lost, default=0) <= min(severity_of[line] for line in kept)


def test_a_destination_that_stands_still_holds_up_nobody_and_says_what_it_lost():
    destination, heard = Destination(), Heard()
    destination.gate.clear()
    outlet = Outlet(destination, heard, LineQueue(lines_max=3))
    outlet.put(b"first\n", INFO)
    assert destination.asked.acquire(timeout=10), "the thread stands in its write"
    began = monotonic()
    for number in range(1_000):
        outlet.put(b"info %d\n" % number, INFO)
    outlet.put(b"error\n", ERROR)
    assert monotonic() - began < 5.0
    assert heard.events == [("log.output_stalled", {"output": "file", "lines": 3, "bytes": 21})]
    destination.gate.set()
    heard.wait()
    heard.wait()
    outlet.stop()
    assert outlet.join(10)
    assert destination.taken == b"first\ninfo 998\ninfo 999\nerror\n"
    assert heard.events[-1] == ("log.lines_dropped", {"output": "file", "dropped": {"info": 998}})


def test_a_full_disk_is_said_once_and_nothing_queued_is_lost_when_it_has_room_again():
    destination, heard = Destination(), Heard()
    destination.problem = OSError(errno.ENOSPC, "No space left on device")
    outlet = Outlet(destination, heard)
    outlet.put(b"one\n", INFO)
    heard.wait()
    assert destination.asked.acquire(timeout=10)
    assert destination.asked.acquire(timeout=10), "tried again"
    outlet.put(b"two\n", INFO)
    destination.problem = None
    heard.wait()
    outlet.stop()
    assert outlet.join(10)
    assert destination.taken == b"one\ntwo\n"
    assert [event for event, _fields in heard.events] == ["log.output_lost", "log.output_restored"]
    assert "No space left" in heard.events[0][1]["problem"]


def test_a_write_that_hangs_for_ever_costs_the_end_its_patience_and_no_more():
    destination = Destination()
    destination.gate.clear()
    outlet = Outlet(destination, Heard())
    outlet.put(b"line\n", INFO)
    outlet.stop()
    assert not outlet.join(0.05)
    destination.gate.set()
    assert outlet.join(10)


def test_a_pipe_nobody_reads_holds_up_neither_the_file_nor_the_caller(tmp_path, monkeypatch):
    reader, writer = os.pipe()
    monkeypatch.setattr(sys, "stdout", os.fdopen(writer, "w"))
    path = tmp_path / "daemon.jsonl"
    sink = LineSink(stdout=True, path=path, bytes_max=1 << 30)
    line = b"x" * 1_023 + b"\n"
    for _ in range(2_000):  # a pipe takes 64 KiB
        sink.write(line)
    began = monotonic()
    sink.close(0.5)
    assert monotonic() - began < 5.0
    assert path.read_bytes() == line * 2_000
    os.close(reader)


def test_a_file_deleted_or_moved_away_is_opened_anew_and_said(tmp_path):
    path = tmp_path / "daemon.jsonl"
    output = FileOutput(path, tmp_path / "daemon.jsonl.1", 1 << 20)
    output.reopen()
    assert output.write(b"one\n") == 4
    path.unlink()
    deadline = monotonic() + 10
    while (event := output.look()) == "" and monotonic() < deadline:
        threading.Event().wait(0.01)
    assert event == "log.file_replaced"
    assert output.write(b"two\n") == 4
    output.close()
    assert path.read_bytes() == b"two\n"


def test_reopening_follows_an_outside_rotation(tmp_path):
    path = tmp_path / "daemon.jsonl"
    output = FileOutput(path, tmp_path / "daemon.jsonl.1", 1 << 20)
    output.write(b"one\n")
    path.rename(tmp_path / "moved")
    output.reopen()
    output.write(b"two\n")
    output.close()
    assert ((tmp_path / "moved").read_bytes(), path.read_bytes()) == (b"one\n", b"two\n")


def test_a_rotation_that_fails_loses_no_line_and_is_bounded(tmp_path):
    path, rotated = tmp_path / "daemon.jsonl", tmp_path / "folder"
    rotated.mkdir()
    (rotated / "in the way").touch()
    output = FileOutput(path, rotated, 20)
    output.reopen()
    for number in range(4):
        assert output.write(b"%09d\n" % number) == 10
    with pytest.raises(OSError, match="folder"):
        output.write(b"%09d\n" % 4)
    assert path.read_bytes() == b"".join(b"%09d\n" % number for number in range(4))
    (rotated / "in the way").unlink()
    rotated.rmdir()
    deadline = monotonic() + 10
    while path.stat().st_size and monotonic() < deadline:
        output.look()
    assert output.write(b"%09d\n" % 4) == 10
    output.close()
    assert rotated.read_bytes() + path.read_bytes() == b"".join(b"%09d\n" % number for number in range(5))


def test_a_line_torn_by_a_full_disk_stands_alone_and_is_written_again_whole(tmp_path, monkeypatch):
    path = tmp_path / "daemon.jsonl"
    output = FileOutput(path, tmp_path / "daemon.jsonl.1", 1 << 20)
    output.reopen()
    written = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: written(fd, data[:6]))
    assert output.write(b"one\ntwo\n") == 4
    monkeypatch.setattr(os, "write", written)
    assert output.write(b"two\n") == 4
    output.close()
    assert path.read_bytes() == b"one\ntw\ntwo\n"


class Mute:
    """Its own words raise."""

    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


ODD_OBJECTS = {"mute": Mute, "huge": lambda: 10**5_000, "error": lambda: ValueError("x" * 50)}
ODD = st.one_of(
    st.integers(),
    st.just(2**64),
    st.just(-(2**70)),
    st.floats(),
    st.text(),
    st.text(st.characters(categories=["Cs"]), min_size=1, max_size=3),
    st.binary(max_size=5),
    st.sampled_from(["mute", "huge", "error"]).map(lambda name: ODD_OBJECTS[name]()),
)
VALUES = st.recursive(
    ODD, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)


@given(value=VALUES)
def test_any_value_becomes_one_line_of_json(value):
    out = io.BytesIO()
    sink = configure(
        ManualClock(Nanos(1_795_446_300 * SECOND)), level="info", stdout=False, path=None, bytes_max=1, fields={}
    )
    sink.write = lambda line, _severity=INFO: out.write(line)  # type: ignore[method-assign,assignment]
    structlog.get_logger().info("odd.value", value=value)
    (line,) = out.getvalue().splitlines()
    assert json.loads(line)["event"] == "odd.value"


def test_a_line_that_is_too_long_says_so_and_names_its_fields(tmp_path):
    path = tmp_path / "daemon.jsonl"
    clock = ManualClock(Nanos(1_795_446_300 * SECOND))
    sink = configure(clock, level="info", stdout=False, path=path, bytes_max=1 << 20, fields={"mode": "sim"})
    structlog.get_logger().info("long", rows=["x" * 1_000] * 1_000)
    sink.close()
    (line,) = lines(path)
    assert line["event"] == "long"
    assert (line["problem"], line["mode"]) == ("line too long", "sim")
    assert "rows" in line["fields"]


def test_tracebacks_hold_no_locals(tmp_path):
    path = tmp_path / "daemon.jsonl"
    clock = ManualClock(Nanos(1_795_446_300 * SECOND))
    sink = configure(clock, level="info", stdout=False, path=path, bytes_max=1 << 20, fields={})

    def fails() -> None:
        signature = "a-signed-header"
        raise ValueError(len(signature))

    try:
        fails()
    except ValueError as problem:
        structlog.get_logger().error("daemon.task_died", exc_info=problem)
    sink.close()
    assert b"a-signed-header" not in path.read_bytes().replace(b'signature = "a-signed-header"', b"")
    assert not any(frame.get("locals") for frame in lines(path)[0]["exception"][0]["frames"])
