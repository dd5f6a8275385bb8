"""A dotted name in a docstring or a comment leads somewhere: a module that was renamed takes its mentions along."""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from kalshi_daemon.settings.model import Settings
from tests.operations.test_log_catalogue import catalogue

PRODUCT: Final = Path(__file__).resolve().parents[2] / "kalshi_daemon"
DOTTED: Final = re.compile(r"`([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)(?:\(\))?`")
FILES: Final = (".toml", ".json", ".md", ".py", ".sqlite3", ".html", ".parquet", ".service")
LIBRARIES: Final = sys.stdlib_module_names | {"np", "websockets", "kalshi_daemon"}


def said_in(text: str) -> Iterator[str]:
    """Docstrings and comments of a source."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value
    if "#" in text:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield token.string


@cache
def words_of(path: Path) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", path.read_text()))


@cache
def settings_and_events() -> frozenset[str]:
    keys = {f"{name}.{key}" for name, field in Settings.model_fields.items() for key in _keys(field.annotation)}
    return frozenset(keys | set(catalogue.meanings()))


@cache
def classes() -> dict[str, list[Path]]:
    """Where a class of each name is."""
    found: dict[str, list[Path]] = {}
    for path in PRODUCT.rglob("*.py"):
        for name in re.findall(r"^ *(?:class|type) (\w+)", path.read_text(), re.MULTILINE):
            found.setdefault(name, []).append(path)
    return found


def _keys(section: object) -> list[str]:
    return list(getattr(section, "model_fields", ()))


def resolves(name: str, path: Path, words: frozenset[str]) -> bool:
    """A module of ours from the top or beside `path`, and what is in it; else a setting, an event, a value at hand.

    `words`: what the file's own code names, comments and docstrings left out.
    """
    if name.endswith(FILES) or name in settings_and_events():
        return True
    parts = name.split(".")
    for base in (PRODUCT, path.parent):
        for length in range(len(parts), 0, -1):
            place = base.joinpath(*parts[:length])
            if place.with_suffix(".py").is_file():
                return set(parts[length:]) <= words_of(place.with_suffix(".py"))
            if length == len(parts) and (place / "__init__.py").is_file():
                return True
    if parts[0] in classes():
        return any(set(parts[1:]) <= words_of(one) for one in classes()[parts[0]])
    return parts[0] in LIBRARIES or parts[0] in words


def names_in_code(text: str) -> frozenset[str]:
    found = set()
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Name(id=name) | ast.arg(arg=name) | ast.Attribute(attr=name) | ast.alias(name=name):
                found.add(name)
            case _:
                pass
    return frozenset(found)


def unresolved(text: str, path: Path) -> list[str]:
    if "`" not in text:
        return []
    dotted = {name for said in said_in(text) for name in DOTTED.findall(said)}
    if not dotted:
        return []
    words = names_in_code(text)
    return sorted(name for name in dotted if not resolves(name, path, words))


def test_every_dotted_name_in_a_docstring_or_comment_leads_somewhere():
    found = {
        path.relative_to(PRODUCT).as_posix(): names
        for path in sorted(PRODUCT.rglob("*.py"))
        if (names := unresolved(path.read_text(), path))
    }
    assert found == {}


@pytest.mark.parametrize("name", ["settings.loder", "orders.manager.OrderMangler", "serial.wire", "player.play"])
def test_a_name_that_leads_nowhere_is_found(name):
    here = PRODUCT / "orders" / "made_up.py"
    assert unresolved(f'"""See `{name}` and `orders.manager.OrderManager`, `ledger.Ledger`, `os.walk`."""', here) == [
        name
    ]
