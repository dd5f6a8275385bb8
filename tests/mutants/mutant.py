"""What a mutant is: one safety promise broken on purpose, by one exact replacement of text."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """`old` must occur exactly once in `file`; `tests` (below tests/) are few and fast, the likeliest first."""

    name: str
    promise: str
    """The promise that the mutant breaks, as the product makes it."""
    file: str
    """Below kalshi_daemon/."""
    old: str
    new: str
    tests: tuple[str, ...]
