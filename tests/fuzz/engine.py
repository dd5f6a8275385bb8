"""Runs one target: seeds as they are, then mutations, guided by coverage where atheris is there, and counts."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.fuzz.target import Target, examine

_SHOWN_MAX: Final = 20
_INPUT_SHOWN: Final = 400
_KEPT_MAX: Final = 2_000
_FRESH_SHARE: Final = 0.5


@dataclass(slots=True)
class Tally:
    """What a target did with its inputs. `longest_ms`: processor time of the one that took longest."""

    inputs: int = 0
    accepted: int = 0
    escapes: Counter[str] = field(default_factory=Counter)
    wrongly: Counter[str] = field(default_factory=Counter)
    longest_ms: float = 0.0
    longest_input: str = ""
    examples: dict[str, str] = field(default_factory=dict)

    def take(self, target: Target, data: bytes) -> bool:
        """Examine one input; whether it was accepted, rightly or not."""
        verdict, took_s = examine(target, data, time.thread_time)
        self.inputs += 1
        self.accepted += verdict.accepted
        for counts, what in ((self.escapes, verdict.escape), (self.wrongly, verdict.wrong)):
            if what:
                counts[what] += 1
                if len(self.examples) < _SHOWN_MAX:
                    self.examples.setdefault(what, repr(data[:_INPUT_SHOWN]))
        if took_s * 1000 > self.longest_ms:
            self.longest_ms, self.longest_input = took_s * 1000, repr(data[:_INPUT_SHOWN])
        return verdict.accepted

    def report(self, target: str) -> dict[str, Any]:
        return {
            "target": target,
            "inputs": self.inputs,
            "accepted": self.accepted,
            "escapes": sum(self.escapes.values()),
            "accepted_wrongly": sum(self.wrongly.values()),
            "longest_block_ms": round(self.longest_ms, 3),
            "longest_input": self.longest_input if self.longest_ms > 10 else "",
            "escaped": dict(self.escapes.most_common(_SHOWN_MAX)),
            "wrongly": dict(self.wrongly.most_common(_SHOWN_MAX)),
            "examples": self.examples,
        }


def generate(target: Target, inputs: int, seed: int) -> Tally:
    """Without guidance: mutations of the seeds, and of mutations that were accepted."""
    rng, tally = random.Random(f"{target.name}-{seed}"), Tally()
    kept: list[bytes] = list(target.seeds)
    for data in target.seeds[:inputs]:
        tally.take(target, data)
    while tally.inputs < inputs:
        pool = target.seeds if rng.random() < _FRESH_SHARE else kept
        data = target.mutate(rng, rng.choice(pool))
        if tally.take(target, data) and len(kept) < _KEPT_MAX:
            kept.append(data)
    return tally


def guide(target: Target, inputs: int, seed: int, folder: str, done: Callable[[Tally], None]) -> None:
    """With atheris: the fuzzer chooses what to mutate by the branches it reaches. `done` ends the process."""
    import atheris  # noqa: PLC0415 - not on every platform

    tally = Tally()
    begun = {"yet": False}

    def one_input(data: bytes) -> None:
        if not begun["yet"]:
            begun["yet"] = True
            for known in target.seeds[:inputs]:
                tally.take(target, known)
        if tally.inputs < inputs:
            tally.take(target, data)
        if tally.inputs >= inputs:
            done(tally)

    def mutate(data: bytes, size_max: int, turn: int) -> bytes:
        rng = random.Random(turn)
        fresh = not data or rng.random() < _FRESH_SHARE
        return target.mutate(rng, rng.choice(target.seeds) if fresh else data)[:size_max]

    # Never more than asked for: `done` has ended the process by then.
    options = [f"-seed={seed % 2**31 or 1}", "-runs=-1", "-max_len=200000", "-verbosity=0", "-len_control=0"]
    atheris.Setup(["fuzz", *options, folder], one_input, custom_mutator=mutate)
    atheris.Fuzz()
