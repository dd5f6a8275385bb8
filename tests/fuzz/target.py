"""The form of a target: an input is made, the product reads it, the oracle says what it must not have accepted."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tests.fuzz.oracle import Refused

Mutate = Callable[[random.Random, bytes], bytes]


@dataclass(frozen=True, slots=True)
class Target:
    """`read` returns what the product made of the input; `judge` raises Refused when it should have refused.

    `refusals` are the documented errors. `share`: of the inputs of a whole run, in thousandths.
    """

    name: str
    seeds: Sequence[bytes]
    mutate: Mutate
    read: Callable[[bytes], object]
    judge: Callable[[bytes, object], None]
    refusals: tuple[type[Exception], ...]
    share: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """`escape` and `wrong` say what went wrong, "" when nothing did."""

    accepted: bool
    escape: str = ""
    wrong: str = ""


REFUSED: Final = Verdict(accepted=False)


def examine(target: Target, data: bytes, timed: Callable[[], float]) -> tuple[Verdict, float]:
    """The verdict on one input, and how long the product took with it in seconds of `timed`."""
    begun = timed()
    try:
        made = target.read(data)
    except target.refusals as problem:
        took = timed() - begun
        try:
            str(problem)
        except Exception as second:  # noqa: BLE001 - a complaint that cannot be said
            return Verdict(accepted=False, escape=f"{_place(second)} of a complaint"), took
        return REFUSED, took
    except Exception as problem:  # noqa: BLE001 - whatever it is, it is the finding
        return Verdict(accepted=False, escape=_place(problem)), timed() - begun
    took = timed() - begun
    try:
        target.judge(data, made)
    except Refused as verdict:
        return Verdict(accepted=True, wrong=f"{type(made).__name__}: {verdict}"), took
    return Verdict(accepted=True), took


def _place(problem: Exception) -> str:
    trace = problem.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(problem).__name__
    code = trace.tb_frame.f_code
    return f"{type(problem).__name__} in {code.co_filename.rpartition('/')[2]}:{code.co_name}"
