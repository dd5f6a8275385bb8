"""CONTRIBUTING.md names what is there: files, functions, targets, and a walk from the README to a quote's price."""

import ast
import re
from pathlib import Path
from typing import Final

import pytest

from kalshi_daemon.guardrails.guard import QuoteGuard, WindowGuard
from kalshi_daemon.trading.policy.policy import Policy

ROOT: Final = Path(__file__).resolve().parents[2]
DOCUMENT: Final = (ROOT / "CONTRIBUTING.md").read_text()
STEP: Final = re.compile(r"^(\d+)\. `([\w/.]+)`(?: · `([\w.]+)`)?(.*(?:\n   .*)*)", re.MULTILINE)
OF_A_FILE: Final = re.compile(r"`(\w+)`(?:, `\w+`| and `\w+`)* (?:of|in) `(kalshi_daemon/[\w/]+\.py|tests/[\w/]+\.py)`")
TO_BE_WRITTEN: Final = "NAME.py"


def section(title: str) -> str:
    found = DOCUMENT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    assert found, title
    return found


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def source_of(path: str, name: str) -> str:
    """The text of a function, or of a method `Class.method`, of a file; "" when it is not there."""
    text = (ROOT / path).read_text()
    found: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef = ast.parse(text)
    for part in name.split("."):
        kinds = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        there = next((node for node in found.body if isinstance(node, kinds) and node.name == part), None)
        if there is None:
            return ""
        found = there
    return ast.get_source_segment(text, found) or ""


def steps() -> list[tuple[str, str, str]]:
    return [(path, name, rest) for _number, path, name, rest in STEP.findall(section("A stranger's walk"))]


def test_the_layout_names_every_package_once():
    (layout,) = re.findall(r"^```\n(kalshi_daemon/.*?)^tests/", section("Layout"), re.MULTILINE | re.DOTALL)
    named = [word for line in layout.splitlines() for word in re.split(r" {2,}", line[16:])[0].split()]
    packages = {path.parent.name for path in (ROOT / "kalshi_daemon").glob("*/__init__.py")}
    assert sorted(named) == sorted(packages | {"state"})


def test_every_file_and_folder_that_is_named_is_there():
    named = {one for one in quoted(DOCUMENT) if re.fullmatch(r"[\w.-]+(/[\w.-]+)+/?", one) and "NAME" not in one}
    assert len(named) >= 50
    assert sorted(one for one in named if not (ROOT / one).exists()) == []


def test_every_bare_file_name_is_one_of_a_folder_the_recipe_names():
    bare = {one for one in quoted(DOCUMENT) if re.fullmatch(r"\w+\.(py|md|toml)", one)} - {TO_BE_WRITTEN}
    known = {path.name for folder in ("kalshi_daemon", "tests") for path in (ROOT / folder).rglob("*.py")}
    known |= {path.name for path in ROOT.iterdir()}
    assert sorted(bare - known) == []


def test_every_target_that_is_named_is_one():
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {match for one in quoted(DOCUMENT) for match in re.findall(r"^make ([a-z-]+)", one)}
    assert named <= targets
    proofs = targets - {"help", "setup", "run", "fmt", "log-events", "clean", "oracle"}
    assert proofs - {"unit-check", "docker-check"} <= named, "each says what it proves"


def test_every_name_that_is_said_to_be_in_a_file_is_in_it():
    found = OF_A_FILE.findall(DOCUMENT.replace("\n   ", " "))
    assert len(found) >= 12
    missing = [(name, path) for name, path in found if not re.search(rf"\b{name}\b", (ROOT / path).read_text())]
    assert missing == []


def recipe(title: str) -> str:
    found = section("Recipes").partition(f"\n### {title}\n")[2].partition("\n### ")[0]
    assert found, title
    return found


@pytest.mark.parametrize(
    ("title", "protocols"), [("Add a policy", [Policy]), ("Add a guard", [WindowGuard, QuoteGuard])], ids=str
)
def test_a_recipe_names_whatever_its_protocol_asks_for(title, protocols):
    asked = {name for one in protocols for name in vars(one)["__protocol_attrs__"]}
    assert len(asked) >= 5
    assert sorted(asked - set(quoted(recipe(title)))) == []


def test_the_walk_is_shorter_than_ten_steps_and_starts_at_the_readme():
    walk = steps()
    assert walk[0][0] == "README.md"
    assert "`make run`" in walk[0][2]
    assert "make run" in (ROOT / "README.md").read_text()
    assert 'kalshi-daemon = "kalshi_daemon.cli.main:entry"' in (ROOT / "pyproject.toml").read_text()
    assert 5 <= len(walk) < 10


@pytest.mark.parametrize(("path", "name", "said"), steps()[1:], ids=[name for _path, name, _said in steps()[1:]])
def test_each_step_of_the_walk_is_there(path, name, said):
    assert source_of(path, name), f"{path} has no {name}"


def test_each_step_of_the_walk_leads_to_the_next():
    walk = steps()[1:]
    calls = {"main": ".run(args)", "run": "run_daemon(", "DaemonRun._start": "trader.run()"}
    calls |= {"Trader._scan": "policy.plan(", "EdgePolicy.plan": "propose(", "Scan._consider": "best_price("}
    last = walk[-1][1]
    assert set(calls) == {name for _path, name, _said in walk} - {last}
    for path, name, _said in walk[:-1]:
        assert calls[name] in source_of(path, name), f"{name} of {path} does not call {calls[name]}"


def test_the_walk_ends_at_the_line_that_decides_the_price():
    path, name, said = steps()[-1]
    (line,) = [one for one in quoted(said) if " = " in one]
    assert line in source_of(path, name)
