"""`kalshi-daemon cancel-all`: everything off the book, verified with the exchange. Works while the daemon is down."""

import argparse
import asyncio
import sys
from dataclasses import dataclass
from typing import Any, Final

from kalshi_daemon.cli.clearing import Cleared, Clearing, Fate
from kalshi_daemon.cli.common import Subparsers
from kalshi_daemon.cli.output import show
from kalshi_daemon.cli.resting import by_place, order_json
from kalshi_daemon.cli.venue import add_connect_option, open_venue, settings_for_venue
from kalshi_daemon.domain.events import RemoteOrder
from kalshi_daemon.ground.clock import SystemClock
from kalshi_daemon.ground.errors import DaemonError, ExitCode
from kalshi_daemon.ground.tables import Column, Table
from kalshi_daemon.ground.units import Nanos, format_count, format_price, from_s
from kalshi_daemon.operations.kill_switch import POLL_S, engage, kill_switch_path, read_kill_switch
from kalshi_daemon.operations.lock import running_daemon
from kalshi_daemon.orders.ids import is_ours
from kalshi_daemon.orders.reconcile import Scope
from kalshi_daemon.settings.model import Mode, Settings

_HEARD_WITHIN_S: Final = 2 * POLL_S
"""By then a running daemon has seen the kill switch and sends nothing new."""
_REASON: Final = "cancel-all"
_COLUMNS: Final = (
    Column("market", style="bold"),
    Column("side"),
    Column("price", right=True),
    Column("remaining", right=True),
    Column("client order id"),
    Column("ours"),
    Column("outcome"),
)


class NotConfirmed(DaemonError):  # noqa: N818 - errors are nouns: the tree's rule
    """Live, and nobody said yes. Nothing was sent."""

    exit_code = ExitCode.REFUSED

    def __str__(self) -> str:
        return f"cancel-all: nothing was cancelled: {self.args[0]}"


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """What else may place or cancel on this account while we do. `daemon_pid` None: no daemon of this mode runs."""

    daemon_pid: int | None
    killed: bool
    """The kill switch is engaged, by us or before."""
    count_from_ns: Nanos
    """From when on a list without orders proves something."""

    @property
    def warnings(self) -> tuple[str, ...]:
        if self.daemon_pid is None or self.killed:
            return ()
        who = f"a daemon of this mode runs (process {self.daemon_pid})"
        return (f"{who} and will quote again: use --kill to engage the kill switch first",)


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "cancel-all",
        help="cancel all orders at the exchange and verify that nothing is resting",
        description="Cancels every resting order and checks twice with the exchange that none is left; works without a "
        "daemon. Ends within orders.stop_deadline_s (20 s). Exit code 0 when verified, 3 when UNVERIFIED. In mode live "
        "it asks for confirmation; scripts pass --yes.",
    )
    scope = parser.add_mutually_exclusive_group()
    scope.add_argument(
        "--own", dest="scope", action="store_const", const="own", help="only orders placed by this daemon"
    )
    scope.add_argument(
        "--account",
        dest="scope",
        action="store_const",
        const="account",
        help="everything on the subaccount, whoever placed it (default: orders.scope). The exchange may also cancel "
        "what is placed within the next minute",
    )
    parser.add_argument(
        "--kill", action="store_true", help="engage the kill switch first, or a running daemon quotes again"
    )
    parser.add_argument("--yes", action="store_true", help="skip the confirmation in mode live")
    add_connect_option(parser)


def run(args: argparse.Namespace) -> int:
    settings = settings_for_venue(args)
    scope: Scope = args.scope or settings.orders.scope
    if settings.mode is Mode.LIVE and not args.yes:
        _confirm(settings, scope)
    around = _surroundings(settings, kill=args.kill)
    for warning in around.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    cleared = asyncio.run(_clear(settings, scope, around))
    orders = sorted(cleared.orders, key=lambda each: by_place(each[0]))
    rows = tuple(_row(order, fate) for order, fate in orders)
    data = _data(settings, scope, around, cleared) | {
        "orders": [order_json(order) | {"outcome": fate.value} for order, fate in orders]
    }
    show(args, data, Table(_COLUMNS, rows, notes=_notes(cleared, around)))
    return ExitCode.OK if cleared.verified else ExitCode.UNVERIFIED


async def _clear(settings: Settings, scope: Scope, around: _Surroundings) -> Cleared:
    # The machine's time, also in sim: the operator waits in it.
    clock = SystemClock()
    deadline_ns = Nanos(clock.now_ns() + from_s(settings.orders.stop_deadline_s))
    async with open_venue(settings) as rest:
        clearing = Clearing(rest, clock, scope=scope, deadline_ns=deadline_ns, count_from_ns=around.count_from_ns)
        return await clearing.run()


def _confirm(settings: Settings, scope: Scope) -> None:
    """Raises NotConfirmed unless somebody at a terminal says yes."""
    if not sys.stdin.isatty():
        raise NotConfirmed("mode live and nobody to ask here; say --yes")
    what = f"every resting order on subaccount {settings.kalshi.subaccount}" if scope == "account" else "our own orders"
    print(f"LIVE: cancel {what} at {settings.kalshi.rest_url}? [yes/no] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise NotConfirmed("not confirmed")


def _surroundings(settings: Settings, *, kill: bool) -> _Surroundings:
    now = SystemClock().now_ns()
    path = kill_switch_path(settings.mode_dir)
    killed = read_kill_switch(path).engaged
    pid = running_daemon(settings.mode_dir)
    count_from = Nanos(0)
    if kill and not killed:
        engage(path, _REASON, now)
        killed = True
        if pid is not None:
            count_from = Nanos(now + from_s(_HEARD_WITHIN_S))
    return _Surroundings(pid, killed, count_from)


def _row(order: RemoteOrder, fate: Fate) -> tuple[str, ...]:
    return (
        order.market_ticker,
        order.side.value,
        format_price(order.price),
        format_count(order.remaining),
        order.client_order_id,
        "yes" if is_ours(order.client_order_id) else "no",
        fate.value,
    )


def _notes(cleared: Cleared, around: _Surroundings) -> tuple[str, ...]:
    off = sum(1 for _, fate in cleared.orders if fate is not Fate.NOT_CONFIRMED)
    notes = [f"{off} of {len(cleared.orders)} taken off the book"]
    if cleared.foreign:
        notes.append(f"{cleared.foreign} not ours, left alone")
    if around.killed:
        notes.append("the kill switch is engaged; `kalshi-daemon unkill` releases it")
    notes.append("verified: zero resting" if cleared.verified else f"UNVERIFIED: {cleared.detail}")
    return tuple(notes)


def _data(settings: Settings, scope: Scope, around: _Surroundings, cleared: Cleared) -> dict[str, Any]:
    return {
        "mode": settings.mode.value,
        "scope": scope,
        "subaccount": settings.kalshi.subaccount,
        "verified": cleared.verified,
        "remaining": cleared.remaining,
        "foreign": cleared.foreign,
        "detail": cleared.detail,
        "kill_switch": around.killed,
        "daemon_pid": around.daemon_pid,
        "warnings": list(around.warnings),
    }
