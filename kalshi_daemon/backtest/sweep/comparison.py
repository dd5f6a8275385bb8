"""Variants of a sweep against its first one: paired by session, and honest about how many are compared. Pure.

Two variants play the same sessions: the same index paths, crowd and delays. What is compared is the difference of their
edge in each session, summed over its windows, for windows of one session share paths and inventory. Its mean over
sessions has a Student t. Of many comparisons some look good by chance: p-values are adjusted by Holm's step-down
method (Holm 1979, A Simple Sequentially Rejective Multiple Test Procedure). It bounds the chance of even one false
claim, and unlike Benjamini-Hochberg it asks nothing of how the comparisons depend on one another: here they share
sessions and base. It is never weaker than Bonferroni. (Romano and Wolf's bootstrap would find a little more, for a
draw of chance in every figure.)
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from scipy.special import stdtr, stdtrit

from kalshi_daemon.backtest.results import SessionResult

_SESSIONS_MIN = 2
_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Comparison:
    """One variant less the first, in one regime. Dollars an hour of session; None where too little is known."""

    regime: str
    variant: str
    base: str
    sessions: int
    difference: float
    error: float | None
    t: float | None
    p: float | None
    """Two-sided, of this comparison alone."""
    p_adjusted: float | None = None
    """By Holm, over all comparisons of the sweep."""
    low: float | None = None
    high: float | None = None
    """95 % interval of this comparison alone."""


def compare(
    regime: str, names: tuple[str, str], ours: Sequence[SessionResult], base: Sequence[SessionResult]
) -> Comparison:
    """Of `names` (variant, base). Sessions are paired by name; one that only one of them has played is left out."""
    theirs = {result.session: result for result in base}
    pairs = [(result, theirs[result.session]) for result in ours if result.session in theirs]
    hours = sum(result.hours for result, _ in pairs)
    differences = [_worth(one) - _worth(other) for one, other in pairs]
    n, total = len(pairs), sum(differences)
    plain = Comparison(regime, *names, n, total / hours if hours else 0.0, None, None, None)
    if n < _SESSIONS_MIN or not hours:
        return plain
    mean = total / n
    sd = math.sqrt(sum((one - mean) ** 2 for one in differences) / (n - 1))
    if not sd:
        return plain  # nothing differed, or everything by the same
    error, t = sd * math.sqrt(n) / hours, mean / sd * math.sqrt(n)
    reach = float(stdtrit(n - 1, 0.5 + _LEVEL / 2)) * error
    return replace(
        plain,
        error=error,
        t=t,
        p=float(2.0 * stdtr(n - 1, -abs(t))),
        low=plain.difference - reach,
        high=plain.difference + reach,
    )


def adjusted(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The same with Holm's p-values; comparisons without one are none of the family."""
    known = sorted((one.p, place) for place, one in enumerate(comparisons) if one.p is not None)
    found, running = list(comparisons), 0.0
    for rank, (p, place) in enumerate(known):
        running = max(running, min(1.0, p * (len(known) - rank)))
        found[place] = replace(found[place], p_adjusted=running)
    return found


def compare_all(cells: Mapping[tuple[str, str], Sequence[SessionResult]]) -> list[Comparison]:
    """`cells`: (regime, variant) -> results, in order: the first variant of each regime is its base."""
    bases: dict[str, str] = {}
    found = []
    for (regime, variant), results in cells.items():
        base = bases.setdefault(regime, variant)
        if variant != base:
            found.append(compare(regime, (variant, base), results, cells[regime, base]))
    return adjusted(found)


def _worth(result: SessionResult) -> float:
    return sum(row.worth for row in result.rows)
