"""Sequence numbers of the websocket, per subscription id (docs/reference/venue.md 5.2). No IO.

`seq` grows by one per frame of a sid, control frames included. The first number after a (re)subscribe may be anything.
A gap voids every book of the sid, because one subscription covers many markets with one stream of numbers. A number
that was passed already is a duplicate or came late: its frame is dropped and counted.
"""

from enum import Enum

from kalshi_daemon.domain.events import SequenceGap
from kalshi_daemon.ground.units import Nanos

REPEATS_MAX = 64
"""After so many passed numbers in a row the venue has restarted its count: reported as a gap, counted on from there."""


class Order(Enum):
    """What to do with a frame that shows no gap."""

    NEXT = "next"
    REPEATED = "repeated"


class SequenceTracker:
    """The last number of every live subscription of one connection."""

    __slots__ = ("_last", "_repeats", "dropped", "gaps")

    def __init__(self) -> None:
        self._last: dict[int, int | None] = {}
        self._repeats: dict[int, int] = {}
        self.dropped = 0
        self.gaps = 0

    def start(self, sid: int) -> None:
        """A subscription began: any first number is accepted."""
        self._last[sid] = None
        self._repeats[sid] = 0

    def stop(self, sid: int) -> None:
        """A subscription ended; its late frames are no longer followed."""
        self._last.pop(sid, None)
        self._repeats.pop(sid, None)

    def clear(self) -> None:
        """A new connection: sids and numbers start again."""
        self._last.clear()
        self._repeats.clear()

    def follows(self, sid: int) -> bool:
        """Whether numbers of this subscription have been seen."""
        return sid in self._last

    def observe(self, sid: int, seq: int, recv_ns: Nanos) -> Order | SequenceGap:
        """Judge the next frame of `sid`. After a gap the count goes on from the number that showed it."""
        last = self._last.get(sid)
        if last is None:
            self._last[sid] = seq
            self._repeats[sid] = 0
            return Order.NEXT
        if seq == last + 1:
            self._last[sid] = seq
            self._repeats[sid] = 0
            return Order.NEXT
        if seq <= last:
            self.dropped += 1
            self._repeats[sid] += 1
            if self._repeats[sid] <= REPEATS_MAX:
                return Order.REPEATED
        self.gaps += 1
        self._last[sid] = seq
        self._repeats[sid] = 0
        return SequenceGap(sid=sid, expected=last + 1, got=seq, recv_ns=recv_ns)
