"""Macro releases as a calendar: CPI, payrolls and FOMC carried as figures, jobless claims computed. Pure.

Dates from 2021 to 2026 were checked against the minute of the price spike they caused, where they had already happened;
those of 2027 are the committee's published schedule (tentative, as its schedules always are). The statistics bureau's
dates of 2027 were not published when this was written, so each kind of release says until when its list is complete,
and `release_near` refuses beyond that for every kind that could be felt in a quoting hour. The operator's own CSV adds
releases and completes lists.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import Final

from kalshi_daemon.ground.new_york import eastern_day, eastern_ns
from kalshi_daemon.ground.units import Nanos

CPI: Final = "CPI"
NFP: Final = "NFP"
FOMC_STATEMENT: Final = "FOMC_STATEMENT"
FOMC_PRESS: Final = "FOMC_PRESS"
FOMC_MINUTES: Final = "FOMC_MINUTES"
"""The minutes of the meeting three weeks before."""
JOBLESS_CLAIMS: Final = "JOBLESS_CLAIMS"
EXHAUSTED: Final = "calendar exhausted"

_MORNING: Final = time(8, 30)
_USUAL_TIME: Final = {
    CPI: _MORNING,
    NFP: _MORNING,
    FOMC_STATEMENT: time(14, 0),
    FOMC_PRESS: time(14, 30),
    FOMC_MINUTES: time(14, 0),
}
_REGULAR_OPEN: Final = time(9, 30)
_THURSDAY: Final = 3

_CPI: Final = (
    "2021-01-13 2021-02-10 2021-03-10 2021-04-13 2021-05-12 2021-06-10 2021-07-13 2021-08-11 2021-09-14 2021-10-13 "
    "2021-11-10 2021-12-10 2022-01-12 2022-02-10 2022-03-10 2022-04-12 2022-05-11 2022-06-10 2022-07-13 2022-08-10 "
    "2022-09-13 2022-10-13 2022-11-10 2022-12-13 2023-01-12 2023-02-14 2023-03-14 2023-04-12 2023-05-10 2023-06-13 "
    "2023-07-12 2023-08-10 2023-09-13 2023-10-12 2023-11-14 2023-12-12 2024-01-11 2024-02-13 2024-03-12 2024-04-10 "
    "2024-05-15 2024-06-12 2024-07-11 2024-08-14 2024-09-11 2024-10-10 2024-11-13 2024-12-11 2025-01-15 2025-02-12 "
    "2025-03-12 2025-04-10 2025-05-13 2025-06-11 2025-07-15 2025-08-12 2025-09-11 2025-10-24 2025-12-18 2026-01-13 "
    "2026-02-13 2026-03-11 2026-04-10 2026-05-12 2026-06-10 2026-07-14 2026-08-12 2026-09-11 2026-10-14 2026-11-10 "
    "2026-12-10"
)
_NFP: Final = (
    "2021-01-08 2021-02-05 2021-03-05 2021-04-02 2021-05-07 2021-06-04 2021-07-02 2021-08-06 2021-09-03 2021-10-08 "
    "2021-11-05 2021-12-03 2022-01-07 2022-02-04 2022-03-04 2022-04-01 2022-05-06 2022-06-03 2022-07-08 2022-08-05 "
    "2022-09-02 2022-10-07 2022-11-04 2022-12-02 2023-01-06 2023-02-03 2023-03-10 2023-04-07 2023-05-05 2023-06-02 "
    "2023-07-07 2023-08-04 2023-09-01 2023-10-06 2023-11-03 2023-12-08 2024-01-05 2024-02-02 2024-03-08 2024-04-05 "
    "2024-05-03 2024-06-07 2024-07-05 2024-08-02 2024-09-06 2024-10-04 2024-11-01 2024-12-06 2025-01-10 2025-02-07 "
    "2025-03-07 2025-04-04 2025-05-02 2025-06-06 2025-07-03 2025-08-01 2025-09-05 2025-11-20 2025-12-16 2026-01-09 "
    "2026-02-11 2026-03-06 2026-04-03 2026-05-08 2026-06-05 2026-07-02 2026-08-07 2026-09-04 2026-10-02 2026-11-06 "
    "2026-12-04"
)
_FOMC: Final = (
    "2021-01-27 2021-03-17 2021-04-28 2021-06-16 2021-07-28 2021-09-22 2021-11-03 2021-12-15 2022-01-26 2022-03-16 "
    "2022-05-04 2022-06-15 2022-07-27 2022-09-21 2022-11-02 2022-12-14 2023-02-01 2023-03-22 2023-05-03 2023-06-14 "
    "2023-07-26 2023-09-20 2023-11-01 2023-12-13 2024-01-31 2024-03-20 2024-05-01 2024-06-12 2024-07-31 2024-09-18 "
    "2024-11-07 2024-12-18 2025-01-29 2025-03-19 2025-05-07 2025-06-18 2025-07-30 2025-09-17 2025-10-29 2025-12-10 "
    "2026-01-28 2026-03-18 2026-04-29 2026-06-17 2026-07-29 2026-09-16 2026-10-28 2026-12-09 2027-01-27 2027-03-17 "
    "2027-04-28 2027-06-09 2027-07-28 2027-09-15 2027-10-27 2027-12-08"
)
_MINUTES_AFTER: Final = timedelta(days=21)
_MINUTES_MOVED: Final = {
    "2019-12-11": "2020-01-03",
    "2020-11-05": "2020-11-25",
    "2024-11-07": "2024-11-26",
    "2025-12-10": "2025-12-30",
}
"""By statement: minutes that came on another day, three weeks later being a holiday."""


def minutes_day(statement: str) -> str:
    """The day on which the minutes of the meeting with this statement are released; dates as YYYY-MM-DD."""
    moved = _MINUTES_MOVED.get(statement)
    return (date.fromisoformat(statement) + _MINUTES_AFTER).isoformat() if moved is None else moved


_LAST_BEFORE: Final = "2020-12-16"
"""The meeting whose minutes are the first ones of the figures above."""
_FOMC_MINUTES: Final = " ".join(minutes_day(day) for day in (_LAST_BEFORE, *_FOMC.split()))
_SHIPPED: Final = {CPI: _CPI, NFP: _NFP, FOMC_STATEMENT: _FOMC, FOMC_PRESS: _FOMC, FOMC_MINUTES: _FOMC_MINUTES}
SHIPPED_COMPLETE_UNTIL: Final[Mapping[str, date]] = {
    CPI: date(2026, 12, 31),
    NFP: date(2026, 12, 31),
    FOMC_STATEMENT: date(2027, 12, 31),
    FOMC_PRESS: date(2027, 12, 31),
    FOMC_MINUTES: date(2027, 12, 31),
}
SHIPPED_FROM: Final = date(2021, 1, 1)


@dataclass(frozen=True, slots=True, order=True)
class Release:
    """One publication. `day` is its New York date, YYYY-MM-DD."""

    at_ns: Nanos
    event: str
    day: str


def release(event: str, day: date, at: time) -> Release:
    """A release of this day and New York time."""
    return Release(eastern_ns(day, at), event, day.isoformat())


def shipped_releases() -> tuple[Release, ...]:
    """The figures above as releases, in order of time."""
    return tuple(
        sorted(
            release(event, date.fromisoformat(day), _USUAL_TIME[event])
            for event, days in _SHIPPED.items()
            for day in days.split()
        )
    )


def jobless_claims(day: date) -> Release | None:
    """The weekly claims if published on this date: Thursdays 08:30 ET, on Wednesday when Thursday is a holiday."""
    thursday = day + timedelta(days=_THURSDAY - day.weekday())
    published = thursday - timedelta(days=1) if _federal_holiday(thursday) else thursday
    return release(JOBLESS_CLAIMS, day, _MORNING) if day == published else None


class MacroCalendar:
    """Releases by time, and until when each kind's list is complete. What it answers never changes."""

    def __init__(self, extra: Iterable[Release] = (), complete_until: Mapping[str, date] | None = None) -> None:
        """`extra`: the operator's releases, added to ours; `complete_until`: ends of lists, the later one wins."""
        self._releases = tuple(sorted({*shipped_releases(), *extra}))
        self._stamps = [one.at_ns for one in self._releases]
        ends = dict(SHIPPED_COMPLETE_UNTIL)
        for event, end in (complete_until or {}).items():
            ends[event] = max(end, ends.get(event, end))
        self.complete_until: Mapping[str, date] = ends
        self._near: tuple[Nanos, Nanos, Nanos, Nanos, Release | None] | None = None
        """The last answer: what was asked for, from when until when it holds, and what it is."""

    def events_for(self, day: date | str) -> tuple[Release, ...]:
        """Every release of a New York date, in order of time; the calibration asks for the FOMC ones."""
        wanted = date.fromisoformat(day) if isinstance(day, str) else day
        name = wanted.isoformat()
        weekly = jobless_claims(wanted)
        listed = (one for one in self._releases if one.day == name)
        return tuple(sorted((*listed, *(() if weekly is None else (weekly,)))))

    def release_near(self, now_ns: Nanos, before_ns: Nanos, after_ns: Nanos) -> Release | None:
        """The release nearest to now within [its time - before, its time + after], or None.

        Fail closed: where the list of a kind that could reach into trading hours is not complete at `now`, the answer
        is a Release named "calendar exhausted" at `now`, never None.
        """
        kept = self._near
        if kept is not None and kept[:2] == (before_ns, after_ns) and kept[2] <= now_ns < kept[3]:
            return kept[4]
        spent = self.exhausted(now_ns, after_ns)
        if spent:
            return Release(now_ns, f"{EXHAUSTED}: {', '.join(spent)}", eastern_day(now_ns).isoformat())
        found = self._nearest(now_ns, before_ns, after_ns)
        if found is None:  # asked at every tick, and nearly always nothing is near
            self._near = before_ns, after_ns, now_ns, self._nothing_until(now_ns, before_ns), None
        return found

    def _nothing_until(self, now_ns: Nanos, before_ns: Nanos) -> Nanos:
        """With nothing near now: when that may change at the earliest, the next New York midnight at the latest."""
        midnight = eastern_ns(eastern_day(now_ns) + timedelta(days=1), time())
        ahead = self._around(now_ns, Nanos(midnight + before_ns))
        return min((Nanos(one.at_ns - before_ns) for one in ahead), default=midnight)

    def _nearest(self, now_ns: Nanos, before_ns: Nanos, after_ns: Nanos) -> Release | None:
        near = [
            one
            for one in self._around(Nanos(now_ns - after_ns), Nanos(now_ns + before_ns))
            if one.at_ns - before_ns <= now_ns <= one.at_ns + after_ns
        ]
        return min(near, key=lambda one: (abs(one.at_ns - now_ns), one), default=None)

    def exhausted(self, now_ns: Nanos, after_ns: Nanos) -> tuple[str, ...]:
        """The kinds whose list does not cover this day although they are felt (until `after_ns` later) in the session.

        Before the first day of the shipped figures every such kind counts as exhausted.
        """
        today = eastern_day(now_ns)
        felt = self.ends_felt(today, after_ns)
        return tuple(event for event, end in felt.items() if today > end or today < SHIPPED_FROM)

    def ends_felt(self, day: date, after_ns: Nanos) -> Mapping[str, date]:
        """Kinds felt (until `after_ns` later) in a session of this day, each with the last day its list covers."""
        opening = eastern_ns(day, _REGULAR_OPEN)
        return {
            event: end
            for event, end in self.complete_until.items()
            if eastern_ns(day, _USUAL_TIME.get(event, _REGULAR_OPEN)) + after_ns >= opening
        }

    def _around(self, first_ns: Nanos, last_ns: Nanos) -> tuple[Release, ...]:
        low, high = bisect_left(self._stamps, first_ns), bisect_left(self._stamps, last_ns + 1)
        first, last = eastern_day(first_ns), eastern_day(last_ns)
        weekly = (jobless_claims(first + timedelta(days=n)) for n in range((last - first).days + 1))
        return (*self._releases[low:high], *(one for one in weekly if one is not None))


def _federal_holiday(thursday: date) -> bool:
    """Whether a Thursday is a federal holiday: the fixed dates, and Thanksgiving (the fourth Thursday of November)."""
    fixed = {(1, 1), (6, 19), (7, 4), (11, 11), (12, 25)}
    fourth = thursday.month == 11 and 22 <= thursday.day <= 28  # noqa: PLR2004 - November, the fourth week
    return (thursday.month, thursday.day) in fixed or fourth
