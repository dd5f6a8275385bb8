"""`kalshi-daemon ledger`: fills, settlements and positions with their profit, from the journal. CSV for accountants."""

import argparse
import contextlib
import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from kalshi_daemon.cli.common import Subparsers, UsageError, a_date, a_path, load_written
from kalshi_daemon.cli.orders import existing_journal
from kalshi_daemon.cli.output import show
from kalshi_daemon.ground.clock import iso_utc
from kalshi_daemon.ground.durable import place_for, write_whole
from kalshi_daemon.ground.errors import ExitCode
from kalshi_daemon.ground.new_york import eastern_clock
from kalshi_daemon.ground.tables import Column, Table
from kalshi_daemon.ground.units import Dollars, Nanos, format_count, format_dollars, format_price
from kalshi_daemon.orders.journal import ROWS_MAX, Journal
from kalshi_daemon.orders.journal_archive import archives
from kalshi_daemon.orders.journals import corrections_of, inherited_of, results_of
from kalshi_daemon.orders.statement import CorrectionLine, FillLine, MarketLine, Span, Statement, make_statement
from kalshi_daemon.settings.model import Settings

CSV_COLUMNS: Final = (
    "kind", "day", "time_utc", "series", "event", "market", "profile", "side", "price", "count", "fee_dollars",
    "cash_dollars", "result", "paid_dollars", "profit_dollars", "trade_id", "order_id", "client_order_id",
)  # fmt: skip
"""One row per fill, settlement, correction of one (with the difference it made) and open position.

Cells that do not apply are empty, totals are left to the reader.
"""
_FILL_COLUMNS: Final = (
    Column("filled (ET)"), Column("market", style="bold"), Column("profile"), Column("side"),
    Column("price", right=True), Column("count", right=True), Column("fee", right=True), Column("cash", right=True),
)  # fmt: skip
_MARKET_COLUMNS: Final = (
    Column("settled (ET)"), Column("market", style="bold"), Column("count", right=True), Column("cash", right=True),
    Column("fees", right=True), Column("result"), Column("paid", right=True), Column("profit", right=True),
)  # fmt: skip
_CORRECTION_COLUMNS: Final = (
    Column("booked (ET)"), Column("market", style="bold"), Column("count", right=True), Column("result"),
    Column("before"), Column("profit", right=True),
)  # fmt: skip
_TOTAL_COLUMNS: Final = (
    Column("day"), Column("series", style="bold"), Column("fills", right=True), Column("contracts", right=True),
    Column("fees", right=True), Column("settled", right=True), Column("profit", right=True),
)  # fmt: skip


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "ledger",
        help="show fills, settlements, positions and P&L from the journal; export to CSV",
        description="Sums up the journal by New York day and series; safe while a daemon runs. Profit counts "
        "on the day its market settled, corrections on the day they were booked, fees on the day of the fill. Cash "
        "and profit are on the YES scale, fees included; open positions are shown as of now.",
    )
    parser.add_argument("--from", dest="first", type=a_date, metavar="D", help="first day, YYYY-MM-DD, New York")
    parser.add_argument("--to", dest="last", type=a_date, metavar="D", help="last day, inclusive")
    parser.add_argument("--csv", type=a_path, metavar="FILE", help="also write every row to a CSV file, overwriting it")


def run(args: argparse.Namespace) -> int:
    settings = load_written(args, "ledger")
    if args.first is not None and args.last is not None and args.last < args.first:
        raise UsageError(f"--to {args.last} is before --from {args.first}", "kalshi-daemon ledger")
    path = existing_journal(settings.mode_dir)
    with contextlib.ExitStack() as stack:
        files = [*archives(path), path]
        journals = [stack.enter_context(contextlib.closing(Journal.read(file))) for file in files]
        statement = _statement(journals, settings, Span(args.first, args.last))
    if args.csv is not None:
        write_whole(place_for(args.csv, "CSV", settings.state_dir), csv_of(statement).encode(), "CSV")
    show(args, _data(args, settings, path, statement), *_tables(args, settings, statement))
    return ExitCode.OK


def _statement(journals: Sequence[Journal], settings: Settings, span: Span) -> Statement:
    """What counts is what counts for the daemon: everything on the account, or with scope `own` our orders' fills.

    `journals`: the archives, then the journal itself, which is right where a row is in two of them.
    """
    whole_account = settings.orders.scope == "account"
    orders = [order for journal in journals for order in journal.orders_since(Nanos(0), ROWS_MAX)]
    profile_of = {order.order_id: order.profile for order in orders if order.order_id is not None}
    known = {booked.fill.trade_id: booked for journal in journals for booked in journal.fills_since(Nanos(0))}
    fills = [booked for booked in known.values() if whole_account or booked.fill.order_id in profile_of]
    inherited = inherited_of(journals, Nanos(0)) if whole_account else []
    results = results_of(journals, Nanos(0))
    return make_statement(fills, inherited, results, profile_of, span, corrections_of(journals))


# --- for people -------------------------------------------------------------------------------------------------------


def _tables(args: argparse.Namespace, settings: Settings, found: Statement) -> Iterator[Table]:
    days = f"{args.first or 'the first day'} to {args.last or 'the last'}"
    fills = tuple(_fill_row(line) for line in found.fills)
    settled = tuple(_market_row(line) for line in found.settled)
    positions = tuple(_market_row(line) for line in found.positions)
    yield Table(_FILL_COLUMNS, fills, title=f"fills, {days}, mode {settings.mode.value}")
    yield Table(_MARKET_COLUMNS, settled, title="settlements")
    if found.corrections:
        corrections = tuple(_correction_row(line) for line in found.corrections)
        note = "a settlement that the exchange changed after it was booked; profit is the difference"
        yield Table(_CORRECTION_COLUMNS, corrections, title="corrections", notes=(note,))
    yield Table(_MARKET_COLUMNS, positions, title="open positions, as of now")
    totals = tuple(
        (
            str(total.day),
            total.series_ticker,
            str(total.fills),
            format_count(total.contracts),
            format_dollars(total.fees),
            str(total.settled),
            format_dollars(total.profit),
        )
        for total in found.totals
    )
    corrected = f", {len(found.corrections)} corrected" if found.corrections else ""
    note = (
        f"{len(found.fills)} fills, {format_count(found.contracts)} contracts, fees ${format_dollars(found.fees)}, "
        f"{len(found.settled)} markets settled{corrected}, "
        f"profit ${format_dollars(found.profit)}; {len(found.positions)} open"
    )
    yield Table(_TOTAL_COLUMNS, totals, title="totals", notes=(note,))


def _fill_row(line: FillLine) -> tuple[str, ...]:
    fill = line.booked.fill
    return (
        f"{line.day} {eastern_clock(fill.event_ns)}",
        fill.market_ticker,
        line.profile,
        fill.side.value,
        format_price(fill.price),
        format_count(fill.count),
        format_dollars(fill.fee),
        format_dollars(line.cash),
    )


def _market_row(line: MarketLine) -> tuple[str, ...]:
    return (
        "" if line.settled_ns is None else f"{line.day} {eastern_clock(line.settled_ns)}",
        line.market_ticker,
        format_count(line.count),
        format_dollars(line.cash),
        format_dollars(line.fees),
        line.result or "",
        _money(line.paid),
        _money(line.profit),
    )


def _correction_row(line: CorrectionLine) -> tuple[str, ...]:
    return (
        f"{line.day} {eastern_clock(line.booked_ns)}",
        line.market_ticker,
        format_count(line.count),
        line.result,
        line.previous_result,
        format_dollars(line.profit),
    )


def _money(amount: Dollars | None) -> str:
    return "" if amount is None else format_dollars(amount)


# --- for programs -----------------------------------------------------------------------------------------------------


def csv_of(found: Statement) -> str:
    """All lines under one heading, RFC 4180."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, restval="", lineterminator="\r\n")
    writer.writeheader()
    for fill in found.fills:
        writer.writerow({"kind": "fill"} | _csv(_fill_json(fill)))
    for kind, lines in (("settlement", found.settled), ("position", found.positions)):
        for line in lines:
            writer.writerow({"kind": kind} | _csv(_market_json(line)))
    for correction in found.corrections:
        writer.writerow({"kind": "correction"} | _csv(_correction_json(correction)))
    return text.getvalue()


def _csv(record: dict[str, Any]) -> dict[str, Any]:
    return {key: "" if value is None else value for key, value in record.items() if key in CSV_COLUMNS}


def _data(args: argparse.Namespace, settings: Settings, path: Path, found: Statement) -> dict[str, Any]:
    return {
        "mode": settings.mode.value,
        "journal": path,
        "from": args.first,
        "to": args.last,
        "fills": [_fill_json(line) for line in found.fills],
        "settlements": [_market_json(line) for line in found.settled],
        "corrections": [_correction_json(line) for line in found.corrections],
        "positions": [_market_json(line) for line in found.positions],
        "totals": [
            {
                "day": total.day,
                "series": total.series_ticker,
                "fills": total.fills,
                "contracts": format_count(total.contracts),
                "fees_dollars": format_dollars(total.fees),
                "settled": total.settled,
                "profit_dollars": format_dollars(total.profit),
            }
            for total in found.totals
        ],
        "fees_dollars": format_dollars(found.fees),
        "profit_dollars": format_dollars(found.profit),
    }


def _fill_json(line: FillLine) -> dict[str, Any]:
    fill = line.booked.fill
    return {
        "day": line.day,
        "time_utc": iso_utc(fill.event_ns),
        "series": line.booked.series_ticker,
        "event": line.booked.event_ticker,
        "market": fill.market_ticker,
        "profile": line.profile,
        "side": fill.side.value,
        "price": format_price(fill.price),
        "count": format_count(fill.count),
        "fee_dollars": format_dollars(fill.fee),
        "cash_dollars": format_dollars(line.cash),
        "taker": fill.is_taker,
        "trade_id": fill.trade_id,
        "order_id": fill.order_id,
        "client_order_id": fill.client_order_id,
    }


def _correction_json(line: CorrectionLine) -> dict[str, Any]:
    return {
        "day": line.day,
        "time_utc": iso_utc(line.booked_ns),
        "series": line.series_ticker,
        "event": line.event_ticker,
        "market": line.market_ticker,
        "count": format_count(line.count),
        "result": line.result,
        "previous_result": line.previous_result,
        "paid_dollars": format_dollars(line.profit),
        "profit_dollars": format_dollars(line.profit),
    }


def _market_json(line: MarketLine) -> dict[str, Any]:
    return {
        "day": line.day,
        "time_utc": None if line.settled_ns is None else iso_utc(line.settled_ns),
        "series": line.series_ticker,
        "event": line.event_ticker,
        "market": line.market_ticker,
        "count": format_count(line.count),
        "fee_dollars": format_dollars(line.fees),
        "cash_dollars": format_dollars(line.cash),
        "result": line.result,
        "paid_dollars": None if line.paid is None else format_dollars(line.paid),
        "profit_dollars": None if line.profit is None else format_dollars(line.profit),
    }
