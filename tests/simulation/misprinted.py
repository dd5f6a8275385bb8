"""Faults of the index feed's values: null, another size, another index's, one that stands still, a lying snapshot."""

from kalshi_daemon.domain.index import Index
from kalshi_daemon.simulator.exchange.poison import Poison
from kalshi_daemon.simulator.feed.misprints import Misprint
from tests.simulation.effect import Begin, Effect
from tests.simulation.stage import Stage
from tests.support.instruments import INDICES

FACTORS = (0.0, 0.1, 0.5, 0.95, 1.05, 1.2, 10.0)
"""A zero, a lost digit, a source a few per cent off. Beyond what an index moves within minutes (plausibility.py)."""
AGREEING_S_MAX = 25
"""Values that agree for `index_feed.jump_confirm_s` (30 s) are believed on purpose; so misprints end before."""
_APART_S = 40
_FOREVER = 1_000_000


def _index(stage: Stage) -> Index:
    return stage.rng.choice(INDICES)


def _published(stage: Stage, made: list[Misprint]) -> Effect:
    feed = stage.exchange.feed
    feed.misprints.extend(made)

    def end() -> None:
        feed.misprints[:] = [one for one in feed.misprints if all(one is not mine for mine in made)]

    return Effect(lambda: any(one.hits for one in made), end)


def _wrong_size(stage: Stage, _for_s: float) -> Effect:
    """One index, for it cannot be told from a market that fell when both say so. Runs that agree are short."""
    rng, index, made = stage.rng, _index(stage), []
    for _ in range(rng.randint(1, 4)):
        bent = Misprint(index, times=rng.randint(1, AGREEING_S_MAX))
        if rng.random() < 0.3:
            bent.swapped = True
        else:
            bent.factor = rng.choice(FACTORS)
        made += [bent, Misprint(index, times=rng.randint(1, _APART_S))]  # and then the truth for some time
    return _published(stage, made)


def _unsteady(stage: Stage, _for_s: float) -> Effect:
    """For as long as it lasts, no two values agree: nothing of it may ever be believed."""
    rng, index = stage.rng, _index(stage)
    return _published(stage, [Misprint(index, factor=rng.uniform(1.2, 3.0) ** (-1) ** n) for n in range(400)])


def _null(stage: Stage, _for_s: float) -> Effect:
    index = stage.rng.choice((None, *INDICES))
    return _published(stage, [Misprint(index, times=_FOREVER, poison=Poison("val", None))])


def _frozen(stage: Stage, _for_s: float) -> Effect:
    return _published(stage, [Misprint(_index(stage), times=_FOREVER, frozen=True)])


def _snapshot_wrong(stage: Stage, _for_s: float) -> Effect:
    """Values of a wrong size, and the REST snapshot that is asked about them lies: the same way, another, or no number.

    The snapshot is one witness: one that repeats the misprint must not outweigh the other index, which goes on.
    """
    rng, index = stage.rng, _index(stage)
    factor = rng.choice(tuple(one for one in FACTORS if one))
    told = Misprint(index, frozenset({"snapshot"}), times=_FOREVER, factor=factor)
    match rng.choice(("same", "same", "other", "frozen", "null")):
        case "other":
            told.factor = rng.uniform(0.9, 1.1)
        case "frozen":
            told.frozen = True
        case "null":
            told.poison = Poison("value", None)
        case _:
            pass
    wrong = Misprint(index, times=rng.randint(10, AGREEING_S_MAX), factor=factor)
    feed = _published(stage, [wrong, told])
    return Effect(lambda: told.hits > 0, feed.end)


MISPRINTS: dict[str, Begin] = {
    "index_null": _null,
    "index_wrong_size": _wrong_size,
    "index_unsteady": _unsteady,
    "index_frozen": _frozen,
    "index_snapshot_wrong": _snapshot_wrong,
}
