"""A part is given at most seven things: more are grouped by subject, so that each group has a name and a reason."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import kalshi_daemon

PARAMETERS_MAX: Final = 7
ROOT: Final = Path(kalshi_daemon.__file__).parent
VALUES: Final = {"str", "Enum", "StrEnum", "IntEnum", "IntFlag", "BaseModel", "BaseSettings", "Section"}
"""Bases of classes whose objects are values."""
PARTS_OF_OTHERS: Final = {"Callable", "Random", "ClientSession", "Lock", "Event"}


@cache
def trees() -> dict[str, ast.Module]:
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}


@cache
def callables() -> set[str]:
    """The names that stand for a type of function: `type Gate = Callable[[], bool]`."""
    found = set()
    for tree in trees().values():
        for node in tree.body:
            match node:
                case ast.TypeAlias(name=ast.Name(id=name), value=value):
                    pass
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    pass
                case _:
                    continue
            if ast.unparse(value).startswith("Callable["):
                found.add(name)
    return found


@cache
def classes() -> dict[str, ast.ClassDef]:
    """Every class of the product, by file and name."""
    return {
        f"{path}:{node.name}": node
        for path, tree in trees().items()
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }


@cache
def product() -> dict[str, ast.ClassDef]:
    """Classes by name, as an annotation names them; of two with one name one that is no frozen value."""
    found: dict[str, ast.ClassDef] = {}
    for node in classes().values():
        if node.name not in found or "frozen=True" in dataclass_call(found[node.name]):
            found[node.name] = node
    return found


def parameters(made: ast.ClassDef) -> list[str]:
    """What an `__init__` that is written out may be given, without `self`."""
    for one in made.body:
        if isinstance(one, ast.FunctionDef) and one.name == "__init__":
            given = one.args
            return [arg.arg for arg in (*given.posonlyargs, *given.args, *given.kwonlyargs)][1:]
    return []


def dataclass_call(made: ast.ClassDef) -> str:
    return next((text for text in map(ast.unparse, made.decorator_list) if text.startswith("dataclass")), "")


@cache
def is_value(made: ast.ClassDef) -> bool:
    """A frozen dataclass of values, a member of an enumeration, a section of the settings."""
    names = {ast.unparse(base).rpartition(".")[2] for base in made.bases}
    if names & VALUES:
        return True
    if any(name in product() and is_value(product()[name]) for name in names):
        return True
    return "frozen=True" in dataclass_call(made) and not parts(made)


def names_in(annotation: ast.expr) -> Iterator[str]:
    for node in ast.walk(annotation):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            yield node.value


def is_part(name: str, inside: ast.ClassDef) -> bool:
    if name in PARTS_OF_OTHERS or name in callables():
        return True
    return name in product() and product()[name] is not inside and not is_value(product()[name])


def parts(made: ast.ClassDef) -> list[str]:
    """The fields of a dataclass that hold something with behaviour and are handed in."""
    found = []
    for one in made.body:
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            made_by_itself = one.value is not None and "default_factory" in ast.unparse(one.value)
            if not made_by_itself and any(is_part(name, made) for name in names_in(one.annotation)):
                found.append(one.target.id)
    return found


def test_no_constructor_takes_more_than_seven_arguments():
    counted = {name: parameters(made) for name, made in classes().items()}
    assert {name: given for name, given in counted.items() if len(given) > PARAMETERS_MAX} == {}


def test_no_dataclass_is_given_more_than_seven_parts_with_behaviour():
    counted = {name: parts(made) for name, made in classes().items() if dataclass_call(made)}
    assert {name: found for name, found in counted.items() if len(found) > PARAMETERS_MAX} == {}
    assert len(counted) >= 200
    assert len(counted["app/core.py:Core"]) == PARAMETERS_MAX, "parts are recognised"
    assert counted["app/assembly.py:Components"] == ["core", "wire", "files", "watches"]
    assert counted["domain/order.py:Order"] == counted["domain/quote.py:Quote"] == [], "values are none"


def test_a_crowded_constructor_is_seen():
    made = ast.parse("class A:\n    def __init__(self, a, b, c, d, *, e, f, g, h): ...\n").body[0]
    assert isinstance(made, ast.ClassDef)
    assert parameters(made) == list("abcdefgh")
