"""A recording is written beside trading: it loses itself before it costs anything else."""

import threading
import time

import pytest

from kalshi_daemon.recording import writer as module
from kalshi_daemon.recording.blocks import Block, blocks
from kalshi_daemon.recording.entries import Input, Stamp, decoded, inputs
from kalshi_daemon.recording.writer import RecordingWriter

AT = Stamp(1_000_000, 50)


def fill(writer, count, step=10**9):
    for number in range(count):
        at = Stamp(AT.now_ns + number * step, AT.real_ns + number * step + number % 3)
        writer.note_input(at, "frame", [7, f"frame {number} ".encode() * 9 + b"\xff"], 80)
        writer.note(["http", number, "GET", "/x", None])


def read(path) -> list[Input]:
    found: list[Input] = []
    for block in blocks(path.read_bytes()):
        assert isinstance(block, Block)
        if block.number:
            found += inputs(*decoded(block.raw), len(found) + 1)
    return found


def test_what_is_noted_is_read_back_with_its_stamps(tmp_path):
    path = tmp_path / "folder" / "one.recording"
    writer = RecordingWriter(path, b"{}", AT)
    fill(writer, 40)
    writer.close()
    found = read(path)
    assert [one.at for one in found] == [
        Stamp(AT.now_ns + n * 10**9, AT.real_ns + n * 10**9 + n % 3) for n in range(40)
    ]
    assert found[3].followed == (["http", 3, "GET", "/x", None],)
    assert found[3].detail[1]["base64"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(list(blocks(path.read_bytes()))) > 3, "a block is closed by its age"


def test_a_kill_leaves_whole_blocks(tmp_path):
    writer = RecordingWriter(tmp_path / "one.recording", b"{}", AT)
    fill(writer, 40)
    writer.abandon()
    assert 0 < len(read(tmp_path / "one.recording")) < 40


@pytest.mark.parametrize(
    ("no_room", "words"),
    [(lambda _written, _folder: "no room", "no room"), (lambda _written, _folder: 1 / 0, "division")],
    ids=["said", "failed"],
)
def test_a_disk_that_is_full_ends_the_recording_and_nothing_else(tmp_path, no_room, words):
    writer = RecordingWriter(tmp_path / "one.recording", b"{}", AT, no_room)
    fill(writer, 40)
    writer._thread.join(5)
    assert words in writer.stopped
    fill(writer, 20)
    writer.close()


def test_a_folder_that_cannot_be_made_ends_it_too(tmp_path):
    (tmp_path / "file").touch()
    writer = RecordingWriter(tmp_path / "file" / "one.recording", b"{}", AT)
    writer._thread.join(5)
    assert "File exists" in writer.stopped
    fill(writer, 20)
    writer.close()


def test_a_disk_that_hangs_is_not_waited_for_and_memory_stays_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "WAITING_BYTES_MAX", 20_000)
    monkeypatch.setattr(module, "_JOIN_WITHIN_S", 0.05)
    hangs = threading.Event()
    writer = RecordingWriter(
        tmp_path / "one.recording", b"{}", AT, lambda _written, _folder: str(not hangs.wait(20))[5:]
    )
    fill(writer, 2_000)
    assert "bytes behind" in writer.stopped
    assert len(writer._entries) < 50
    began = time.monotonic()
    writer.close()
    assert time.monotonic() - began < 5
    hangs.set()
