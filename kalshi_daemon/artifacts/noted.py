"""Artifacts that are also noted in a recording: of each decision a summary and the fingerprint of all it stands on."""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from kalshi_daemon.artifacts.writer import ArtifactWriter
from kalshi_daemon.domain.order import Order
from kalshi_daemon.domain.quote import QuotePlan
from kalshi_daemon.domain.verdict import Judgement
from kalshi_daemon.ground.clock import Clock

_DIGITS = 16
_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SORT_KEYS


class NotedArtifacts(ArtifactWriter):
    """Writes what it always writes. `note` is given a list of JSON values."""

    def __init__(self, root: Path, clock: Clock, note: Callable[[list[Any]], None], *, run_id: str, mode: str) -> None:
        super().__init__(root, clock, run_id=run_id, mode=mode)
        self._note = note

    def manifest(self, plan: QuotePlan, judgement: Judgement, orders: Sequence[Order]) -> None:
        """The scan with its quotes, and the fingerprint of picture, plan, verdicts and orders."""
        quotes = [[one.market_ticker, one.side.value, one.price, one.count] for one in judgement.accepted]
        closed = [verdict.guard for verdict in judgement.closed]
        print_of = fingerprint([plan, judgement, list(orders)])
        self._note(["scan", plan.plan_id, plan.window.event_ticker, quotes, closed, print_of])
        super().manifest(plan, judgement, orders)

    def audit(self, entry: Mapping[str, Any]) -> None:
        """A line of the audit trail."""
        self._note(["audit", entry.get("client_order_id"), entry.get("event"), fingerprint(entry)])
        super().audit(entry)


def fingerprint(value: Any) -> str:  # noqa: ANN401 - dataclasses and plain values
    """Equal for equal content, to the last bit of every number. Never raises: a recording must not cost a scan."""
    try:
        content = orjson.dumps(value, default=_plain, option=_OPTIONS)
    except (TypeError, ValueError, RecursionError) as problem:
        content = f"no fingerprint: {type(problem).__name__}".encode()
    return sha256(content).hexdigest()[:_DIGITS]


def _plain(value: object) -> object:
    """What JSON lacks."""
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    return str(value)
