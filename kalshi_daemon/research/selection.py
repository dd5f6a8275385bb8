"""Which days and fixings are scored: regular ones, half days, or those a kind of release is felt in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from kalshi_daemon.domain.window import Session
from kalshi_daemon.research.releases import research_calendar
from kalshi_daemon.windows.releases import CPI, FOMC_MINUTES, FOMC_STATEMENT, JOBLESS_CLAIMS, NFP

REGULAR: Final = "regular"
HALF: Final = "half"
_MORNING: Final = (0, 30)
_AFTERNOON: Final = (271, 390)
KINDS: Final = {
    "fomc": (FOMC_STATEMENT, _AFTERNOON),
    "fomc-minutes": (FOMC_MINUTES, _AFTERNOON),
    "cpi": (CPI, _MORNING),
    "nfp": (NFP, _MORNING),
    "claims": (JOBLESS_CLAIMS, _MORNING),
}
"""Releases by the word on the command line: the kind, and the fixings it is felt at, minutes after the open."""
NAMES: Final = (REGULAR, HALF, *KINDS)


@dataclass(frozen=True, slots=True)
class Selection:
    """`wanted(session)` decides about the day; fixings count from `first_min` to `last_min` after the open."""

    name: str
    wanted: Callable[[Session], bool]
    first_min: int = 0
    last_min: int = 390


def regular(session: Session) -> bool:
    """Whether a session is a whole day."""
    return not session.half_day


REGULAR_DAYS: Final = Selection(REGULAR, regular)


def selection_of(name: str) -> Selection:
    """By one of NAMES. Raises KeyError for another."""
    if name == REGULAR:
        return REGULAR_DAYS
    if name == HALF:
        return Selection(HALF, lambda session: session.half_day)
    kind, (first, last) = KINDS[name]
    calendar = research_calendar()

    def wanted(session: Session) -> bool:
        return regular(session) and any(one.event == kind for one in calendar.events_for(session.day))

    return Selection(name, wanted, first, last)
