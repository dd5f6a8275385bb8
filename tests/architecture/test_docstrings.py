"""The lint of public docstrings sees what is missing: scripts/check_docstrings.py itself runs in `make lint`."""

import ast
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SAID = '\n    """Said."""'
SAID_INSIDE = '\n        """Said."""'
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def lint() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_docstrings", ROOT / "scripts" / "check_docstrings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def found(lint: ModuleType, text: str, path: str = "kalshi_daemon/ladder/made_up.py") -> list[str]:
    tree = ast.parse(f'"""A module."""\n{text}')
    return [line.partition(": ")[2] for line in lint.problems(Path(path), tree, lint.Product({Path(path): tree}))]


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        ("def f(): ...", ["f has no docstring"]),
        ("class A:\n    pass", ["A has no docstring"]),
        ('class A:\n    """A."""\n    def f(self): ...', ["A.f has no docstring"]),
        ('def f(size: int):\n    """Take it."""', ["f does not say in which unit `size` is"]),
        ('def f() -> float:\n    """Take it."""', ["f does not say in which unit its answer is"]),
        ('def f():\n    """Take it."""\n    raise NotFound("x")', ["f raises NotFound and does not say so"]),
    ],
)
def test_what_is_missing_is_said(lint, text, lacks):
    assert found(lint, text) == lacks


@pytest.mark.parametrize(
    "text",
    [
        'def f(size: int) -> float:\n    """Dollars for `size` contracts."""',
        'def f(wait_ms: int, at_ns: Nanos):\n    """Take it."""',
        'def f():\n    """Take it. Raises VenueRejected."""\n    raise NotFound("x")',
        "def _f(): ...",
        f"class A:{SAID}\n    @property\n    def f(self): ...\n    def __len__(self): ...\n    def _g(self): ...",
        f"class P(Protocol):{SAID}\n    def f(self):{SAID_INSIDE}\nclass A:{SAID}\n    def f(self): ...",
        f"class B:{SAID}\n    def f(self):{SAID_INSIDE}\nclass A(B):{SAID}\n    def f(self): ...",
    ],
)
def test_what_is_said_is_enough(lint, text):
    assert found(lint, text) == []


def test_a_command_has_two_functions_that_need_none(lint):
    text = "def add_parser(subparsers): ...\ndef run(args) -> int: ...\ndef more(): ..."
    assert found(lint, text, "kalshi_daemon/cli/made_up.py") == ["more has no docstring"]
