"""Every test is of exactly one part of `make test`, no part overlooks a file, and a part that fails is not lost."""

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.late import Late
from tests.support.marks import could_be_chosen, unspelled
from tests.support.processes import pause

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "run_tests.py"
MARKED = "@pytest.mark.{}\ndef test_it(): ...\n"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_tests", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("marks", [(), ("e2e",), ("alone",), ("alone", "e2e")])
def test_every_test_is_of_exactly_one_part(script, marks):
    parts = (script.SIDE_BY_SIDE, script.PROCESSES, script.ALONE)
    has = {mark: mark in marks for mark in ("e2e", "alone")}
    assert sum(eval(part, {}, has) for part in parts) == 1
    commands = [script.side_by_side(), script.processes(2), script.pytest_of(script.ALONE)]
    assert [command[command.index("-q") :][1:3] for command in commands] == [["-m", part] for part in parts]


@pytest.mark.parametrize(
    ("expression", "marked", "wanted"),
    [
        ("e2e and not alone", "e2e", True),
        ("e2e and not alone", "data", False),
        ("e2e and not alone", "alone", False),
        ("alone", "alone", True),
        ("alone", "alone_is_another", False),
        ("not e2e and not alone", "e2e", True),  # the next test of the file may have no mark
        ("not an expression", "data", True),
    ],
)
def test_a_file_is_left_aside_only_when_no_test_of_it_can_be_chosen(expression, marked, wanted):
    assert could_be_chosen(expression, MARKED.format(marked)) is wanted


def test_two_marks_of_a_file_may_be_of_one_test_or_of_two():
    text = MARKED.format("e2e") + MARKED.format("alone")
    assert could_be_chosen("e2e and not alone", text)
    assert could_be_chosen("e2e and alone", text)


def test_a_mark_that_a_file_does_not_spell_is_found():
    assert unspelled(["e2e", "parametrize"], {"e2e", "alone"}, MARKED.format("data")) == ["e2e"]
    assert unspelled(["e2e", "parametrize"], {"e2e", "alone"}, MARKED.format("e2e")) == []


def test_a_late_module_is_there_when_it_is_used_and_skips_where_it_is_not():
    late = Late("colorsys")
    assert late.rgb_to_hsv(0, 0, 0) == (0.0, 0.0, 0)
    with pytest.raises(pytest.skip.Exception, match="no_such_module"):
        _ = Late("no_such_module").anything


def says(word: str, code: int = 0) -> list[str]:
    return ["sh", "-c", f"echo {word}; exit {code}"]


@pytest.mark.parametrize("codes", [(0, 0), (1, 0), (0, 5)])
def test_two_at_once_are_both_shown_and_both_counted(script, capfdbinary, codes):
    steps = [
        lambda: script.both(says("first", codes[0]), says("second", codes[1])),
        lambda: script.one("last", says("last")),
    ]
    failed = script.run(step() for step in steps)
    assert failed == int(any(codes))
    words = capfdbinary.readouterr().out.split()
    assert words.index(b"first") < words.index(b"second")
    assert (b"last" in words) is not failed


WAITS = "trap 'sleep 0.1; echo cleared; exit 2' INT; echo ready > \"$0\"; while :; do sleep 0.05; done"
TWO_THAT_WAIT = f"""
import importlib.util, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # as `main` does: it may be ignored around this test
spec = importlib.util.spec_from_file_location("run_tests", {str(SCRIPT)!r})
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)
raise SystemExit(script.run([script.both(*(["sh", "-c", {WAITS!r}, path] for path in sys.argv[1:]))]))
"""


def test_sigterm_interrupts_both_and_waits_for_them(tmp_path):
    """Each says so after it has cleared away."""
    ready = [tmp_path / "first", tmp_path / "second"]
    argv = [sys.executable, "-c", TWO_THAT_WAIT, *map(str, ready)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, process_group=0) as process:
        try:
            deadline = time.monotonic() + 60
            while not all(path.exists() for path in ready):
                assert time.monotonic() < deadline
                pause(0.02)
            process.send_signal(signal.SIGTERM)
            out, _err = process.communicate(timeout=60)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert out.count(b"cleared") == 2
    assert process.returncode == 1
