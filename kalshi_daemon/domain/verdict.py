"""A guard's answer, with the numbers it compared, and what the guards together say of one plan."""

from dataclasses import dataclass
from enum import StrEnum

from kalshi_daemon.domain.quote import Quote


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

    @property
    def numbers(self) -> str:
        """What was measured against what is allowed: "5310 against 5000 ms"; "no data" where nothing was measured."""
        measured = "no data" if self.measured is None else _shown(self.measured)
        limit = "" if self.limit is None else f" against {_shown(self.limit)}"
        return f"{measured}{limit} {self.unit}".strip()


@dataclass(frozen=True, slots=True)
class JudgedQuote:
    """A proposed quote, what each quote guard said, and whether it may be sent."""

    quote: Quote
    verdicts: tuple[Verdict, ...]
    accepted: bool


@dataclass(frozen=True, slots=True)
class Judgement:
    """The chain's answer to one plan."""

    plan_verdicts: tuple[Verdict, ...]
    quotes: tuple[JudgedQuote, ...]
    """In the plan's order, also when the window is closed."""
    accepted: tuple[Quote, ...]

    @property
    def closed(self) -> tuple[Verdict, ...]:
        """The window guards that refuse."""
        return tuple(verdict for verdict in self.plan_verdicts if not verdict.allows)

    @property
    def forced(self) -> tuple[Verdict, ...]:
        """The refusals that an override let through; each is to be logged each time."""
        return tuple(verdict for verdict in self.plan_verdicts if verdict.forced)


def _shown(value: float | str) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
