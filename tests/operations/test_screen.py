import os
import threading

from kalshi_daemon.operations.screen import BYTES_MAX, Screen, descriptor_writer

WITHIN_S = 10.0


def test_a_drawing_is_handed_over_whole_and_in_order():
    taken: list[bytes] = []
    screen = Screen(taken.append)
    for number in range(5):
        screen.write(f"{number}a")
        screen.write(f"{number}b")
        screen.flush()
    assert screen.end(WITHIN_S)
    assert b"".join(taken) == b"0a0b1a1b2a2b3a3b4a4b"


def test_a_terminal_that_stands_costs_its_patience_and_what_waits_is_bounded():
    gate, begun, taken = threading.Event(), threading.Event(), []

    def stopped(data: bytes) -> None:
        begun.set()
        gate.wait(5)
        taken.append(data)

    screen = Screen(stopped)
    screen.write("first")
    screen.flush()
    assert begun.wait(WITHIN_S)
    assert not screen.idle
    for _ in range(4):
        screen.write("x" * BYTES_MAX)
        screen.flush()
    assert not screen.end(0.01)
    gate.set()
    assert screen.end(WITHIN_S)
    assert [len(data) for data in taken] == [len("first"), BYTES_MAX]


def test_a_terminal_that_is_gone_raises_nowhere_and_is_asked_again():
    asked: list[bytes] = []

    def gone(data: bytes) -> None:
        asked.append(data)
        raise OSError(5, "Input/output error")

    screen = Screen(gone)
    screen.write("a")
    screen.flush()
    screen.write("b")
    screen.flush()
    assert screen.end(WITHIN_S)
    assert b"".join(asked) == b"ab"


def test_a_short_write_is_gone_on_with(monkeypatch):
    taken: list[bytes] = []

    def short(_fd: int, data: memoryview) -> int:
        taken.append(bytes(data[:3]))
        return len(taken[-1])

    monkeypatch.setattr(os, "write", short)
    descriptor_writer(2)(b"seven..")
    assert b"".join(taken) == b"seven.."
