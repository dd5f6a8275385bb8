import io
import json
import logging
import os
import sys
import threading

import pytest
import structlog

from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import MICROSECOND, SECOND, Nanos
from kalshi_daemon.operations import log_outlets
from kalshi_daemon.operations.logging import LineSink, configure

NOW = Nanos(1_795_446_300 * SECOND + 123_456 * MICROSECOND)
FIELDS = {"run_id": "0011aabbccdd", "mode": "sim"}


@pytest.fixture(autouse=True)
def _as_before():
    """Logging is the process's: put back what the other tests found."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


def start(path, **changes) -> LineSink:
    given = {"level": "info", "stdout": False, "path": path, "bytes_max": 1 << 20, "fields": FIELDS}
    return configure(ManualClock(NOW), **(given | changes))


def lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_a_line_is_one_json_object_with_the_common_fields_first(tmp_path):
    path = tmp_path / "logs" / "daemon.jsonl"
    sink = start(path)
    structlog.get_logger().info("order.submitted", client_order_id="kd-1", count=100)
    sink.close()
    assert path.read_bytes() == (
        b'{"ts":"2026-11-23T15:05:00.123456Z","level":"info","event":"order.submitted",'
        b'"run_id":"0011aabbccdd","mode":"sim","client_order_id":"kd-1","count":100}\n'
    )


def test_what_json_has_no_word_for_is_written_as_text_and_line_ends_are_escaped(tmp_path):
    path = tmp_path / "daemon.jsonl"
    sink = start(path)
    structlog.get_logger().warning("odd", where=tmp_path, by_number={1: "one"}, text="two\nlines")
    sink.close()
    (line,) = lines(path)
    assert line["where"] == str(tmp_path)
    assert line["by_number"] == {"1": "one"}
    assert line["text"] == "two\nlines"
    assert line["level"] == "warning"


def test_an_error_carries_its_traceback_as_data(tmp_path):
    path = tmp_path / "daemon.jsonl"
    sink = start(path)
    try:
        int("no such thing")
    except ValueError as problem:
        structlog.get_logger().error("daemon.task_died", exc_info=problem)
    sink.close()
    (line,) = lines(path)
    assert line["exception"][0]["exc_type"] == "ValueError"
    assert "no such thing" in line["exception"][0]["exc_value"]


def test_lines_below_the_level_are_not_written(tmp_path):
    path = tmp_path / "daemon.jsonl"
    sink = start(path, level="warning")
    log = structlog.get_logger()
    log.debug("a")
    log.info("b")
    log.warning("c")
    log.error("d")
    sink.close()
    assert [line["event"] for line in lines(path)] == ["c", "d"]


def test_bound_context_is_part_of_every_line_until_it_is_unbound(tmp_path):
    path = tmp_path / "daemon.jsonl"
    sink = start(path)
    with structlog.contextvars.bound_contextvars(window="KXINXU-26NOV23H1100"):
        structlog.get_logger().info("inside")
    structlog.get_logger().info("outside")
    sink.close()
    inside, outside = lines(path)
    assert inside["window"] == "KXINXU-26NOV23H1100"
    assert "window" not in outside


def test_libraries_end_up_in_the_same_stream_from_warning_on(tmp_path):
    path = tmp_path / "daemon.jsonl"
    logging.getLogger().addHandler(logging.StreamHandler(io.StringIO()))
    sink = start(path)
    assert len(logging.getLogger().handlers) == 1, "no second copy of a line"
    logging.getLogger("websockets.client").warning("connection %s", "lost")
    logging.getLogger("asyncio").info("chatter")
    logging.getLogger("asyncio").error("x" * 10_000)
    sink.close()
    first, second = lines(path)
    assert (first["event"], first["level"], first["message"]) == (
        "library.websockets.client",
        "warning",
        "connection lost",
    )
    assert second["event"] == "library.asyncio"
    assert len(second["message"]) == 500, "bounded, whatever a library says"


def test_the_file_is_rotated_at_its_size_and_at_most_two_are_kept(tmp_path):
    path = tmp_path / "daemon.jsonl"
    sink = LineSink(stdout=False, path=path, bytes_max=100)
    for number in range(25):
        sink.write(b"%09d\n" % number)
    sink.close()
    assert sorted(tmp_path.iterdir()) == [path, tmp_path / "daemon.jsonl.1"]
    kept = (tmp_path / "daemon.jsonl.1").read_bytes() + path.read_bytes()
    assert kept == b"".join(b"%09d\n" % number for number in range(10, 25)), "whole lines, in order, the newest"


def test_a_new_life_appends_and_counts_what_is_already_there(tmp_path):
    path = tmp_path / "daemon.jsonl"
    path.write_bytes(b"x" * 95 + b"\n")
    sink = LineSink(stdout=False, path=path, bytes_max=100)
    sink.write(b"12345\n")
    sink.close()
    assert path.read_bytes() == b""
    assert (tmp_path / "daemon.jsonl.1").read_bytes().endswith(b"x\n12345\n")


def test_lines_go_to_standard_output_and_to_the_file(tmp_path, monkeypatch):
    out = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", out)
    sink = start(tmp_path / "daemon.jsonl", stdout=True)
    structlog.get_logger().info("one")
    sink.close()
    assert out.buffer.getvalue() == (tmp_path / "daemon.jsonl").read_bytes() != b""


def test_a_reader_that_left_does_not_stop_the_file(tmp_path, monkeypatch):
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        sink = LineSink(stdout=True, path=tmp_path / "daemon.jsonl", bytes_max=1 << 20)
        sink.write(b"heard\n")
        assert os.read(reader, 100) == b"heard\n"
        os.close(reader)
        sink.write(b"unheard\n")
        sink.write(b"unheard again\n")
        sink.close()
        assert (tmp_path / "daemon.jsonl").read_bytes() == b"heard\nunheard\nunheard again\n"
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())  # what the pipe could not take goes nowhere


def test_writing_after_the_end_is_silent_and_closing_twice_is_fine(tmp_path):
    path = tmp_path / "daemon.jsonl"
    sink = LineSink(stdout=False, path=path, bytes_max=100)
    sink.close()
    sink.close()
    sink.write(b"late\n")
    assert path.read_bytes() == b""


def test_the_last_line_stays_the_last_when_the_output_shown_at_the_end_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(log_outlets, "RETRY_FIRST_S", 0.01)
    tried = threading.Semaphore(0)

    class Gone(io.RawIOBase):
        def write(self, _data: object) -> int:
            tried.release()
            raise OSError(5, "Input/output error")

    class Terminal:
        buffer = Gone()

    path = tmp_path / "daemon.jsonl"
    sink = start(path)
    monkeypatch.setattr(sys, "stdout", Terminal())
    sink.show()
    sink.expect_last_line()
    structlog.get_logger().info("session.summary")
    for _ in range(2):  # the second try comes after the first was told of
        assert tried.acquire(timeout=10)
    sink.close()
    assert [line["event"] for line in lines(path)] == ["session.summary"]
