"""How the modules hang together, measured: no circle of imports, and few floors between the packages."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final

import grimp
import pytest

PACKAGES_DEEP_MAX: Final = 12
MODULES_DEEP_MAX: Final = 25
TOP_MAX: Final = 26
"""Packages and modules directly below `kalshi_daemon`."""


@cache
def imports() -> dict[str, frozenset[str]]:
    """Every module with those it imports, for types alone included."""
    graph = grimp.build_graph("kalshi_daemon", cache_dir=None, exclude_type_checking_imports=False)
    return {name: frozenset(graph.find_modules_directly_imported_by(name)) for name in graph.modules}


def in_circles(graph: Mapping[str, frozenset[str]]) -> set[str]:
    """The nodes on a circle, or on a way from one circle to another."""
    left = set(graph)
    while True:
        imported = {other for name in left for other in graph[name] & left}
        stay = {name for name in left if name in imported and graph[name] & left}
        if stay == left:
            return left
        left = stay


def longest(graph: Mapping[str, frozenset[str]]) -> list[str]:
    """The longest chain of imports, from the top down."""

    @cache
    def below(name: str) -> tuple[str, ...]:
        return (name, *deepest(graph[name]))

    def deepest(names: Iterable[str]) -> tuple[str, ...]:
        chains = [below(name) for name in names]
        return max(chains, key=len) if chains else ()

    return list(deepest(graph))


def of_packages(graph: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    def top(name: str) -> str:
        return name.split(".")[1] if "." in name else name

    found: dict[str, set[str]] = {}
    for name, others in graph.items():
        if "." in name:
            found.setdefault(top(name), set()).update({top(other) for other in others if "." in other} - {top(name)})
    return {name: frozenset(others) for name, others in found.items()}


def test_no_circle_of_imports_not_even_one_for_types_alone():
    assert in_circles(imports()) == set()


def test_no_circle_between_packages():
    assert in_circles(of_packages(imports())) == set()


@pytest.mark.parametrize(
    ("graph", "circle"),
    [
        ({"a": "b", "b": "", "c": "a"}, ""),
        ({"a": "b", "b": "a", "c": "a", "d": ""}, "ab"),
        ({"a": "b", "b": "c", "c": "a", "d": "a"}, "abc"),
    ],
)
def test_a_circle_is_found(graph, circle):
    assert in_circles({name: frozenset(others) for name, others in graph.items()}) == set(circle)


def test_imports_for_types_alone_are_seen():
    """`cli.common` imports `rich` and the like lazily; `retention.packing` names `pyarrow` for types alone."""
    graph = grimp.build_graph("kalshi_daemon", include_external_packages=True, cache_dir=None)
    without = grimp.build_graph(
        "kalshi_daemon", include_external_packages=True, cache_dir=None, exclude_type_checking_imports=True
    )
    assert graph.count_imports() > without.count_imports()


def test_the_packages_are_few_and_their_chain_is_short():
    packages = of_packages(imports())
    assert len(packages) <= TOP_MAX
    assert len(longest(packages)) <= PACKAGES_DEEP_MAX, longest(packages)


def test_the_longest_chain_of_modules_does_not_grow():
    chain = longest(imports())
    assert len(chain) <= MODULES_DEEP_MAX, "\n".join(chain)
