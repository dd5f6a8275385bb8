"""The locks agree: what runs, what draws and what develops is pinned once, with hashes and without addresses."""

import re
import tomllib
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PINNED: Final = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)
LOCKS: Final = ("run", "report", "sweep", "dev")


def pins(lock: str) -> dict[str, str]:
    return dict(PINNED.findall((ROOT / "requirements" / f"{lock}.txt").read_text()))


def test_each_lock_holds_the_one_before_it_in_the_same_versions():
    run, report, sweep, dev = map(pins, LOCKS)
    assert run.items() < report.items() < dev.items()
    assert run.items() < sweep.items() < dev.items()


def test_only_reports_and_developers_need_the_plotting_library():
    assert "matplotlib" not in pins("run")
    assert "matplotlib" in pins("report")


def test_only_sweeps_and_developers_need_the_cluster_s_library():
    assert "distributed" not in pins("run") | pins("report")
    assert "distributed" in pins("sweep")


def test_every_requirement_is_locked():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {"run": project["dependencies"], **project["optional-dependencies"]}
    assert set(named) == set(LOCKS)
    for lock, requirements in named.items():
        assert {re.split(r"[\[><=; ]", one)[0] for one in requirements} <= set(pins(lock))


@pytest.mark.parametrize("lock", [*LOCKS, "tools"])
def test_a_lock_is_hashes_without_addresses(lock):
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    assert "://" not in text
    entries = re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)
    assert all("--hash=sha256:" in entry for entry in entries if entry.strip())
