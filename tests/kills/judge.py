"""The verdict over one exchange's record: how long orders were nobody's, and what came twice, was lost or left behind.

Pure. All instants are the exchange's, nanoseconds.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kalshi_daemon.domain.order import Status
from tests.kills.record import Book, Entry, Rest, Trade

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class DaemonRun:
    """One process. `ready_ns` None: it was killed before READY. `end_ns` is not later than its death."""

    ready_ns: int | None
    end_ns: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Sentences, one per finding; `unowned_ns` is the longest rest without a daemon that knew the order."""

    unowned_ns: int
    unowned_name: str
    duplicates: tuple[str, ...]
    orphans: tuple[str, ...]
    fills: tuple[str, ...]


def judge(
    rests: Sequence[Rest], lives: Sequence[DaemonRun], book: Book, trades: Mapping[str, Trade], now_ns: int
) -> Verdict:
    """After the last life has ended."""
    longest = max(((unowned(rest, lives, book, now_ns), rest.client_order_id) for rest in rests), default=(0, ""))
    return Verdict(
        unowned_ns=longest[0],
        unowned_name=longest[1],
        duplicates=(*accepted_twice(rests), *twins(rests, book, now_ns)),
        orphans=orphans(rests, book),
        fills=fill_differences(trades, book.fills),
    )


def unowned(rest: Rest, lives: Sequence[DaemonRun], book: Book, now_ns: int) -> int:
    """The longest time in one piece that it rested while no living daemon was READY and held it for live."""
    entry = book.orders.get(rest.client_order_id)
    begin, end = rest.created_ns, now_ns if rest.ended_ns is None else rest.ended_ns
    held = [] if entry is None else _meet(_live_spans(entry, now_ns), _ready_spans(lives))
    longest, alone_since = 0, begin
    for since, until in held:
        if until <= begin or since >= end:
            continue
        longest = max(longest, since - alone_since)
        alone_since = max(alone_since, until)
    return max(longest, end - alone_since, 0)


def _ready_spans(lives: Sequence[DaemonRun]) -> list[Span]:
    return [(life.ready_ns, life.end_ns) for life in lives if life.ready_ns is not None]


def _live_spans(entry: Entry, now_ns: int) -> list[Span]:
    """When the journal called it live."""
    ends = [at for at, _status in entry.steps[1:]] + [now_ns]
    return [(at, until) for (at, status), until in zip(entry.steps, ends, strict=True) if status.live]


def _meet(one: Sequence[Span], other: Sequence[Span]) -> list[Span]:
    """Where both hold, in order."""
    both = [(max(a, c), min(b, d)) for a, b in one for c, d in other if max(a, c) < min(b, d)]
    return sorted(both)


def accepted_twice(rests: Sequence[Rest]) -> tuple[str, ...]:
    times = Counter(rest.client_order_id for rest in rests)
    return tuple(f"{name} was accepted {count} times" for name, count in times.items() if count > 1)


def twins(rests: Sequence[Rest], book: Book, now_ns: int) -> tuple[str, ...]:
    """Pairs for one bin (profile, market, side) of which the second was intended while the first rested.

    One that the daemon had already asked to cancel is leaving and does not count.
    """
    bins: defaultdict[tuple[str, str, str], list[tuple[Rest, Entry]]] = defaultdict(list)
    for rest in rests:
        entry = book.orders.get(rest.client_order_id)
        if entry is not None:
            bins[entry.profile, entry.ticker, entry.side].append((rest, entry))
    found: list[str] = []
    for key, orders in bins.items():
        orders.sort(key=lambda pair: pair[0].created_ns)
        for place, (first, entry) in enumerate(orders):
            ended = now_ns if first.ended_ns is None else first.ended_ns
            for second, later in orders[place + 1 :]:
                intended = later.steps[0][0]
                leaving = entry.status_at(intended) is Status.PENDING_CANCEL
                if second.created_ns < ended and intended < ended and not leaving:
                    found.append(f"{key}: {second.client_order_id} beside {first.client_order_id}")
    return tuple(found)


def orphans(rests: Sequence[Rest], book: Book) -> tuple[str, ...]:
    """Orders the journal does not have, and orders that rest though nobody is there any more."""
    strangers = [f"{r.client_order_id} is in no journal" for r in rests if r.client_order_id not in book.orders]
    left = [f"{r.client_order_id} rests after the end" for r in rests if r.ended_ns is None]
    return (*strangers, *left)


def fill_differences(theirs: Mapping[str, Trade], ours: Mapping[str, Trade]) -> tuple[str, ...]:
    return tuple(
        f"trade {name}: ours {ours.get(name)}, the exchange's {theirs.get(name)}"
        for name in sorted(theirs.keys() | ours.keys())
        if theirs.get(name) != ours.get(name)
    )
