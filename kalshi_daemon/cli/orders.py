"""`kalshi-daemon orders`: our own orders and their fills, from the journal. The exchange is not asked."""

import argparse
import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from kalshi_daemon.cli.common import Subparsers, UsageError, a_date, load_written
from kalshi_daemon.cli.output import show
from kalshi_daemon.domain.order import Fill, Order
from kalshi_daemon.ground.clock import SystemClock, iso_utc
from kalshi_daemon.ground.errors import DaemonError, ExitCode
from kalshi_daemon.ground.new_york import eastern_clock, eastern_day, eastern_midnights
from kalshi_daemon.ground.tables import Column, Table
from kalshi_daemon.ground.units import MINUTE, Count, Dollars, Nanos, format_count, format_dollars, format_price
from kalshi_daemon.orders.journal import ROWS_MAX, Journal, journal_path
from kalshi_daemon.orders.log_fields import order_facts
from kalshi_daemon.settings.model import Mode, Settings

_COLUMNS: Final = (
    Column("placed (ET)"),
    Column("market", style="bold"),
    Column("profile"),
    Column("side"),
    Column("price", right=True),
    Column("count", right=True),
    Column("filled", right=True),
    Column("fees", right=True),
    Column("status"),
    Column("reason", style="dim"),
    Column("client order id", style="dim"),
)
_SKEW_MAX: Final = MINUTE
"""Fills carry the exchange's time, which may lie behind ours."""


class NoJournal(DaemonError):  # noqa: N818 - errors are nouns: the tree's rule
    """There is no journal to look into."""

    exit_code = ExitCode.REFUSED

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(str(path), why)
        self.path = path
        self.why = why

    def __str__(self) -> str:
        return f"{self.path}: no journal: {self.why}"


@dataclass(frozen=True, slots=True)
class _Found:
    """What was asked for. `day` None: every order that may still trade, whenever it was placed."""

    day: date | None
    orders: Sequence[Order]
    fills: Mapping[str, Sequence[Fill]]
    """By exchange order id."""

    def fills_of(self, order: Order) -> Sequence[Fill]:
        return () if order.order_id is None else self.fills.get(order.order_id, ())


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "orders",
        help="list a day's orders from the journal",
        description="Lists the orders this daemon placed on a New York day, with status and fills, from the journal of "
        "this mode; safe while a daemon runs. For the exchange's view use `resting`.",
    )
    parser.add_argument(
        "--day", type=a_date, metavar="D", help="YYYY-MM-DD, New York (default: today; in mode sim the last simulated)"
    )
    parser.add_argument("--market", metavar="T", help="only this market, event or series ticker")
    parser.add_argument("--live", action="store_true", help="only open orders, of any day unless --day is given")


def run(args: argparse.Namespace) -> int:
    settings = load_written(args, "orders")
    if args.market is not None and not args.market.strip():
        raise UsageError("--market is empty", "kalshi-daemon orders")
    path = existing_journal(settings.mode_dir)
    with contextlib.closing(Journal.read(path)) as journal:
        found = _find(journal, settings, args.day, args.market, live=args.live)
    show(args, _data(settings, path, found), _table(settings, found))
    return ExitCode.OK


def existing_journal(mode_dir: Path) -> Path:
    """Where the journal of a mode is. Raises NoJournal, OSError for a folder that cannot be looked into."""
    path = journal_path(mode_dir)
    try:
        path.stat()
    except FileNotFoundError:
        if mode_dir.parent.exists():
            raise NoJournal(path, "no order was ever placed in this mode and state directory") from None
        raise NoJournal(path, f"there is no folder {mode_dir.parent} here (--state-dir or --config?)") from None
    return path


def _find(journal: Journal, settings: Settings, day: date | None, market: str | None, *, live: bool) -> _Found:
    if day is None and not live:
        day = _default_day(journal, settings)
    orders = journal.live_orders() if live else []
    if day is not None:
        start, end = eastern_midnights(day)
        # An order never changes before it is made, so the orders of a day are among those that changed since.
        candidates = orders if live else journal.orders_since(start, ROWS_MAX)
        orders = [order for order in candidates if start <= order.created_ns < end]
    wanted = sorted((order for order in orders if _is_of(order, market)), key=_by_time)
    return _Found(day, wanted, _fills(journal, wanted))


def _default_day(journal: Journal, settings: Settings) -> date:
    """Today; simulated sessions have dates of their own, so there it is the day of the order that changed last."""
    last = journal.orders_since(Nanos(0), 1) if settings.mode is Mode.SIM else []
    return eastern_day(last[0].created_ns if last else SystemClock().now_ns())


def _fills(journal: Journal, orders: Sequence[Order]) -> Mapping[str, Sequence[Fill]]:
    found: defaultdict[str, list[Fill]] = defaultdict(list)
    if orders:
        for booked in journal.fills_since(Nanos(orders[0].created_ns - _SKEW_MAX)):
            found[booked.fill.order_id].append(booked.fill)
    return found


def _is_of(order: Order, ticker: str | None) -> bool:
    return ticker is None or ticker.strip().upper() in (order.market_ticker, order.event_ticker, order.series_ticker)


def _by_time(order: Order) -> tuple[int, str]:
    return (order.created_ns, order.client_order_id)


def _fees(fills: Sequence[Fill]) -> Dollars:
    return Dollars(sum(fill.fee for fill in fills))


def _table(settings: Settings, found: _Found) -> Table:
    which = "orders that may still trade" if found.day is None else f"orders of {found.day:%a} {found.day}"
    title = f"{which}, mode {settings.mode.value}"
    return Table(_COLUMNS, tuple(_rows(found)), title=title, notes=(_summary(found),))


def _rows(found: _Found) -> Iterator[tuple[str, ...]]:
    for order in found.orders:
        fills = found.fills_of(order)
        at = eastern_clock(order.created_ns)
        yield (
            at if found.day is not None else f"{eastern_day(order.created_ns)} {at}",
            order.market_ticker,
            order.profile,
            order.side.value,
            format_price(order.price),
            format_count(order.count),
            format_count(order.filled),
            format_dollars(_fees(fills)) if fills else "",
            order.status.value,
            order.reason,
            order.client_order_id,
        )


def _summary(found: _Found) -> str:
    by_status = Counter(order.status.value for order in found.orders)
    states = "".join(f", {number} {status}" for status, number in sorted(by_status.items()))
    fills = [fill for order in found.orders for fill in found.fills_of(order)]
    contracts = format_count(Count(sum(fill.count for fill in fills)))
    traded = f"{len(fills)} fills, {contracts} contracts, fees ${format_dollars(_fees(fills))}"
    return f"{len(found.orders)} orders{states}; {traded}"


def _data(settings: Settings, path: Path, found: _Found) -> dict[str, Any]:
    return {
        "mode": settings.mode.value,
        "journal": path,
        "day": found.day,
        "orders": [_order_json(order, found.fills_of(order)) for order in found.orders],
    }


def _order_json(order: Order, fills: Sequence[Fill]) -> dict[str, Any]:
    return {
        **order_facts(order),
        "status": order.status.value,
        "live": order.status.live,
        "reason": order.reason,
        "fair": order.fair,
        "required_edge": order.required_edge,
        "placed": iso_utc(order.created_ns),
        "updated": iso_utc(order.updated_ns),
        "expires": iso_utc(order.expires_ns),
        "fees_dollars": format_dollars(_fees(fills)),
        "fills": [_fill_json(fill) for fill in fills],
    }


def _fill_json(fill: Fill) -> dict[str, Any]:
    return {
        "trade_id": fill.trade_id,
        "at": iso_utc(fill.event_ns),
        "price": format_price(fill.price),
        "count": format_count(fill.count),
        "fee_dollars": format_dollars(fill.fee),
        "taker": fill.is_taker,
    }
