"""What the daemon wrote about a day, read back: journal and archives, manifests, index values, monitors, the log.

Everything but the journal may be missing, cut or damaged: what cannot be read is named in a note and left out. Memory
is bounded by the day's orders, fills and ticks; manifests and log lines are folded one at a time. Blocking; `go_on` is
called between two files and every LINES_A_BREATH lines, and may raise to give up.
"""

import contextlib
import re
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import orjson

from kalshi_daemon.artifacts.markout_lines import MarkoutKey, key_of, read_markout
from kalshi_daemon.artifacts.monitors import GoNoGo, RecordOfIndex
from kalshi_daemon.artifacts.paths import ArtifactPaths, is_day
from kalshi_daemon.artifacts.scan_files import folders, scans_of_day
from kalshi_daemon.digest.document import SCHEMA
from kalshi_daemon.digest.records import FillRecord, JournalDay, OrderRecord, Tape, order_record
from kalshi_daemon.digest.scans import ScanDay
from kalshi_daemon.digest.service import EVENTS, RATE_LIMITED, ServiceLog
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.markout import Markout
from kalshi_daemon.domain.order import Order
from kalshi_daemon.ground.clock import iso_utc
from kalshi_daemon.ground.documents import Document, read_document
from kalshi_daemon.ground.errors import MalformedData, StateCorrupt, StateTooNew
from kalshi_daemon.ground.folders import cannot_read
from kalshi_daemon.ground.new_york import eastern_day, eastern_midnights
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.index_feed.day_files import read_recordings
from kalshi_daemon.index_feed.recorder import folder_of
from kalshi_daemon.operations.logging import log_path, rotated_path
from kalshi_daemon.orders.booked import BookedFill
from kalshi_daemon.orders.journal import ROWS_MAX, Journal, journal_path
from kalshi_daemon.orders.journal_archive import archives
from kalshi_daemon.orders.journals import corrections_of, inherited_of, results_of
from kalshi_daemon.orders.ledger import week_start
from kalshi_daemon.orders.statement import Span, make_statement

GoOn = Callable[[], None]
LINES_A_BREATH: Final = 2_000
LINE_BYTES_MAX: Final = 1_000_000
_HEAD: Final = re.compile(rb'\{"ts":"([^"]{27})","level":"([a-z]+)","event":"([^"]+)","run_id":"([^"]+)"')
_RATE_LIMITED: Final = RATE_LIMITED.encode()


# --- journal ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def open_journals(root: Path, notes: list[str]) -> Iterator[list[Journal]]:
    """The archives that can be read, then the journal itself, which is right where a row is in two of them.

    Raises StateCorrupt when the journal cannot be read, FileNotFoundError when there is none.
    """
    path = journal_path(root)
    if not path.exists():
        raise FileNotFoundError(path)
    with contextlib.ExitStack() as stack:
        found: list[Journal] = []
        for file in _archives(path, notes):
            try:
                found.append(stack.enter_context(contextlib.closing(Journal.read(file))))
            except StateCorrupt as problem:
                notes.append(f"left out: {problem}")
        found.append(stack.enter_context(contextlib.closing(Journal.read(path))))
        yield found


def _archives(path: Path, notes: list[str]) -> list[Path]:
    try:
        return archives(path)
    except OSError as problem:
        notes.append(f"left out: the journal's archives: {problem}")
        return []


def last_day(journals: Sequence[Journal], paths: ArtifactPaths) -> date | None:
    """The day of the order that changed last; without any, of the last fill, else of the last scan; None: nothing."""
    changed = [order.updated_ns for journal in journals for order in journal.orders_since(Nanos(0), 1)]
    if not changed:
        changed = [one.fill.event_ns for journal in journals for one in journal.fills_since(Nanos(0))[-1:]]
    if changed:
        return eastern_day(Nanos(max(changed)))
    days = sorted(one for one in folders(paths.scans) if is_day(one))
    return date.fromisoformat(days[-1]) if days else None


def read_journal(journals: Sequence[Journal], day: date, *, whole_account: bool, go_on: GoOn) -> JournalDay:
    """The journal's side. `whole_account`: fills of orders that are not ours count too, as they do for the daemon.

    Positions are as of now, but for trades after the day.
    """
    start, end = eastern_midnights(day)
    week = week_start(start)
    orders = _orders(journals, start, end, go_on)
    known = {one.fill.trade_id: one for journal in journals for one in journal.fills_that_matter(week)}
    behind = _behind(journals, orders, list(known.values()))
    fills = [
        one for one in known.values() if one.fill.event_ns < end and (whole_account or one.fill.order_id in behind)
    ]
    held = inherited_of(journals, week) if whole_account else []
    results = results_of(journals, week)
    profile_of = {order_id: order.profile for order_id, order in behind.items()}
    corrections = corrections_of(journals)
    statement = make_statement(fills, held, results, profile_of, Span(day, day), corrections)
    of_week = make_statement(fills, held, results, profile_of, Span(eastern_day(week), day), corrections)
    return JournalDay(
        statement=statement,
        week_profit=of_week.profit,
        fills=tuple(_fill(one, behind.get(one.fill.order_id)) for one in fills),
        results=results | {ticker: found[-1] for ticker, found in corrections.items() if ticker in results},
        orders=tuple(orders.values()),
    )


def _orders(journals: Sequence[Journal], start: Nanos, end: Nanos, go_on: GoOn) -> dict[str, OrderRecord]:
    """By client id: those made on the day. An order never changes before it is made."""
    found: dict[str, OrderRecord] = {}
    for journal in journals:
        for order in journal.orders_since(start, ROWS_MAX):
            if start <= order.created_ns < end:
                found[order.client_order_id] = order_record(order, journal.history(order.client_order_id))
                if len(found) % LINES_A_BREATH == 0:
                    go_on()
    return found


def _behind(
    journals: Sequence[Journal], orders: dict[str, OrderRecord], fills: Sequence[BookedFill]
) -> dict[str, Order]:
    """Exchange order id -> the order behind a fill; those of other days are looked up one by one."""
    known = {one.order.order_id: one.order for one in orders.values()}
    found: dict[str, Order] = {}
    for order_id in {one.fill.order_id for one in fills}:
        lookups = (journal.order_of(order_id) for journal in reversed(journals))
        order = known.get(order_id) or next((one for one in lookups if one is not None), None)
        if order is not None:
            found[order_id] = order
    return found


def _fill(booked: BookedFill, order: Order | None) -> FillRecord:
    """An adopted order has no decision of ours behind it: its fair is 0."""
    fair = order.fair if order is not None and 0.0 < order.fair < 1.0 else None
    if order is None:
        return FillRecord(booked, "", fair)
    return FillRecord(booked, order.profile, fair, order.client_order_id)


# --- manifests, index values, monitors --------------------------------------------------------------------------------


def read_markouts(paths: ArtifactPaths, day: date, notes: list[str], go_on: GoOn) -> tuple[Markout, ...]:
    """Of each fill what was known of it last. Lines that cannot be read are left out and counted in a note."""
    path = paths.markouts(day.isoformat())
    found: dict[MarkoutKey, Markout] = {}
    unreadable, first = 0, ""
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(iter(lambda: file.readline(LINE_BYTES_MAX), b"")):
                if number % LINES_A_BREATH == 0:
                    go_on()
                try:
                    one = read_markout(raw, path)
                except (StateCorrupt, MalformedData) as problem:
                    unreadable, first = unreadable + 1, first or str(problem)
                    continue
                found[key_of(one)] = one
    except FileNotFoundError:
        return ()
    except OSError as problem:
        notes.append(f"left out: {path}: {problem.strerror}")
    if unreadable:
        notes.append(f"{path}: {unreadable} lines cannot be read; first: {first}")
    return tuple(found.values())


def fold_manifests(paths: ArtifactPaths, day: date, scans: ScanDay, go_on: GoOn) -> None:
    """Every scan of the day, loose or packed, in order of its folder's name, then `finish`."""
    found = scans_of_day(paths, day.isoformat())
    for scan in found:
        go_on()
        try:
            scans.add(scan.manifest())
        except StateCorrupt as problem:
            scans.note_unreadable(str(problem), newer=isinstance(problem, StateTooNew))
        except MalformedData as problem:
            scans.note_unreadable(f"{scan.path}: {problem}")
    for sentence in found.problems:
        scans.note_unreadable(sentence)
    scans.finish()


def read_tapes(root: Path, day: date, notes: list[str], go_on: GoOn, ours: Container[Index]) -> dict[Index, Tape]:
    """The ticks of the day by index, in order of their stamps; an index without any is left out."""
    start, end = eastern_midnights(day)
    folder = folder_of(root / "data" / "raw", start)
    try:
        found = read_recordings(folder, _ticks, go_on, ours)
    except OSError as problem:
        notes.append(f"index values: {cannot_read(problem) if problem.filename else problem}")
        return {}
    if found.unreadable:
        notes.append(f"{folder}: {found.unreadable} files of index values cannot be read")
    tapes = {index: _tape(parts, start, end) for index, parts in found.parts.items()}
    return {index: tape for index, tape in tapes.items() if len(tape.at_ns)}


def _ticks(path: Path) -> tuple[Any, Any, Any]:
    import pyarrow.compute as pc  # noqa: PLC0415 - 90 ms and 40 MB that only readers need
    import pyarrow.parquet as pq  # noqa: PLC0415

    table = pq.ParquetFile(path).read(columns=["kind", "event_ns", "recv_ns", "value"])
    ticks = table.filter(pc.equal(pc.cast(table["kind"], "string"), "tick"))
    return ticks["event_ns"].to_numpy(), ticks["recv_ns"].to_numpy(), ticks["value"].to_numpy()


def _tape(parts: list[tuple[Any, Any, Any]], start: Nanos, end: Nanos) -> Tape:
    at, received, value = (np.concatenate([part[column] for part in parts]) for column in range(3))
    chosen = np.flatnonzero((at >= start) & (at < end))
    order = chosen[np.argsort(at[chosen], kind="stable")]
    return Tape(at[order].astype(np.int64), value[order].astype(np.float64), (received - at)[order].astype(np.int64))


@dataclass(frozen=True, slots=True)
class _KeptForecast:
    readings: dict[str, RecordOfIndex] | None


@dataclass(frozen=True, slots=True)
class _KeptDigest:
    """What is read again of the document that `digest.document` makes."""

    WHAT: ClassVar[str] = "digest"
    SCHEMA: ClassVar[int] = SCHEMA

    forecast: _KeptForecast


def read_forecast(paths: ArtifactPaths, day: date, notes: list[str]) -> dict[str, RecordOfIndex] | None:
    """The monitors' figures: of `go_no_go.json` if of the day, else of the digest made on the day, else None."""
    start, end = (iso_utc(one) for one in eastern_midnights(day))
    now = _unless_unreadable(GoNoGo, paths.go_no_go, notes)
    record = {} if now is None else now.record
    found = {name: one for name, one in record.items() if start <= str(one.get("asked_at", "")) < end}
    if found:
        return found
    kept = _unless_unreadable(_KeptDigest, paths.digest(day.isoformat()), notes)
    return None if kept is None else kept.forecast.readings


def _unless_unreadable[D: Document](kind: type[D], path: Path, notes: list[str]) -> D | None:
    """The document; None when there is none, or when it cannot be read: that is noted."""
    try:
        return read_document(kind, path)
    except FileNotFoundError:
        return None
    except (StateCorrupt, OSError) as problem:
        notes.append(f"left out: {problem}")
        return None


# --- the log ----------------------------------------------------------------------------------------------------------


def fold_log(root: Path, day: date, log: ServiceLog, notes: list[str], go_on: GoOn) -> None:
    """Every line of the day, of the rotated file and of the current one, line by line."""
    start, end = (iso_utc(one).encode() for one in eastern_midnights(day))
    current = log_path(root)
    rotated = rotated_path(current)
    first = b""
    read = 0
    for path in (rotated, current):
        try:
            with path.open("rb") as file:
                while raw := file.readline(LINE_BYTES_MAX):
                    read += 1
                    if read % LINES_A_BREATH == 0:
                        go_on()
                    first = first or raw[7:34]
                    if not raw.startswith(b'{"ts":"') or start <= raw[7:34] < end:
                        _fold_line(raw, log)
        except FileNotFoundError:
            continue
        except OSError as problem:
            notes.append(f"{path}: {problem.strerror}")
    if not read:
        notes.append("no log: the service part has the journal's figures only")
    elif first > start and rotated.exists():
        notes.append(f"the log begins at {first.decode(errors='replace')}: the service part says nothing about before")


def _fold_line(raw: bytes, log: ServiceLog) -> None:
    """Only what is counted is decoded whole; of other lines when, what and which run is enough."""
    head = _HEAD.match(raw)
    if head is not None and raw.endswith(b"}\n"):
        ts, level, event, run_id = (part.decode(errors="replace") for part in head.groups())
        if level not in {"warning", "error"} and event not in EVENTS and _RATE_LIMITED not in raw:
            log.add({"ts": ts, "level": level, "event": event, "run_id": run_id})
            return
    try:
        line = orjson.loads(raw)
    except orjson.JSONDecodeError:
        log.unreadable += 1
        return
    if isinstance(line, dict):
        log.add(line)
    else:
        log.unreadable += 1
