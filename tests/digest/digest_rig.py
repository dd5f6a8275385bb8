"""One made-up Monday: manifests, orders, fills, index values and log lines, as values and as files."""

from datetime import date, time
from pathlib import Path

import numpy as np
import orjson

from kalshi_daemon.artifacts.manifest import Manifest
from kalshi_daemon.digest.records import FillRecord, JournalDay, OrderRecord, Records, Tape
from kalshi_daemon.digest.scans import ScanDay
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.order import Fill, Order, Status
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.clock import iso_utc
from kalshi_daemon.ground.documents import parse_document
from kalshi_daemon.ground.errors import MalformedData, StateCorrupt
from kalshi_daemon.ground.new_york import eastern_ns
from kalshi_daemon.ground.units import SECOND, Count, Dollars, Nanos, Price, lots
from kalshi_daemon.orders.booked import BookedFill, Result
from kalshi_daemon.orders.statement import Span, make_statement

MONDAY = date(2026, 11, 23)
EVENT = "KXINXU-26NOV23H1100"
M1, M2, M3 = (f"{EVENT}-T{strike}" for strike in ("6819.9999", "6809.9999", "6829.9999"))
LEVEL = 6_815.0
SIGMA = 10 / LEVEL
"""So that the forecast's distribution is ten points wide."""


def at(hour: int, minute: int = 0, second: float = 0.0) -> Nanos:
    return Nanos(eastern_ns(MONDAY, time(hour, minute)) + round(second * SECOND))


def fill(
    name: str, market: str, when: Nanos, *, side: Side = Side.BID, price: int = 4_000, count: int = 1,
    fee: int = 0, taker: bool = False,
) -> BookedFill:  # fmt: skip
    made = Fill(f"t{name}", f"x{name}", market, side, Price(price), lots(count), Dollars(fee), taker, when)
    return BookedFill(made, market.rpartition("-")[0], market.partition("-")[0])


def order(
    name: str, market: str = M1, *, made: Nanos | None = None, status: Status = Status.CANCELED, filled: int = 0,
    fair: float = 0.45, profile: str = "wide", reason: str = "", known: bool = True, side: Side = Side.BID,
) -> Order:  # fmt: skip
    made = at(10, 10) if made is None else made
    return Order(
        f"kd-{name}", market, market.rpartition("-")[0], market.partition("-")[0], profile, side, Price(4_000), lots(2),
        status, Nanos(made + 90 * SECOND), made, order_id=f"x{name}" if known else None, filled=Count(filled),
        updated_ns=made, reason=reason, fair=fair, required_edge=0.02,
    )  # fmt: skip


def verdict(guard: str, *, passed: bool = True, measured: object = 1.0, limit: object = 2.0, **more: object) -> dict:
    found = {"guard": guard, "passed": passed, "measured": measured, "limit": limit, "unit": "dollars"}
    return {**found, "closing": "hold", "forced": False, "note": "", **more}


def look(market: str, fair: float | None, *, low: str | None = "6820.00", high: str | None = None) -> dict:
    found = {"market": market, "fair": fair, "model_fair": fair, "best_bid": None, "best_ask": None}
    return {**found, "outcome": "no_edge", "detail": "", "pays_from": low, "pays_to": high}


def quote(market: str, *verdicts: dict, accepted: bool = False) -> dict:
    found = {"market": market, "side": "bid", "price": "0.4000", "count": "1.00", "profile": "wide"}
    ours = dict.fromkeys(("fair", "model_fair", "required_edge"), 0.45)
    money = {"ev": "0.0100", "fee": "0.0000", "max_loss": "0.4000"}
    return {**found, **ours, **money, "accepted": accepted, "verdicts": list(verdicts)}


def reading_line(value: float, n: float = 40.0) -> dict:
    return {"status": "OK", "value": value, "n": n, "n_min": 30.0, "low": 0.5, "high": 1.5}


def go_no_go(record: dict) -> dict:
    answer = {"go": True, "quoting": True, "reasons": [], "forced": [], "windows": {}}
    return {**answer, "generated_at": iso_utc(at(10, 17)), "record": record}


def manifest(
    when: Nanos, *looks: dict, verdicts: tuple = (), quotes: tuple = (), profile: str = "wide", event: str = EVENT,
    plan_id: str | None = None, target: Nanos | None = None,
) -> dict:  # fmt: skip
    target = at(11) if target is None else target
    edges = {"opens": at(10), "new_until": target - 300 * SECOND, "gone_by": target - 120 * SECOND, "target": target}
    times = {name: iso_utc(Nanos(edge)) for name, edge in edges.items()}
    quoting = {"lots": 1, "bins": 4, "impact_cap": "0.0500", "min_ev": "0.0050"}
    return {
        "schema": 1,
        "plan_id": plan_id or f"r1-{when}-{profile}",
        "run_id": "r1",
        "mode": "sim",
        "trigger": "timer",
        "keep": [],
        "cancel": [],
        "orders": [],
        "generated_at": iso_utc(when),
        "series": event.partition("-")[0],
        "outcome": "quoted",
        "window": {
            "event_ticker": event,
            "session": MONDAY.isoformat(),
            **times,
        },
        "profile": {"name": profile, **quoting},
        "inputs": {"index": "SPX", "level": LEVEL, "sigma": SIGMA, "seconds_to_fixing": 1_800.0},
        "verdicts": list(verdicts),
        "looks": list(looks),
        "quotes": list(quotes),
    }


def add_to(scans: ScanDay, found: dict) -> None:
    """As `fold_manifests` does."""
    try:
        scans.add(parse_document(Manifest, orjson.dumps(found), Path("manifest.json")))
    except (StateCorrupt, MalformedData) as problem:
        scans.note_unreadable(str(problem))


def scans_of(*manifests: dict, wanted: tuple[str, ...] = (M1, M2, M3)) -> ScanDay:
    found = ScanDay(wanted)
    for one in manifests:
        add_to(found, one)
    found.finish()
    return found


def tape(*ticks: tuple[Nanos, float], delay_ms: int = 100) -> Tape:
    when = np.array([one for one, _value in ticks], dtype=np.int64)
    return Tape(when, np.array([value for _at, value in ticks]), np.full(len(ticks), delay_ms * 1_000_000))


def records_of(
    fills: tuple[tuple[BookedFill, str, float | None], ...] = (), *, results: dict[str, Result] | None = None,
    corrections: dict[str, list[Result]] | None = None,
    orders: tuple[OrderRecord, ...] = (), tapes: dict[Index, Tape] | None = None, now: Nanos | None = None,
) -> Records:  # fmt: skip
    """Fills as (fill, profile, fair at the decision)."""
    booked = [one for one, _profile, _fair in fills]
    profiles = {one.fill.order_id: profile for one, profile, _fair in fills}
    results = results or {}
    statement = make_statement(booked, [], results, profiles, Span(MONDAY, MONDAY), corrections)
    rows = tuple(FillRecord(one, profile, fair) for one, profile, fair in fills)
    journal = JournalDay(statement, statement.profit, rows, results, orders)
    end = Nanos(at(0) + 86_400 * SECOND)
    return Records(MONDAY, at(0), end, now or at(17), "sim", journal, tapes or {}, None)


def write_manifest(root: Path, found: dict, name: str, series: str = "KXINXU") -> Path:
    path = root / "data" / "raw" / "kalshi" / MONDAY.isoformat() / name / series / "manifest.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(orjson.dumps(found))
    return path


def log_line(when: Nanos, event: str, level: str = "info", run_id: str = "r1", **fields: object) -> bytes:
    head = {"ts": iso_utc(when), "level": level, "event": event, "run_id": run_id, "mode": "sim"}
    return orjson.dumps(head | fields) + b"\n"
