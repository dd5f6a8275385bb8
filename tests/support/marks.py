"""Which files a run by marks need not read: loading all of them takes a worker ten seconds of its processor.

A mark is written down where its tests are (`pytest.mark.NAME`), so the text of a file says which ones its tests can
have; `unspelled` finds the test for which that is not so.
"""

import ast
import re
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from itertools import chain, combinations

_MARK = re.compile(r"\bmark\.(\w+)")


def could_be_chosen(expression: str, text: str) -> bool:
    """False when no test of a file with this text can be of `-m expression`."""
    try:
        names = {node.id for node in ast.walk(ast.parse(expression, mode="eval")) if isinstance(node, ast.Name)}
        chosen = compile(expression, "-m", "eval")
    except SyntaxError:
        return True  # pytest will say so
    spelled = sorted(names & set(_MARK.findall(text)))
    sets = chain.from_iterable(combinations(spelled, size) for size in range(len(spelled) + 1))
    return any(eval(chosen, {}, {name: name in marks for name in names}) for marks in sets)


def unspelled(marks: Iterable[str], known: AbstractSet[str], text: str) -> list[str]:
    """Those of a test's marks that decide which run it belongs to, and that its file does not name."""
    return sorted(set(marks) & known - set(_MARK.findall(text)))
