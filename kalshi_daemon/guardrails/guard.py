"""What a guard is: one question about the state, answered with the numbers it compared.

Window guards are asked once per scan (and, those that may pull, at every look at resting quotes); quote guards are
asked for each proposed quote, with the quotes accepted so far counted. A guard is a frozen dataclass of limits; it
reads the state and never changes it. Missing data is a refusal with `measured=None`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Protocol, runtime_checkable

from kalshi_daemon.domain.quote import Quote, QuotePlan
from kalshi_daemon.domain.verdict import RefusalEffect, Verdict
from kalshi_daemon.domain.window import Session, Window
from kalshi_daemon.ground.units import DOLLAR, Dollars, Nanos
from kalshi_daemon.guardrails.exposure import Exposure
from kalshi_daemon.state import DaemonState
from kalshi_daemon.windows.releases import Release

SessionLookup = Callable[[Nanos], Session | None]
"""The session containing an instant, or None (`windows.sessions.SessionTable.session_of`)."""

ReleaseLookup = Callable[[Nanos, Nanos, Nanos], Release | None]
"""(now, before, after) -> the release that is near, or None (`windows.releases.MacroCalendar.release_near`)."""

Number = int | float | str


@dataclass(frozen=True, slots=True)
class WindowContext:
    """What a window guard may look at besides the state."""

    window: Window
    exposure: Callable[[], Exposure]
    """All positions and live orders; summed up when first asked, then kept."""
    profile: str
    """Whose quotes it is about."""


@dataclass(frozen=True, slots=True)
class QuoteContext:
    """What a quote guard may look at besides the state."""

    plan: QuotePlan
    accepted: tuple[Quote, ...]
    """The quotes of this plan accepted before this one."""
    exposure: Callable[[], Exposure]
    """All positions and live orders, the accepted quotes and the one being judged."""


class Scope(Enum):
    """What a window guard's answer depends on besides the state. Within it, one answer is everybody's at that instant.

    A test holds each guard's code to what it says here.
    """

    ACCOUNT = "account"
    """On nothing: neither the window nor the profile. The account's exposure is part of the state."""
    INDEX = "index"
    """On the index the window's series settles on."""
    WINDOW = "window"
    PROFILE = "profile"
    """On the window and on whose quotes it is about."""


class Guard(Protocol):
    """What every guard says about itself."""

    name: ClassVar[str]
    pulls: ClassVar[bool]
    """Whether a refusal can demand that resting quotes are cancelled (RefusalEffect.PULL)."""


@runtime_checkable
class WindowGuard(Guard, Protocol):
    """Asked about a window."""

    scope: ClassVar[Scope]

    def judge_window(self, state: DaemonState, context: WindowContext, now: Nanos) -> Verdict:
        """Whether anything may be quoted in this window now, with the numbers compared."""
        ...


@runtime_checkable
class QuoteGuard(Guard, Protocol):
    """Asked about a quote."""

    def judge_quote(self, state: DaemonState, quote: Quote, context: QuoteContext, now: Nanos) -> Verdict:
        """Whether this quote may be sent now, given those accepted before it, with the numbers compared."""
        ...


def answer(
    guard: Guard,
    measured: Number | None,
    limit: Number | None,
    unit: str = "",
    *,
    passed: bool,
    closing: RefusalEffect = RefusalEffect.HOLD,
    note: str = "",
) -> Verdict:
    """A guard's verdict. `closing` and `note` matter only when it refuses; nothing measured never passes."""
    if not passed:
        return refuse(guard, measured, limit, unit, closing=closing, note=note)
    assert measured is not None, f"{guard.name} passed without a measurement"
    return Verdict(guard.name, passed=True, measured=measured, limit=limit, unit=unit)


def refuse(
    guard: Guard,
    measured: Number | None,
    limit: Number | None,
    unit: str = "",
    *,
    closing: RefusalEffect = RefusalEffect.HOLD,
    note: str = "",
) -> Verdict:
    """A refusal; `measured` None when there was nothing to measure."""
    return Verdict(guard.name, passed=False, measured=measured, limit=limit, unit=unit, closing=closing, note=note)


def in_dollars(amount: Dollars) -> float:
    """An amount as people read it; comparisons are made on the integers."""
    return amount / DOLLAR
