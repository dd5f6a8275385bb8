"""Hold public docstrings at 100 %: what it is, in which units, and which of our errors it raises (CONTRIBUTING.md).

Public is what has no underscore in front of its name, nor in front of that of a class around it.
"""

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

SOURCE = "kalshi_daemon"
COMMAND = {"add_parser", "run"}
"""The two functions of every command's module; `cli/main.py` says what they are."""
PLAIN_NUMBERS = {"int", "float"}
UNIT_SUFFIX = re.compile(
    r"_(ns|us|ms|s|seconds|min|minutes|h|hours|days|bytes|share|cents|dollars|points|micros|minor|bits)(_max|_min)?$"
)
SAYS_ITS_UNIT = {
    "seconds", "minutes", "hours", "days", "ms", "ns", "micros", "points", "cents", "lots", "contracts",
    "probability", "pit", "rho", "sigma", "variance", "share", "ratio", "weight", "log_return", "log_move", "log_range",
    "port", "feed_port", "fd", "status", "opcode", "sid", "seq", "command_id", "shard", "exchange_index", "subaccount",
    "seed", "depth", "attempts", "failures", "turns", "sessions", "items", "frames", "rows_max", "bins",
    "decimals", "number",
}  # fmt: skip
"""Names that are a number of themselves, a share of one, an id, or explained in the glossary of CONTRIBUTING.md."""


def own_errors() -> dict[str, set[str]]:
    """Our errors by name, each with those it is one of."""
    files = (f"{SOURCE}/ground/errors.py", f"{SOURCE}/orders/journal_errors.py")
    made = [node for file in files for node in ast.parse(Path(file).read_text()).body if isinstance(node, ast.ClassDef)]
    found: dict[str, set[str]] = {}
    for node in made:  # bases come before what is made of them
        above = _bases(node) & found.keys()
        found[node.name] = above.union(*(found[base] for base in above)) - {"DaemonError"}
    return found


UNIT_WORDS = re.compile(
    r"\b(nanoseconds?|ms|milliseconds?|seconds?|s|minutes?|days?|points?|dollars?|micro-dollars|cents|contracts?|bytes"
    r"|pixels|characters|tokens|percent|per cent|unit|shares?|fraction|ratio|factor|probabilit(y|ies)|variance|sigma|sd"
    r"|log|correlation|density|score|CRPS|PIT|weight|mass|gain|edge|median|mean|sum|count|number|how (many|often|far)"
    r"|rows?|lines|orders|items|bars|jobs|requests|frames|size|level|pid|port|shard|exit code|integer|decimals?|z)\b"
    r"|1/1\d\d?|%",
    re.IGNORECASE,
)
"""One of these says in what a number is that comes back."""

type Function = ast.FunctionDef | ast.AsyncFunctionDef


class Product:
    """Every class by name: what an override may lean on."""

    def __init__(self, trees: dict[Path, ast.Module]) -> None:
        self.errors = own_errors()
        self.classes = {
            node.name: node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
        }
        self.protocols = [made for made in self.classes.values() if "Protocol" in _bases(made)]

    def describes(self, made: ast.ClassDef, method: str) -> bool:
        """Whether a base, or a protocol that the class satisfies, has this method with a docstring."""
        for base in _bases(made):
            above = self.classes.get(base)
            if above is not None and (_documented(above, method) or self.describes(above, method)):
                return True
        names = set(_methods(made))
        return any(_documented(one, method) and names >= _promised(one) for one in self.protocols)


def _bases(made: ast.ClassDef) -> set[str]:
    return {ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in made.bases}


def _methods(made: ast.ClassDef) -> dict[str, Function]:
    return {one.name: one for one in made.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}


def _promised(protocol: ast.ClassDef) -> set[str]:
    return {name for name, one in _methods(protocol).items() if not _is_property(one)}


def _documented(made: ast.ClassDef, method: str) -> bool:
    found = _methods(made).get(method)
    return found is not None and ast.get_docstring(found) is not None


def _is_property(function: Function) -> bool:
    return any(
        "property" in ast.unparse(one) or ast.unparse(one).endswith(".setter") for one in function.decorator_list
    )


def raised(function: Function, errors: Iterable[str]) -> set[str]:
    """Our errors in the function's own `raise` statements, those it catches again left out."""
    found: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Raise) and node.exc is not None:
            made = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            found.add(ast.unparse(made).rpartition(".")[2])
    return found.intersection(errors)


def numbers(function: Function) -> Iterator[str]:
    """The parameters that are a plain number, and whose name does not say of what."""
    given = function.args
    for arg in (*given.posonlyargs, *given.args, *given.kwonlyargs):
        kinds = set(ast.unparse(arg.annotation).split(" | ")) if arg.annotation is not None else set()
        if kinds & PLAIN_NUMBERS and not UNIT_SUFFIX.search(arg.arg) and arg.arg not in SAYS_ITS_UNIT:
            yield arg.arg


def gives_a_number(function: Function) -> bool:
    """Whether a plain number comes back, and the name does not say of what."""
    kinds = set(ast.unparse(function.returns).split(" | ")) if function.returns is not None else set()
    named = UNIT_SUFFIX.search(function.name) or function.name in SAYS_ITS_UNIT
    return bool(kinds & PLAIN_NUMBERS) and not named and not _is_property(function)


def problems_of(function: Function, around: ast.ClassDef | None, product: Product) -> Iterator[str]:
    """What the docstring of one public function lacks."""
    said = ast.get_docstring(function) or ""
    if not said and not _is_property(function) and (around is None or not product.describes(around, function.name)):
        yield "has no docstring"
    of_class = (ast.get_docstring(around) or "") if around is not None else ""
    for error in sorted(raised(function, product.errors)):
        if not any(name in said for name in (error, *product.errors[error])):
            yield f"raises {error} and does not say so"
    if gives_a_number(function) and said and not UNIT_WORDS.search(said):
        yield "does not say in which unit its answer is"
    for name in numbers(function):
        if not re.search(rf"\b{re.escape(name)}\b", said + " " + of_class):
            yield f"does not say in which unit `{name}` is"


def problems(path: Path, tree: ast.Module, product: Product) -> Iterator[str]:
    """What the docstrings of one file lack, each with its place."""
    if ast.get_docstring(tree) is None and tree.body:
        yield f"{path}:1: the module has no docstring"
    command = path.parent.name == "cli"
    yield from _of_body(path, tree.body, None, product, COMMAND if command else set())


def _of_body(
    path: Path, body: list[ast.stmt], around: ast.ClassDef | None, product: Product, exempt: set[str]
) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            if ast.get_docstring(node) is None:
                yield f"{path}:{node.lineno}: {node.name} has no docstring"
            yield from _of_body(path, node.body, node, product, set())
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            if node.name in exempt:
                continue
            name = node.name if around is None else f"{around.name}.{node.name}"
            yield from (f"{path}:{node.lineno}: {name} {what}" for what in problems_of(node, around, product))


def main() -> int:
    trees = {path: ast.parse(path.read_text()) for path in sorted(Path(SOURCE).rglob("*.py"))}
    product = Product(trees)
    found = [line for path, tree in trees.items() for line in problems(path, tree, product)]
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
