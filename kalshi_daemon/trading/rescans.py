"""When a window deserves a scan before its timer: its guards have opened again, or its books have come into sync.

A scan that finds a guard closed, or books that are not there yet, places little or nothing; at the start of a day that
is the rule, not the exception. What each scan found missing is remembered here, and asked about until it is there.
Pure: the clock's time comes in, and one event-driven scan of a profile and window follows another no sooner than
`apart`, however often a guard flaps or a book is lost.
"""

from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Final

from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.state import DaemonState

GUARDS_OPENED: Final = "guards_opened"
BOOKS_SYNCED: Final = "books_synced"

type Key = tuple[str, str]
"""Profile name, event ticker."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What the last scan of a profile and window had to do without."""

    closed: tuple[str, ...]
    """Names of the guards that refused."""
    books_usable: int


class Rescans:
    """One entry per profile and window that was scanned; `forget` drops those of windows that are over."""

    def __init__(self, apart: Nanos) -> None:
        self._apart = apart
        self._found: dict[Key, _Found] = {}
        self._driven: dict[Key, Nanos] = {}

    def scanned(self, key: Key, trigger: str, now: Nanos, *, closed: tuple[str, ...], books_usable: int) -> None:
        """A scan was made and found this; `closed` names the guards that refused, `books_usable` says how many."""
        self._found[key] = _Found(closed, books_usable)
        if trigger in {GUARDS_OPENED, BOOKS_SYNCED}:
            self._driven[key] = now

    def trigger(self, key: Key, now: Nanos, books_usable: int, guards_open: Callable[[tuple[str, ...]], bool]) -> str:
        """Why to scan now, or "". `guards_open` is asked only when its answer decides.

        It is given the guards that refused last: most likely they still do. `books_usable`: how many now.
        """
        found = self._found.get(key)
        if found is None or now - self._driven.get(key, Nanos(now - self._apart)) < self._apart:
            return ""
        more_books = books_usable > found.books_usable
        if not (found.closed or more_books) or not guards_open(found.closed):
            return ""
        return GUARDS_OPENED if found.closed else BOOKS_SYNCED

    def forget(self, event_tickers: Container[str]) -> None:
        """Keep only the entries of these events."""
        for table in (self._found, self._driven):
            for key in [key for key in table if key[1] not in event_tickers]:
                del table[key]


def usable_books(state: DaemonState, event_ticker: str) -> int:
    """How many books of the event could be quoted on: in sync, not crossed, not doubted."""
    return sum(book.usable for _market, book in state.venue.followed(event_ticker))
