"""README's commands "By hand", as they stand there, on what a run left behind and during one."""

import re
import shlex

import pytest

from kalshi_daemon.cli.main import _parser
from tests.e2e.quick import SLICE
from tests.support.processes import REPOSITORY

pytestmark = pytest.mark.e2e

OUTCOMES = {"reset-group": (4, "was not halted"), "alert": (78, "alerts.targets: is not set")}
"""Where a command has nothing to do: the exit code README gives to that, and what it says."""


def blocks() -> list[list[list[str]]]:
    """The blocks of the section, each a list of command lines without `kalshi-daemon`."""
    section = (REPOSITORY / "README.md").read_text().split("\n## By hand\n")[1].split("\n## ")[0]
    fenced = re.findall(r"^```\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    lines = [[shlex.split(line, comments=True) for line in block.splitlines()] for block in fenced]
    return [[line[1:] for line in block] for block in lines if block[0][0] == "kalshi-daemon"]


def walk(processes, block):
    for argv in block:
        done = processes.command(*argv)
        code, words = OUTCOMES.get(argv[0], (0, ""))
        assert done.returncode == code, (argv, done.stdout, done.stderr)
        assert words in done.stdout + done.stderr, argv
        assert code == 78 or done.stdout.strip(), argv


def test_every_command_works_on_what_a_run_left_and_during_the_next_one(processes):
    of_files, of_the_daemon, of_the_exchange, *_others = blocks()
    assert len(of_files) >= 9
    assert len(of_the_exchange) >= 3
    span = ("--from", "14:51", "--until", "15:03")
    first = processes.daemon(*span, "--speed", "200", state="state", env=SLICE)
    assert first.wait(100.0) == 0, first.tail()
    assert not list((processes.folder / "state").rglob("manifest.json")), "the day was packed at its end"
    walk(processes, of_files)
    assert (processes.folder / "ledger.csv").read_text().count("\n") > 1
    second = processes.daemon(*span, "--speed", "1", state="state", env=SLICE).wait_ready()
    walk(processes, of_the_daemon)
    walk(processes, of_the_exchange)
    assert second.stop() == 0, second.tail()


def test_the_commands_about_bars_and_made_up_sessions_are_understood():
    assert len(blocks()) == 6
    for argv in (argv for block in blocks()[3:] for argv in block):
        assert _parser(argv).parse_args(argv).command == argv[0]
