"""Every target, and how many of a run's inputs each gets."""

from collections.abc import Sequence
from typing import Final

from tests.fuzz.codecs import CODECS
from tests.fuzz.files import FILES
from tests.fuzz.target import Target

TARGETS: Final[tuple[Target, ...]] = (*CODECS, *FILES)


def named(name: str) -> Target:
    return next(target for target in TARGETS if target.name == name)


def shares(inputs: int, names: Sequence[str]) -> dict[str, int]:
    """Target -> inputs, by weight, at least one each; the first gets what rounding leaves."""
    chosen = [named(name) for name in names]
    whole = sum(target.share for target in chosen)
    found = {target.name: max(1, inputs * target.share // whole) for target in chosen}
    found[chosen[0].name] += max(0, inputs - sum(found.values()))
    return found
