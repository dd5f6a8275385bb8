"""What a series' daily report is made of: facts accumulated over the day from scans and audit lines. Pure.

The predecessor overwrote the day's report at each scan, so that only the last one survived
(docs/reference/predecessor.md 9.18). Here the facts add up, survive a restart as a JSON file, and the Markdown is
rendered from all of them.

Bounds: the last QUOTES_KEPT quotes and FILLS_KEPT fills are listed, all are counted; at most SETTLEMENTS_KEPT markets
are listed as settled, the first ones.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Final

from kalshi_daemon.artifacts.manifest import outcome_of, quote_row
from kalshi_daemon.domain.quote import QuotePlan
from kalshi_daemon.domain.verdict import Judgement, Verdict
from kalshi_daemon.ground.clock import iso_utc
from kalshi_daemon.ground.errors import MalformedField
from kalshi_daemon.ground.units import Nanos, format_count, format_dollars, parse_count, parse_dollars
from kalshi_daemon.state import Position

Json = dict[str, Any]
Counts = dict[str, int]

QUOTES_KEPT: Final = 200
FILLS_KEPT: Final = 500
SETTLEMENTS_KEPT: Final = 2_000


@dataclass(slots=True)
class DayFacts:
    """One series' day: the document `reports/<series>/<day>.json`. Only JSON values inside."""

    WHAT: ClassVar[str] = "report"
    SCHEMA: ClassVar[int] = 1

    series: str
    day: str
    mode: str
    runs: dict[str, Json] = field(default_factory=dict)
    """run_id -> {first, last}: when this run first and last added something."""
    scans: dict[str, Counts] = field(default_factory=dict)
    """profile -> outcome -> scans."""
    windows: dict[str, Json] = field(default_factory=dict)
    """event -> {scans, proposed, accepted, level, sigma_bp}; the last two as of the last scan."""
    refusals: dict[str, Json] = field(default_factory=dict)
    """guard -> {scans, quotes, forced, last, at}: how often it refused a scan, a quote, or was overridden."""
    looks: Counts = field(default_factory=dict)
    orders: Counts = field(default_factory=dict)
    """audit action -> lines."""
    quotes: list[Json] = field(default_factory=list)
    quotes_total: int = 0
    fills: list[Json] = field(default_factory=list)
    fills_total: int = 0
    contracts: int = 0
    """Filled, in 1/100 contract."""
    fees: int = 0
    """In 1/10 000 dollar."""
    settlements: dict[str, Json] = field(default_factory=dict)
    """market -> its settlement; a later line about the same market replaces the earlier one."""
    profit_today: str = ""
    """Dollars, as the ledger had it at the last settlement or correction; "" before the first."""
    positions: list[Json] = field(default_factory=list)
    positions_at: str = ""
    manifests_dropped: int = 0
    unreadable: int = 0
    """Audit lines whose numbers could not be read: listed, not added up."""
    note: str = ""
    schema: int = SCHEMA

    def note_run(self, run_id: str, at: str) -> None:
        """A run wrote to this day; the first and the last time are kept."""
        self.runs.setdefault(run_id, {"first": at})["last"] = at

    def note_scan(self, plan: QuotePlan, judgement: Judgement, run_id: str) -> None:
        """Add one scan, accepted or refused."""
        at = iso_utc(plan.made_ns)
        self.note_run(run_id, at)
        _count(self.scans.setdefault(plan.profile.name, {}), outcome_of(plan, judgement))
        window = self.windows.setdefault(plan.window.event_ticker, {"scans": 0, "proposed": 0, "accepted": 0})
        window["scans"] += 1
        window["proposed"] += len(plan.quotes)
        window["accepted"] += len(judgement.accepted)
        window["level"] = round(plan.forecast_level, 2)
        window["sigma_bp"] = round(plan.forecast_sigma * 1e4, 2)
        for look in plan.looks:
            _count(self.looks, look.outcome)
        self._note_refusals(judgement.plan_verdicts, "scans", at)
        for one in judgement.quotes:
            self._note_refusals(one.verdicts, "quotes", at)
        self.quotes_total += len(judgement.accepted)
        accepted = [{"at": at, **asdict(quote_row(quote))} for quote in judgement.accepted]
        self.quotes = [*self.quotes, *accepted][-QUOTES_KEPT:]

    def note_audit(self, entry: Mapping[str, Any], run_id: str) -> None:
        """Add one audit line of this series: counts of actions, fills and settlements."""
        action = str(entry.get("action", "unknown"))
        self.note_run(run_id, str(entry.get("timestamp", "")))
        _count(self.orders, action)
        if action == "fill":
            self.fills_total += 1
            self.fills = [*self.fills, dict(entry)][-FILLS_KEPT:]
            try:
                count, fee = parse_count(entry.get("count"), "count"), parse_dollars(entry.get("fee"), "fee")
            except MalformedField:
                self.unreadable += 1
                return
            self.contracts += count
            self.fees += fee
        elif action in {"settle", "correct"}:
            self.profit_today = str(entry.get("series_profit_today") or "not said")
        if action == "settle":
            market = str(entry.get("market", ""))
            if market in self.settlements or len(self.settlements) < SETTLEMENTS_KEPT:
                self.settlements[market] = dict(entry)

    def note_positions(self, positions: Iterable[Position], at_ns: Nanos) -> None:
        """Replace the positions: what is held now, settled ones included."""
        self.positions_at = iso_utc(at_ns)
        self.positions = [
            {
                "market": position.market_ticker,
                "count": format_count(position.count),
                "cash": format_dollars(position.cash),
                "fees": format_dollars(position.fees),
                "settled": position.settled,
            }
            for position in positions
        ]

    @property
    def profit(self) -> int | None:
        """Of the day in 1/10 000 dollar, settlements and corrections, by the ledger; None when it is not known."""
        if not self.profit_today:
            return None if self.settlements else 0  # lines of before 0.1.0 do not say it
        try:
            return parse_dollars(self.profit_today, "profit_today")
        except MalformedField:
            return None

    def _note_refusals(self, verdicts: Iterable[Verdict], kind: str, at: str) -> None:
        for verdict in verdicts:
            if verdict.passed:
                continue
            row = self.refusals.setdefault(verdict.guard, {"scans": 0, "quotes": 0, "forced": 0})
            row[kind] += 1
            row["forced"] += verdict.forced
            row["measured"], row["limit"], row["unit"] = verdict.measured, verdict.limit, verdict.unit
            row["last"], row["at"] = verdict.note, at


def _count(counts: Counts, key: str) -> None:
    counts[key] = counts.get(key, 0) + 1
