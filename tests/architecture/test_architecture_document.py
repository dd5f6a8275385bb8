"""docs/architecture.md and the code say the same: which packages there are, what is in them, which tasks run."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
PRODUCT: Final = ROOT / "kalshi_daemon"
DOCUMENT: Final = (ROOT / "docs" / "architecture.md").read_text()
STARTED_BY: Final = PRODUCT / "app"
"""What the daemon itself starts has a row of its own; what those tasks start is in the second column of theirs."""
SEEN_FROM_OUTSIDE: Final = frozenset({"state"})
"""A module at the top that is described like a package."""


def rows(title: str) -> dict[str, str]:
    """First cell of each row of a section's table, without its quotes -> the rest of the row."""
    section = DOCUMENT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `([^`]+)` \|(.*)\|$", section, re.MULTILINE))


def names_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def task_names(path: Path) -> Iterator[str]:
    """The names of the tasks that a file creates; what a name made at run time adds is a `*`."""
    text = path.read_text()
    if "create_task" not in text:
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.For):
            yield from _named_in_a_table(node)
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if node.func.attr == "create_task":
            name = next((keyword.value for keyword in node.keywords if keyword.arg == "name"), None)
            assert name is not None, f"{path.name}, line {node.lineno}: a task without a name"
            if isinstance(name, ast.Constant):
                yield str(name.value)
            elif isinstance(name, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in name.values)


def _named_in_a_table(loop: ast.For) -> Iterator[str]:
    """`for name, work in (("trader", ...), ...): group.create_task(work, name=name)`."""
    calls = [node for node in ast.walk(loop) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    by_name = [
        keyword.value.id
        for call in calls
        for keyword in call.keywords
        if keyword.arg == "name" and isinstance(keyword.value, ast.Name)
    ]
    targets = loop.target.elts if isinstance(loop.target, ast.Tuple) else [loop.target]
    if isinstance(targets[0], ast.Name) and targets[0].id in by_name and isinstance(loop.iter, ast.Tuple):
        for row in loop.iter.elts:
            assert isinstance(row, ast.Tuple)
            assert isinstance(row.elts[0], ast.Constant)
            yield str(row.elts[0].value)


def created(*, by_the_daemon: bool) -> set[str]:
    found: set[str] = set()
    for path in PRODUCT.rglob("*.py"):
        if not {"simulator", "backtest"} & set(path.parts) and path.is_relative_to(STARTED_BY) is by_the_daemon:
            found.update(task_names(path))
    return found


def test_every_task_of_the_daemon_is_in_the_table_and_nothing_else():
    outer = {name for name in created(by_the_daemon=True) if "." not in name or name == "kalshi.stream"}
    assert len(outer) >= 18
    assert set(rows("Tasks")) == outer


def test_every_task_inside_a_task_is_in_its_row():
    inner = created(by_the_daemon=False) | {name for name in created(by_the_daemon=True) if name == "clock.answer"}
    assert len(inner) >= 20
    listed = {name: task for task, rest in rows("Tasks").items() for name in names_in(rest.split("|")[0])}
    assert set(listed) == inner
    for name, task in listed.items():
        assert name.replace("kalshi_stream", "kalshi.stream").startswith(f"{task}."), f"{name} is in the row of {task}"


def test_every_package_is_in_the_table_and_nothing_else():
    packages = {path.parent.relative_to(PRODUCT).as_posix() for path in PRODUCT.rglob("__init__.py")} - {"."}
    assert set(rows("Packages")) == packages | SEEN_FROM_OUTSIDE


@pytest.mark.parametrize("package", sorted(rows("Packages")))
def test_every_module_named_of_a_package_is_there(package):
    for name in names_in(rows("Packages")[package]):
        if name.endswith(".toml") or name == "why":
            continue
        places = (PRODUCT / package / f"{name}.py", PRODUCT / f"{name}.py")
        assert any(place.is_file() for place in places), f"{package}: there is no module {name}"


def test_a_table_of_tasks_in_a_loop_and_names_made_at_run_time_are_read(tmp_path):
    source = tmp_path / "made_up.py"
    source.write_text(
        "def start(group, parts):\n"
        "    group.create_task(parts.a(), name='a')\n"
        "    for name, work in (('b', parts.b()), ('c', parts.c())):\n"
        "        group.create_task(work, name=name)\n"
        "        group.create_task(work, name=f'd.{name}')\n"
    )
    assert sorted(task_names(source)) == ["a", "b", "c", "d.*"]
