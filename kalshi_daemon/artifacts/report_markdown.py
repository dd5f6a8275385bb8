"""A day's facts as Markdown, for people. Pure: the same facts give the same text."""

from collections.abc import Iterable, Sequence
from typing import Any

from kalshi_daemon.artifacts.report import FILLS_KEPT, QUOTES_KEPT, DayFacts
from kalshi_daemon.ground.tables import Column, Table, markdown_section
from kalshi_daemon.ground.units import Count, Dollars, format_count, format_dollars

Json = dict[str, Any]


def render(facts: DayFacts, generated_at: str) -> str:
    """The whole report. Text from outside never breaks a table."""
    scans = sum(sum(outcomes.values()) for outcomes in facts.scans.values())
    fees, contracts = format_dollars(Dollars(facts.fees)), format_count(Count(facts.contracts))
    profit = "not known" if facts.profit is None else f"{format_dollars(Dollars(facts.profit))} dollars"
    lines = [
        f"# {facts.series} {facts.day} ({facts.mode})",
        "",
        f"Generated {generated_at} from {len(facts.runs)} run(s). Times are UTC, the date is New York's.",
        *([f"Note: {facts.note}"] if facts.note else []),
        "",
        f"- scans: {scans} in {len(facts.windows)} window(s)",
        f"- quotes accepted: {facts.quotes_total}",
        f"- fills: {facts.fills_total}, {contracts} contracts, fees {fees} dollars",
        f"- settled markets: {len(facts.settlements)}, profit after fees {profit}",
        *(
            [f"- manifests dropped because the disk was slow: {facts.manifests_dropped}"]
            if facts.manifests_dropped
            else []
        ),
        *([f"- audit lines whose numbers could not be read: {facts.unreadable}"] if facts.unreadable else []),
        "",
        *_runs(facts),
        *_scans(facts),
        *_refusals(facts),
        *_orders(facts),
        *_fills(facts),
        *_positions(facts),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _runs(facts: DayFacts) -> list[str]:
    rows = ((run_id, run.get("first", ""), run.get("last", "")) for run_id, run in facts.runs.items())
    return _table("Runs", ("run", "first", "last"), rows)


def _scans(facts: DayFacts) -> list[str]:
    outcomes = ((name, outcome, n) for name, counts in facts.scans.items() for outcome, n in counts.items())
    windows = (
        (event, w["scans"], w["proposed"], w["accepted"], w.get("level", ""), w.get("sigma_bp", ""))
        for event, w in facts.windows.items()
    )
    looks = sorted(facts.looks.items(), key=lambda item: -item[1])
    return [
        *_table("Scans", ("profile", "outcome", "scans"), outcomes),
        *_table("Windows", ("window", "scans", "proposed", "accepted", "last level", "last sigma, bp"), windows),
        *_table("Markets looked at", ("outcome", "looks"), looks),
    ]


def _refusals(facts: DayFacts) -> list[str]:
    ranked = sorted(facts.refusals.items(), key=lambda item: -(item[1]["scans"] + item[1]["quotes"]))
    rows = (
        (guard, row["scans"], row["quotes"], row["forced"], _measure(row), row.get("last", ""), row.get("at", ""))
        for guard, row in ranked
    )
    headings = ("guard", "scans refused", "quotes refused", "forced", "last measured / limit", "note", "at")
    return _table("Guards that refused", headings, rows)


def _orders(facts: DayFacts) -> list[str]:
    shown = len(facts.quotes)
    rest = f" (last {shown} of {facts.quotes_total}; at most {QUOTES_KEPT} are listed)"
    quotes = (
        (q["at"], q["profile"], q["market"], q["side"], q["price"], q["count"], _number(q["fair"]), q["ev"])
        for q in facts.quotes
    )
    return [
        *_table("Order actions", ("action", "lines"), facts.orders.items()),
        *_table(
            "Quotes" + (rest if facts.quotes_total > shown else ""),
            ("at", "profile", "market", "side", "price", "count", "fair", "ev"),
            quotes,
        ),
    ]


def _fills(facts: DayFacts) -> list[str]:
    rest = f" (last {len(facts.fills)} of {facts.fills_total}; at most {FILLS_KEPT} are listed)"
    keys = ("timestamp", "market", "side", "price", "count", "fee", "client_order_id")
    settled = ("timestamp", "market", "result", "count", "profit", "fees")
    return [
        *_table(
            "Fills" + (rest if facts.fills_total > len(facts.fills) else ""),
            keys,
            (tuple(fill.get(key, "") for key in keys) for fill in facts.fills),
        ),
        *_table("Settlements", settled, (tuple(one.get(k, "") for k in settled) for one in facts.settlements.values())),
    ]


def _positions(facts: DayFacts) -> list[str]:
    keys = ("market", "count", "cash", "fees", "settled")
    rows = (tuple(one.get(key, "") for key in keys) for one in facts.positions)
    return _table(f"Positions at {facts.positions_at}" if facts.positions_at else "Positions", keys, rows)


def _table(title: str, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Nothing of a table without rows."""
    cells = [tuple("" if value is None else str(value) for value in row) for row in rows]
    return [markdown_section(Table([Column(name) for name in headings], cells, title))] if cells else []


def _measure(row: Json) -> str:
    measured = "no data" if row.get("measured") is None else _number(row["measured"])
    return f"{measured} / {_number(row.get('limit'))} {row.get('unit', '')}".strip()


def _number(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
