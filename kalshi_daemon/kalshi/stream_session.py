"""One websocket connection without IO: frames in, events and commands out (docs/reference/venue.md 5).

The shell (`stream`) feeds `receive` with frames and sends what `commands` returns. Private channels are subscribed
first; books follow what is wanted through one `orderbook_delta` subscription, changed by one command at a time. Times
named `net_ns` are any monotonic clock of the network's deadlines; `recv_ns` is the stamp events carry.

What a loss means:
* a gap on the books' sid: SequenceGap (all its books are void), then snapshots of all its markets are asked for. A
  snapshot that does not come, asked for SNAPSHOT_ASKS times, takes its market out for a while; when it is all of
  them, the subscription is made again, and after RESUBSCRIBES_MAX the connection is given up;
* a gap on a private sid, or a frame that cannot be read: events may be missing, so StreamUp is said again, which makes
  the order room compare itself with the exchange;
* error 10 or 25: the subscription is dead. The books' one is made again, for a private one the connection is given up.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from kalshi_daemon.domain.events import BookDelta, BookSnapshot, SequenceGap, StreamUp, VenueEvent
from kalshi_daemon.ground.errors import DaemonError, MalformedData
from kalshi_daemon.ground.units import MILLISECOND, SECOND, Nanos
from kalshi_daemon.ground.unreadable import UnreadableRate, UnreadableRates
from kalshi_daemon.kalshi import fields, ws_codec
from kalshi_daemon.kalshi.sequence import Order, SequenceTracker
from kalshi_daemon.kalshi.ws_codec import Frame, Ignored, Ok, StreamError, Subscribed, Unsubscribed

ACK_TIMEOUT: Final = Nanos(10 * SECOND)
SNAPSHOT_TIMEOUT: Final = Nanos(5 * SECOND)
SNAPSHOT_ASKS: Final = 2
"""How often a snapshot that is due is asked for."""
RESUBSCRIBES_MAX: Final = 3
"""Per connection and in a row; every market in order again starts the count anew."""
COMMAND_GAP: Final = Nanos(50 * MILLISECOND)
"""Least time between two commands about books."""
HOLD_AFTER_ERROR: Final = Nanos(SECOND)
REFUSED_FOR: Final = Nanos(60 * SECOND)
"""How long a market that the venue would not subscribe, or sent no snapshot of, is left alone."""
UNREADABLE_RUN_MAX: Final = 20
"""Frames in a row that cannot be read, with no good one in between; one more and the connection is given up."""
PRIVATE_GAPS_MAX: Final = 20
"""After so many gaps on one private sid its numbers evidently do not count frames, and are no longer followed."""


class SessionLost(DaemonError):  # noqa: N818 - errors are nouns: the tree's rule
    """The connection is of no more use; `args[0]` says why."""


@dataclass(slots=True)
class _Pending:
    """A command about books that was not answered yet."""

    command_id: int
    action: str
    market_tickers: tuple[str, ...]
    sent_ns: int


@dataclass(frozen=True, slots=True)
class Note:
    """Something for the log: a stable event name and fields."""

    event: str
    fields: dict[str, object]


class StreamSession:
    """State of one connection. Not re-used: a new connection gets a new session."""

    def __init__(
        self,
        command_ids: Iterator[int],
        *,
        use_yes_price: bool,
        is_ours: Callable[[str], bool] = ws_codec.any_ticker,
    ) -> None:
        self._ids = command_ids
        self._is_ours = is_ours
        self._use_yes_price = use_yes_price
        self._tracker = SequenceTracker()
        self._private_id: int | None = None
        self._private_sent_ns = 0
        self._private_sids: dict[int, str] = {}
        self._private_gaps: dict[int, int] = {}
        self._wanted: dict[str, None] = {}
        self._active: set[str] = set()
        self._refused_until: dict[str, int] = {}
        self._sid: int | None = None
        self._pending: _Pending | None = None
        self._awaiting: dict[str, tuple[int, int]] = {}
        """Markets whose snapshot is due: since when, and how often it was asked for."""
        self._to_ask: set[str] = set()
        self._renew: set[str] = set()
        """Markets to be taken out and in again."""
        self._resubscribes = 0
        self._remake = False
        self._hold_until = 0
        self._rates = UnreadableRates()
        self._unreadable_run = 0
        self.up = False
        self.lost: list[str] = []
        """Markets taken out although they are wanted; emptied and told by the shell."""
        self.stirred = True
        """Something arrived that `commands` may act on; frames that only pass through do not stir."""
        self.notes: list[Note] = []
        """Filled here, emptied and logged by the shell; bounded by the bounds above."""

    @property
    def dropped(self) -> int:
        """Frames that were duplicates or late."""
        return self._tracker.dropped

    def want(self, market_tickers: Sequence[str]) -> None:
        """The full set of markets whose books should be streamed."""
        self._wanted = dict.fromkeys(market_tickers)

    def need_snapshots(self, market_tickers: Sequence[str]) -> None:
        """Ask for fresh snapshots; markets that are not streamed, or are awaited already, are skipped."""
        self._to_ask.update(
            ticker for ticker in market_tickers if ticker in self._active and ticker not in self._awaiting
        )

    def renew(self, market_tickers: Sequence[str]) -> None:
        """Take markets out of the subscription and in again; those that are not streamed are skipped."""
        self._renew.update(ticker for ticker in market_tickers if ticker in self._active)

    # --- what to send -------------------------------------------------------------------------------------------------

    def commands(self, net_ns: int) -> list[bytes]:
        """What must be sent now; each returned command counts as sent. Raises SessionLost on an overdue answer."""
        self.stirred = False
        self._say_unreadable(self._rates.due(net_ns), "")
        self._check(net_ns)
        if self._private_id is None:
            self._private_id, self._private_sent_ns = next(self._ids), net_ns
            return [ws_codec.subscribe_command(self._private_id, ws_codec.PRIVATE_CHANNELS)]
        if not self.up or self._pending is not None or net_ns < self._hold_until:
            return []
        command = self._next_book_command(net_ns)
        if command is None:
            return []
        self._hold_until = net_ns + COMMAND_GAP
        return [command]

    def wake_in(self, net_ns: int) -> Nanos:
        """How long `commands` can be left alone if nothing arrives and nothing new is wanted; at most a second."""
        due = [net_ns + SECOND]
        if self._pending is not None:
            due.append(self._pending.sent_ns + ACK_TIMEOUT)
        elif self._hold_until > net_ns:
            due.append(self._hold_until)
        return Nanos(max(MILLISECOND, min(due) - net_ns))

    def _next_book_command(self, net_ns: int) -> bytes | None:
        self._retry_snapshots(net_ns)
        target = [ticker for ticker in self._wanted if self._refused_until.get(ticker, 0) <= net_ns]
        if self._sid is None:
            if not target:
                return None
            command_id = self._expect("subscribe", target, net_ns)
            return ws_codec.subscribe_books_command(command_id, target, use_yes_price=self._use_yes_price)
        if self._remake or not target:
            return ws_codec.unsubscribe_command(self._expect("unsubscribe", (), net_ns), self._sid)
        self._renew &= self._active
        if gone := sorted(self._active.difference(target) | self._renew):
            command_id = self._expect("delete_markets", gone, net_ns)
            return ws_codec.update_command(command_id, self._sid, "delete_markets", gone)
        if new := [ticker for ticker in target if ticker not in self._active]:
            command_id = self._expect("add_markets", new, net_ns)
            return ws_codec.update_command(command_id, self._sid, "add_markets", new)
        if ask := sorted(self._to_ask & self._active):
            # Not held in `_pending`: whether an `ok` precedes the snapshots is not documented.
            self._to_ask.clear()
            for ticker in ask:
                self._awaiting[ticker] = net_ns, self._awaiting.get(ticker, (0, 0))[1] + 1
            return ws_codec.update_command(next(self._ids), self._sid, "get_snapshot", ask)
        return None

    def _expect(self, action: str, market_tickers: Sequence[str], net_ns: int) -> int:
        command_id = next(self._ids)
        self._pending = _Pending(command_id, action, tuple(market_tickers), net_ns)
        return command_id

    def _retry_snapshots(self, net_ns: int) -> None:
        """Ask for snapshots that are overdue; give up on the markets that were asked for often enough."""
        overdue = {name: asks for name, (since, asks) in self._awaiting.items() if net_ns - since >= SNAPSHOT_TIMEOUT}
        if not overdue:
            return
        given_up = sorted(name for name, asks in overdue.items() if asks >= SNAPSHOT_ASKS)
        if len(given_up) == len(self._active):
            self._note("kalshi_stream.subscription_unanswered", markets=len(given_up))
            self._begin_again()
            return
        self._refuse(given_up, net_ns)
        for name in given_up:
            del self._awaiting[name]
        self._to_ask.update(overdue.keys() - set(given_up))

    def _begin_again(self) -> None:
        self._resubscribes += 1
        if self._resubscribes > RESUBSCRIBES_MAX:
            raise SessionLost("books cannot be kept in order")
        self._remake = True
        self._awaiting.clear()
        self._to_ask.clear()

    def _check(self, net_ns: int) -> None:
        if self._private_id is not None and not self.up and net_ns - self._private_sent_ns >= ACK_TIMEOUT:
            missing = sorted(set(ws_codec.PRIVATE_CHANNELS) - set(self._private_sids.values()))
            raise SessionLost(f"not acknowledged in time: {', '.join(missing)}")
        if self._pending is not None and net_ns - self._pending.sent_ns >= ACK_TIMEOUT:
            raise SessionLost(f"{self._pending.action} not acknowledged in time")

    # --- what arrived -------------------------------------------------------------------------------------------------

    def receive(self, raw: bytes | str, recv_ns: Nanos, net_ns: int) -> list[VenueEvent]:
        """The events of one frame, in order. Raises SessionLost when the connection is of no more use."""
        try:
            frame = ws_codec.decode_frame(raw, recv_ns, use_yes_price=self._use_yes_price, is_ours=self._is_ours)
        except MalformedData as problem:
            return self._unread(problem, raw, recv_ns, net_ns)
        self._unreadable_run = 0
        events: list[VenueEvent] = []
        if frame.sid is not None and frame.seq is not None and self._tracker.follows(frame.sid):
            verdict = self._tracker.observe(frame.sid, frame.seq, recv_ns)
            if verdict is Order.REPEATED:
                return []
            if isinstance(verdict, SequenceGap):
                events += self._gap(verdict, recv_ns, net_ns)
        events += self._frame(frame, recv_ns, net_ns)
        return events

    def _frame(self, frame: Frame, recv_ns: Nanos, net_ns: int) -> list[VenueEvent]:
        body = frame.body
        if isinstance(body, BookDelta):
            return [body] if body.sid == self._sid else []
        self.stirred = True
        if isinstance(body, BookSnapshot):
            if body.sid != self._sid:
                return []
            self._awaiting.pop(body.market_ticker, None)
            if not self._awaiting:
                self._resubscribes = 0
            return [body]
        if isinstance(body, Subscribed):
            return self._subscribed(body, recv_ns, net_ns)
        if isinstance(body, (Ok, Unsubscribed)):
            self._answered(body, net_ns)
            return []
        if isinstance(body, StreamError):
            return self._error(body, frame, recv_ns, net_ns)
        return [] if isinstance(body, Ignored) else [body]

    def _subscribed(self, body: Subscribed, recv_ns: Nanos, net_ns: int) -> list[VenueEvent]:
        self._tracker.start(body.sid)
        if body.channel == ws_codec.ORDERBOOK_CHANNEL:
            pending = self._pending
            if pending is not None and pending.action == "subscribe" and body.command_id in (None, pending.command_id):
                self._sid, self._active, self._pending = body.sid, set(pending.market_tickers), None
                self._awaiting = dict.fromkeys(pending.market_tickers, (net_ns, 0))
            return []
        self._private_sids[body.sid] = body.channel
        if self.up or not set(ws_codec.PRIVATE_CHANNELS) <= set(self._private_sids.values()):
            return []
        self.up = True
        return [StreamUp(recv_ns)]

    def _answered(self, body: Ok | Unsubscribed, net_ns: int) -> None:
        pending = self._pending
        if pending is None or pending.command_id != body.command_id:
            return  # the ok of a get_snapshot, or of a command that was given up
        self._pending = None
        if isinstance(body, Unsubscribed):
            self._forget_subscription()
            return
        before = set(self._active)
        if body.market_tickers is not None:
            self._active = set(body.market_tickers)
        elif pending.action == "add_markets":
            self._active |= set(pending.market_tickers)
        else:
            self._active -= set(pending.market_tickers)
        self._awaiting = {ticker: due for ticker, due in self._awaiting.items() if ticker in self._active}
        if pending.action == "add_markets":
            self._awaiting |= dict.fromkeys(self._active - before, (net_ns, 0))
            self._refuse([ticker for ticker in pending.market_tickers if ticker not in self._active], net_ns)
        elif pending.action == "delete_markets" and self._active & set(pending.market_tickers):
            raise SessionLost("markets could not be removed")

    def _error(self, body: StreamError, frame: Frame, recv_ns: Nanos, net_ns: int) -> list[VenueEvent]:
        self._note("kalshi_stream.error_received", code=body.code, message=body.message[:200], sid=body.sid)
        if body.sid is not None and body.code in ws_codec.TERMINAL_ERRORS:
            if body.sid in self._private_sids:
                raise SessionLost(f"error {body.code} ended {self._private_sids[body.sid]}")
            if body.sid != self._sid:
                return []
            gap = SequenceGap(body.sid, expected=frame.seq or 0, got=frame.seq or 0, recv_ns=recv_ns)
            self._forget_subscription()
            self._begin_again()
            self._remake = False  # nothing is left to unsubscribe from
            self._hold_until = net_ns + HOLD_AFTER_ERROR
            return [gap]
        if body.command_id is not None and body.command_id == self._private_id:
            raise SessionLost(f"private channels refused with error {body.code}: {body.message[:200]}")
        pending = self._pending
        if pending is not None and body.command_id == pending.command_id:
            self._pending = None
            self._hold_until = net_ns + HOLD_AFTER_ERROR
            if body.code != ws_codec.ERROR_TOO_MANY_REQUESTS:
                self._command_refused(pending, body, net_ns)
        return []

    def _command_refused(self, pending: _Pending, body: StreamError, net_ns: int) -> None:
        if pending.action in ("subscribe", "add_markets"):
            self._refuse(list(body.market_tickers or pending.market_tickers), net_ns)
        else:
            raise SessionLost(f"{pending.action} refused with error {body.code}")

    def _refuse(self, market_tickers: Sequence[str], net_ns: int) -> None:
        if not market_tickers:
            return
        self._refused_until = {ticker: until for ticker, until in self._refused_until.items() if until > net_ns}
        self._refused_until.update(dict.fromkeys(market_tickers, net_ns + REFUSED_FOR))
        self.lost.extend(market_tickers)
        self._note("kalshi_stream.markets_refused", count=len(market_tickers), first=market_tickers[0])

    def _gap(self, gap: SequenceGap, recv_ns: Nanos, net_ns: int) -> list[VenueEvent]:
        self.stirred = True
        self._note("kalshi_stream.frames_missed", sid=gap.sid, expected=gap.expected, got=gap.got)
        if gap.sid == self._sid:
            # Asked for at once, whatever was asked before: an older answer may lie before the gap.
            self._to_ask |= self._active
            self._awaiting = dict.fromkeys(self._active, (net_ns, 0))
            return [gap]
        gaps = self._private_gaps[gap.sid] = self._private_gaps.get(gap.sid, 0) + 1
        if gaps >= PRIVATE_GAPS_MAX:
            self._tracker.stop(gap.sid)
            self._note("kalshi_stream.sequence_ignored", sid=gap.sid, channel=self._private_sids.get(gap.sid, ""))
        return [gap, StreamUp(recv_ns)] if self.up else [gap]

    def _unread(self, problem: MalformedData, raw: bytes | str, recv_ns: Nanos, net_ns: int) -> list[VenueEvent]:
        self._say_unreadable(self._rates.note(_market_of(raw), net_ns), str(problem)[:200])
        self._unreadable_run += 1
        if self._unreadable_run > UNREADABLE_RUN_MAX:
            raise SessionLost("nothing readable comes any more")
        # It may have been a fill. If it was a book's, the next number of its sid shows the gap.
        return [StreamUp(recv_ns)] if self.up else []

    def _say_unreadable(self, rates: Sequence[UnreadableRate], problem: str) -> None:
        for rate in rates:
            self._note(
                "kalshi_stream.frame_unreadable",
                market=rate.name or None,
                count=rate.count,
                per_min=rate.per_min,
                problem=problem,
            )

    def _forget_subscription(self) -> None:
        if self._sid is not None:
            self._tracker.stop(self._sid)
        self._sid, self._pending, self._remake = None, None, False
        self._active.clear()
        self._awaiting.clear()
        self._to_ask.clear()
        self._renew.clear()

    def _note(self, event: str, **values: object) -> None:
        self.notes.append(Note(event, values))


def _market_of(raw: bytes | str) -> str:
    """The market that a frame which cannot be read speaks of; "" when not even that can be told."""
    try:
        frame = fields.as_object(fields.loads(raw, "frame"), "frame")
    except MalformedData:
        return ""
    return fields.market_of(frame.get("msg"))
