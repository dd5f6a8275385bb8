"""One number: of the package, of the changelog's newest version, of --version and of the files the daemon writes."""

import re
import tomllib
from datetime import date
from pathlib import Path

import orjson
import pytest

from kalshi_daemon import __version__
from kalshi_daemon.artifacts.session import build_session
from kalshi_daemon.cli.main import main
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.memory.documents import decoded, encoded
from tests.artifacts.artifact_rig import totals

ROOT = Path(__file__).resolve().parents[2]


def test_the_changelog_has_this_version_dated_and_room_for_the_next_above_it():
    headings = re.findall(r"(?m)^## \[(.+?)\](?: - (.+))?$", (ROOT / "CHANGELOG.md").read_text())
    assert headings[0] == ("Unreleased", "")
    newest, day = headings[1]
    assert newest == __version__
    assert date.fromisoformat(day).isoformat() == day


def test_the_package_has_this_version():
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == __version__


def test_the_command_says_this_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code in (0, None)
    assert capsys.readouterr().out == f"kalshi-daemon {__version__}\n"


def test_the_files_of_the_daemon_say_which_version_wrote_them():
    made = build_session(totals(), run_id="r1", mode="sim", day="2026-11-30", now_ns=Nanos(0))
    assert made.daemon_version == __version__
    content = encoded({"learnt": 1})
    assert orjson.loads(content.partition(b"\n")[0])["daemon_version"] == __version__
    assert decoded(content) == {"learnt": 1}
