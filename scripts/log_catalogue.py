"""Write docs/log-events.md from the source: `make log-events`; `--check` says whether the file is up to date.

Events, levels and fields are read from the calls of `log.<level>(...)` by syntax tree, meanings from
docs/log-events.toml. A test holds the page equal to the source and the meanings complete.
"""

import ast
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from kalshi_daemon.ground.tables import Column, Table, markdown
from kalshi_daemon.ladder.outcomes import OUTCOMES, PULLS

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "log-events.md"
MEANINGS: Final = ROOT / "docs" / "log-events.toml"
LEVELS: Final = ("debug", "info", "warning", "error", "exception", "critical")
_NAMES: Final = ("log", "_log", "level", "say")
"""What a logger, or a variable that holds one of its methods, is called in this code."""
_INTRO: Final = """\
# Log events

Every line of the log is one JSON object with `event`, `level`, `ts`, `run_id` and `mode`; the other fields are
in the table. Written by `make log-events` from the source and `docs/log-events.toml`; what to do about the ones that
matter is in [operations.md](operations.md#failure-modes).
"""


@dataclass(slots=True)
class Event:
    """One event name over all the places that log it."""

    levels: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)
    open: bool = False
    """Whether more fields are passed on than the call names."""


@cache
def events(package: Path = ROOT / "kalshi_daemon") -> dict[str, Event]:
    """Every event of the package by name. The simulator's own lines are not the daemon's log and are left out."""
    found: dict[str, Event] = {}
    for path in sorted(package.rglob("*.py")):
        if "simulator" in path.parts or "cli" in path.parts:
            continue
        tree = ast.parse(path.read_text())
        for scope in ast.walk(tree):
            if isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef)):
                for name, levels, call in _calls(scope):
                    event = found.setdefault(name, Event())
                    event.levels |= levels
                    event.fields |= {keyword.arg for keyword in call.keywords if keyword.arg not in {None, "exc_info"}}
                    event.open |= any(keyword.arg is None for keyword in call.keywords)
        for name, level in _handed_on(tree):
            found.setdefault(name, Event(levels={level}, open=True))
    return dict(sorted(found.items()))


def _calls(scope: ast.AST) -> Iterator[tuple[str, set[str], ast.Call]]:
    held = _held_levels(scope)
    texts = _held_names(scope)
    for node in ast.walk(scope):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        levels = _levels(node.func, held)
        if levels:
            for name in _names(node.args[0], texts):
                yield name, levels, node


def _levels(func: ast.expr, held: dict[str, set[str]]) -> set[str]:
    match func:
        case ast.Attribute(value=ast.Name(id=name), attr=attr) if attr in LEVELS and name in _NAMES:
            return {"error" if attr == "exception" else attr}
        case ast.Attribute(value=ast.Attribute(attr=name), attr=attr) if attr in LEVELS and name in _NAMES:
            return {"error" if attr == "exception" else attr}
        case ast.Name(id=name):
            return held.get(name, set())
        case ast.IfExp():
            return _levels(func.body, held) | _levels(func.orelse, held)
    return set()


def _held_levels(scope: ast.AST) -> dict[str, set[str]]:
    """Variables that hold a method of the logger: `level = log.info if verified else log.error`."""
    held: dict[str, set[str]] = {}
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            levels = _levels(node.value, {})
            if levels:
                held[node.targets[0].id] = levels
    return held


def _held_names(scope: ast.AST) -> dict[str, tuple[str, ...]]:
    """Variables that hold an event's name: `event = "a.b" if ... else "a.c"`."""
    held: dict[str, tuple[str, ...]] = {}
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            held[node.targets[0].id] = (*held.get(node.targets[0].id, ()), *_names(node.value, {}))
    return held


def _names(first: ast.expr, held: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The literal names an event expression can have."""
    match first:
        case ast.Constant(value=str(name)):
            return (name,)
        case ast.IfExp():
            return (*_names(first.body, held), *_names(first.orelse, held))
        case ast.Name(id=name):
            return held.get(name, ())
    return ()


def unnamed(package: Path = ROOT / "kalshi_daemon") -> list[str]:
    """Calls of the logger whose event's name is not in the same function: they pass on what `_handed_on` finds."""
    found = []
    for path in sorted(package.rglob("*.py")):
        if "simulator" in path.parts or "cli" in path.parts:
            continue
        for scope in ast.walk(ast.parse(path.read_text())):
            if isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef)):
                held, texts = _held_levels(scope), _held_names(scope)
                found += [
                    f"{path.relative_to(package)}:{scope.name}"
                    for node in ast.walk(scope)
                    if isinstance(node, ast.Call)
                    and node.args
                    and _levels(node.func, held)
                    and not _names(node.args[0], texts)
                ]
    return found


def _handed_on(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Name and level of events that somebody else writes to the log: `Note("kalshi_stream.frames_missed", ...)`."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="_say_halt"), args=[ast.Constant(value=str(name)), *_]):
                yield name, "error"
            case ast.Call(
                func=ast.Name(id="Note") | ast.Attribute(attr="_note" | "_notice"),
                args=[ast.Constant(value=str(name)), *_],
            ) if "." in name:
                yield name, "warning"
            case ast.Return(value=expression) if expression is not None:
                # The log's own outputs name what happened to a file by returning it.
                yield from ((name, "warning") for name in _names(expression, {}) if name.startswith("log."))


def meanings() -> dict[str, str]:
    """Event -> what it means."""
    return dict(tomllib.loads(MEANINGS.read_text())["events"])


def subjects() -> dict[str, str]:
    """First word of an event -> what it stands for."""
    return dict(tomllib.loads(MEANINGS.read_text())["subjects"])


def page() -> str:
    """The whole page. An event without a meaning is written with `?`, which the test refuses."""
    known = meanings()
    rows = []
    for name, event in events().items():
        fields = ", ".join(f"`{one}`" for one in sorted(event.fields)) + (", ..." if event.open else "")
        rows.append((f"`{name}`", ", ".join(sorted(event.levels)), fields or "-", known.get(name, "?")))
    return "\n".join(
        (
            _INTRO,
            _table(("event", "level", "fields", "meaning"), rows),
            "## Subjects",
            "",
            "An event is called `subject.past_tense`. Names of before 0.1.0 are listed in CHANGELOG.md.",
            "",
            _meanings("first word", "subject", subjects()),
            "## Outcomes of a look at a market",
            "",
            "What a manifest says about each market, and `why TICKER` with its numbers.",
            "",
            _meanings("outcome", "meaning", OUTCOMES),
            "## Why an order was pulled",
            "",
            "`reason` of `order.cancelled` and of a manifest's `cancel`, besides `guard:NAME` and `replaced`.",
            "",
            _meanings("reason", "meaning", PULLS),
        )
    )


def _meanings(heading: str, meaning: str, words: Mapping[str, str]) -> str:
    return _table((heading, meaning), [(f"`{word}`", text) for word, text in words.items()])


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return markdown(Table([Column(heading) for heading in headings], rows))


def main(argv: list[str]) -> int:
    """Write the page, or with `--check` compare it."""
    if "--check" in argv:
        return int(PAGE.read_text() != page())
    PAGE.write_text(page())
    missing = sorted(events().keys() - meanings().keys())
    print(f"{len(events())} events, {len(missing)} without a meaning: {', '.join(missing)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
