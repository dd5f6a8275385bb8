"""`kalshi-daemon resting`: the resting orders as the exchange reports them. The journal is not consulted."""

import argparse
import asyncio
from collections.abc import Sequence
from typing import Any, Final

from kalshi_daemon.cli.common import Subparsers
from kalshi_daemon.cli.output import show
from kalshi_daemon.cli.venue import add_connect_option, eastern_stamp, open_venue, settings_for_venue
from kalshi_daemon.domain.events import RemoteOrder
from kalshi_daemon.ground.clock import iso_utc
from kalshi_daemon.ground.errors import ExitCode
from kalshi_daemon.ground.tables import Column, Table
from kalshi_daemon.ground.units import format_count, format_price
from kalshi_daemon.orders.ids import is_ours
from kalshi_daemon.settings.model import Settings

_COLUMNS: Final = (
    Column("market", style="bold"),
    Column("side"),
    Column("price", right=True),
    Column("count", right=True),
    Column("remaining", right=True),
    Column("client order id"),
    Column("ours"),
    Column("expires"),
)


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "resting",
        help="list resting orders as the exchange reports them",
        description="Lists every resting order of the account (the configured subaccount) as the exchange has it, "
        "whether or not a daemon is running. Prices are YES prices in dollars. Exit code 0; with --expect-none 4 if "
        "any order is resting.",
    )
    parser.add_argument("--expect-none", action="store_true", help="exit with code 4 if any order is resting")
    add_connect_option(parser)


def run(args: argparse.Namespace) -> int:
    settings = settings_for_venue(args)
    orders = sorted(asyncio.run(_ask(settings)), key=by_place)
    ours = sum(1 for order in orders if is_ours(order.client_order_id))
    data = {
        "mode": settings.mode.value,
        "subaccount": settings.kalshi.subaccount,
        "total": len(orders),
        "ours": ours,
        "orders": [order_json(order) for order in orders],
    }
    notes = (f"{len(orders)} resting, {ours} of them ours",)
    show(args, data, Table(_COLUMNS, tuple(_row(order) for order in orders), notes=notes))
    return ExitCode.REFUSED if args.expect_none and orders else ExitCode.OK


async def _ask(settings: Settings) -> Sequence[RemoteOrder]:
    async with open_venue(settings, read_only=True) as rest:
        return await rest.orders(status="resting")


def order_json(order: RemoteOrder) -> dict[str, Any]:
    """A listed order: prices in dollars and counts in contracts, as strings of the wire's form."""
    return {
        "market": order.market_ticker,
        "side": order.side.value,
        "price": format_price(order.price),
        "count": format_count(order.initial),
        "remaining": format_count(order.remaining),
        "filled": format_count(order.filled),
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "ours": is_ours(order.client_order_id),
        "expires": None if order.expires_ns is None else iso_utc(order.expires_ns),
    }


def by_place(order: RemoteOrder) -> tuple[str, str, int, str]:
    """How listed orders are sorted."""
    return (order.market_ticker, order.side.value, order.price, order.order_id)


def _row(order: RemoteOrder) -> tuple[str, ...]:
    return (
        order.market_ticker,
        order.side.value,
        format_price(order.price),
        format_count(order.initial),
        format_count(order.remaining),
        order.client_order_id,
        "yes" if is_ours(order.client_order_id) else "no",
        "never" if order.expires_ns is None else eastern_stamp(order.expires_ns),
    )
