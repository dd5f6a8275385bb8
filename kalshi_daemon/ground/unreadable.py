"""How often something could not be read, by market or index: the first is said at once, then one figure a minute.

Pure: the time comes in (any monotonic clock), what is to be said comes out. One bad market must not flood the log, and
its figure must not disappear in a total of the connection.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from kalshi_daemon.ground.units import MINUTE

NAMES_MAX: Final = 64
"""Further names are counted together under ""."""


@dataclass(frozen=True, slots=True)
class UnreadableRate:
    """`per_min` in the minute that it is said of; `count` since the start."""

    name: str
    """"" when it could not be told whose they were."""
    count: int
    per_min: int


@dataclass(slots=True)
class _Minute:
    start_ns: int
    seen: int
    told: bool
    """What was seen so far has been said."""


class UnreadableRates:
    """Counts by name. At most one UnreadableRate a minute and name comes out, and none for a minute without any."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._minutes: dict[str, _Minute] = {}

    def note(self, name: str, now_ns: int) -> list[UnreadableRate]:
        """Count one. Returns what is to be said now."""
        if name not in self._counts and len(self._counts) >= NAMES_MAX:
            name = ""
        said = self.due(now_ns)
        self._counts[name] += 1
        minute = self._minutes.get(name)
        if minute is None:
            self._minutes[name] = _Minute(now_ns, 1, told=True)
            said.append(UnreadableRate(name, self._counts[name], 1))
        else:
            minute.seen += 1
            minute.told = False
        return said

    def due(self, now_ns: int) -> list[UnreadableRate]:
        """The figures of minutes that have ended; a name that went on is followed for another one."""
        said: list[UnreadableRate] = []
        for name, minute in list(self._minutes.items()):
            if now_ns - minute.start_ns < MINUTE:
                continue
            if minute.told:
                del self._minutes[name]
            else:
                said.append(UnreadableRate(name, self._counts[name], minute.seen))
                self._minutes[name] = _Minute(now_ns, 0, told=True)
        return said
