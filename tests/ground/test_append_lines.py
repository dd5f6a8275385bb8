"""Lines added to a file that a crash may have torn, and a disk that may refuse."""

import os

import pytest

from kalshi_daemon.ground.durable import append_lines


def test_lines_are_added_and_a_torn_last_one_stays_alone(tmp_path):
    path = tmp_path / "days" / "a.jsonl"
    assert append_lines(path, [b"1\n", b"2\n"]) == 2
    with path.open("ab") as file:
        file.write(b'{"torn')
    assert append_lines(path, [b"3\n"]) == 1
    assert path.read_bytes() == b'1\n2\n{"torn\n3\n'


def test_what_finds_no_room_is_left_out_whole(tmp_path):
    path = tmp_path / "a.jsonl"
    assert append_lines(path, [b"12\n", b"34\n", b"5\n"], bytes_max=7) == 2
    assert append_lines(path, [b"6\n"], bytes_max=7) == 0
    assert path.read_bytes() == b"12\n34\n"


def test_a_disk_that_refuses_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    append_lines(path, [b"1\n"])

    def refuses(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuses)
    with pytest.raises(OSError, match="Input/output"):
        append_lines(path, [b"2\n"], lasting=True)
    assert path.read_bytes() == b"1\n"
