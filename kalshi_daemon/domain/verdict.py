"""A guard's answer, with the numbers it compared."""

from dataclasses import dataclass
from enum import StrEnum


class RefusalEffect(StrEnum):
    """What a refusal means for orders already resting."""

    HOLD = "hold"
    """No new quotes; resting ones stay."""
    PULL = "pull"
    """No new quotes, and resting ones are cancelled."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One question, one answer.

    `measured` and `limit` are printed as they are (numbers with their unit in `unit`, or short words); `measured` is
    None when there was nothing to measure, which is a refusal, never a pass. `forced` marks the one guard that
    `--force-gate-pass` let through although it refused.
    """

    guard: str
    passed: bool
    measured: int | float | str | None
    limit: int | float | str | None
    unit: str = ""
    closing: RefusalEffect = RefusalEffect.HOLD
    forced: bool = False
    note: str = ""

    @property
    def allows(self) -> bool:
        return self.passed or self.forced
