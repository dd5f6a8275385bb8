"""Sums of several runs."""

from collections import Counter

from tests.simulation.batch import merged, totals
from tests.simulation.play import Outcome


def _outcome(seed: int, *violations: str, **numbers: float) -> Outcome:
    made = Outcome(seed, violations=list(violations), faults=Counter({"latency": 1, f"kind-{seed % 2}": 2}))
    for name, value in numbers.items():
        setattr(made, name, value)
    return made


def test_a_batch_is_the_sum_of_its_seeds():
    line = totals([_outcome(5, crashes=2, orders=7, alone_longest_s=1.5), _outcome(6, "broken", crashes=1, orders=3)])
    assert (line["seeds"], line["first_seed"], line["violations"], line["failed_seeds"]) == (2, 5, 1, [6])
    assert (line["crashes"], line["orders"], line["alone_longest_s"]) == (3, 10, 1.5)
    assert line["faults"] == {"kind-0": 2, "kind-1": 2, "latency": 2}
    assert line["kinds"] == 3


def test_two_batches_add_up_to_the_one_of_all_their_seeds():
    seeds = [_outcome(seed, *["broken"] * (seed % 3 == 0), fills=seed, simulated_s=10.0) for seed in range(1, 8)]
    halves = [totals(seeds[4:]) | {"wall_s": 3.0}, totals(seeds[:4]) | {"wall_s": 1.5}]
    assert merged(halves) == totals(seeds) | {"wall_s": 4.5}
