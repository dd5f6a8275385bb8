"""Many seeds, one after the other or in several processes, and their sum. What a seed does depends on nothing else."""

import functools
import gc
import logging
import multiprocessing
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tests.simulation.play import Outcome, Say, play

_ADDED = ("seeds", "violations", "crashes", "stops", "lives", "orders", "fills", "simulated_s")


def outcomes(
    seeds: Sequence[int], workers: int, say: Say | None = None, kinds: Sequence[str] = ()
) -> Iterator[Outcome]:
    """Each seed's outcome, in the order asked for. `say` hears the logs; with one worker only. `kinds`: none others."""
    if workers == 1:
        prepare()
        yield from (play(seed, say=say, kinds=kinds) for seed in seeds)
        return
    # Not forked: a child must not begin with what its parent has played.
    with multiprocessing.get_context("spawn").Pool(min(workers, len(seeds)), initializer=prepare) as pool:
        yield from pool.imap(functools.partial(play, kinds=tuple(kinds)), seeds)


@functools.cache
def prepare() -> None:
    """Once per process: what takes long and never changes."""
    # aiohttp's server says so at length whenever a client is gone.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    gc.collect()
    gc.freeze()  # the program itself need not be walked by every collection of every seed


def totals(played: Iterable[Outcome]) -> dict[str, Any]:
    """The result line of these outcomes, without the wall time."""
    return merged(
        {
            "seeds": 1,
            "first_seed": one.seed,
            "violations": len(one.violations),
            "failed_seeds": [one.seed] if one.violations else [],
            "faults": one.faults,
            "crashes": one.crashes,
            "stops": one.stops,
            "lives": one.lives,
            "orders": one.orders,
            "fills": one.fills,
            "alone_longest_s": one.alone_longest_s,
            "simulated_s": one.simulated_s,
            "wall_s": 0.0,
        }
        for one in played
    )


def merged(lines: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """One result line of several: sums, but the first seed and the longest time alone."""
    given = list(lines)
    faults: Counter[str] = Counter()
    for line in given:
        faults.update(line["faults"])
    sums = {name: sum(line[name] for line in given) for name in _ADDED}
    return {
        "seeds": sums.pop("seeds"),
        "first_seed": min(line["first_seed"] for line in given),
        "violations": sums.pop("violations"),
        "failed_seeds": sorted(seed for line in given for seed in line["failed_seeds"]),
        "faults": dict(sorted(faults.items())),
        "kinds": len(faults),
        **sums,
        "simulated_s": round(sums["simulated_s"]),
        "alone_longest_s": round(max(line["alone_longest_s"] for line in given), 2),
        "wall_s": round(sum(line["wall_s"] for line in given), 1),
    }
