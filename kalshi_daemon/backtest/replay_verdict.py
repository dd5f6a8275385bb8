"""What a replay came to, as one plain document: equal or not, how far, and how things stood there."""

from dataclasses import dataclass
from typing import Any, Final

from kalshi_daemon.ground.clock import iso_utc
from kalshi_daemon.ground.new_york import eastern_clock
from kalshi_daemon.ground.units import SECOND, Nanos, format_count, format_price
from kalshi_daemon.operations.status import DaemonStatus
from kalshi_daemon.operations.status_forms import document
from kalshi_daemon.recording.entries import CLOSING, Entry, Input
from kalshi_daemon.recording.reader import Gap, Recording
from kalshi_daemon.state import DaemonState

_SHOWN_MAX: Final = 400


@dataclass(frozen=True, slots=True)
class Difference:
    """The first thing that did not come as it was recorded. None: nothing stood there, or nothing came."""

    number: int
    """Of the input that it followed from."""
    at_ns: Nanos
    kind: str
    expected: Entry | None
    came: Entry | None


@dataclass(slots=True)
class Counts:
    """What was played so far."""

    inputs: int = 0
    compared: int = 0
    """Requests, decisions, looks and books that were held against the recording."""
    scans: int = 0
    requests: int = 0
    interleaved: int = 0
    """Inputs that others than inputs had a hand in: equality was not to be expected after them."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """A replay where it stopped."""

    recording: Recording
    counts: Counts
    difference: Difference | None
    gap: Gap | None
    last: Input | None
    state: DaemonState
    status: DaemonStatus
    at_ns: Nanos
    cpu_s: float


def document_of(replayed: Replayed) -> dict[str, Any]:
    """Everything there is to say."""
    recording, last, counts, cpu_s = replayed.recording, replayed.last, replayed.counts, replayed.cpu_s
    at_ns = replayed.at_ns
    played_s = (at_ns - recording.start.now_ns) / SECOND
    return {
        "recording": str(recording.path),
        "run_id": recording.opening.run_id,
        "mode": recording.opening.mode,
        "bytes": recording.bytes,
        "from": iso_utc(Nanos(recording.start.now_ns)),
        "to": iso_utc(at_ns),
        "equal": replayed.difference is None,
        "first_difference": None if replayed.difference is None else difference_of(replayed.difference),
        "ended_in_order": last is not None and last.kind == CLOSING,
        "gap": None if replayed.gap is None else str(replayed.gap),
        "inputs": counts.inputs,
        "compared": counts.compared,
        "scans": counts.scans,
        "requests": counts.requests,
        "interleaved": counts.interleaved,
        "cpu_s": round(cpu_s, 3),
        "times_life": round(played_s / cpu_s, 1) if cpu_s > 0 else None,
        "state": document(replayed.status),
        "orders": _orders(replayed.state),
    }


def difference_of(found: Difference) -> dict[str, Any]:
    """Where, when, what was expected and what came."""
    return {
        "input": found.number,
        "at": iso_utc(found.at_ns),
        "after": found.kind,
        "expected": found.expected,
        "came": found.came,
    }


def sentence(document: dict[str, Any]) -> str:
    """The verdict in a line."""
    found = document["first_difference"]
    if found is not None:
        expected, came = (_shown(found[name]) for name in ("expected", "came"))
        return (
            f"DIFFERS at input {found['input']} ({found['after']}) of {found['at']}: expected {expected}; came {came}"
        )
    equal = f"equal: {document['compared']} requests, decisions and books after {document['inputs']} inputs"
    hand = f"; {document['interleaved']} of them were not the only cause of what followed"
    return equal + (hand if document["interleaved"] else "")


def _shown(entry: list[Any] | None) -> str:
    text = "nothing" if entry is None else " ".join(str(value) for value in entry)
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}..."


def _orders(state: DaemonState) -> list[dict[str, Any]]:
    """What may still trade."""
    return [
        {
            "market": order.market_ticker,
            "side": order.side.value,
            "price": format_price(order.price),
            "count": format_count(order.count),
            "filled": format_count(order.filled),
            "status": order.status.value,
            "profile": order.profile,
            "since": eastern_clock(order.created_ns),
        }
        for order in state.live_orders()
    ]
