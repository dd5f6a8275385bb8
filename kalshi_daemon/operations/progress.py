"""What a person at a terminal sees while a simulated session runs: one table that redraws itself. Never in pipes."""

import asyncio
import sys
from datetime import datetime
from typing import IO, Final, Never, cast

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table as TerminalTable
from rich.text import Text

from kalshi_daemon.domain.order import Order
from kalshi_daemon.domain.window import Phase, WindowStatus
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.new_york import NEW_YORK
from kalshi_daemon.ground.tables import Column, Table, for_terminal
from kalshi_daemon.ground.units import SECOND, format_count, format_dollars
from kalshi_daemon.operations.screen import Screen, descriptor_writer
from kalshi_daemon.state import DaemonState

_REDRAW_S: Final = 0.2
_LAST_PICTURE_S: Final = 0.2
"""Patience at the end with a terminal that does not take the last picture."""
_COLUMNS: Final = (
    Column("window"),
    Column("phase"),
    *(Column(name, right=True) for name in ("resting", "filled", "position")),
)
_PHASE_STYLE: Final = {
    Phase.OPEN: "bold green",
    Phase.HOLD: "yellow",
    Phase.CUTOFF: "red",
    Phase.SHUT: "bold red",
    Phase.SETTLED: "dim",
    Phase.UPCOMING: "dim",
    Phase.SETTLING: "cyan",
}


async def on_terminal(state: DaemonState, clock: Clock, screen: Screen | None = None) -> Never:
    """Draw on the terminal and redraw five times a second of real time, until cancelled.

    Never waits for the terminal: one that stands (Ctrl-S) is drawn on again once it has taken what it was given.
    """
    screen = screen or Screen(descriptor_writer(sys.stderr.fileno()))
    console = Console(file=cast(IO[str], screen), force_terminal=True)
    try:
        with Live(picture(state, clock), console=console, auto_refresh=False) as live:
            try:
                while True:
                    if screen.idle:
                        live.update(picture(state, clock), refresh=True)
                    await asyncio.sleep(_REDRAW_S)
            finally:
                live.update(picture(state, clock), refresh=True)
    finally:
        screen.end(_LAST_PICTURE_S)


def picture(state: DaemonState, clock: Clock) -> Group:
    """The headline, the windows and the money, as they are now."""
    return Group(_headline(state, clock), _windows(state), _money(state))


def _headline(state: DaemonState, clock: Clock) -> Text:
    now = clock.now_ns()
    stamp = datetime.fromtimestamp(now / SECOND, tz=NEW_YORK).strftime("%Y-%m-%d %H:%M:%S ET")
    parts = [Text(stamp, style="bold")]
    for index, one in state.index.items():
        last = one.last
        shown = "silent" if last is None else f"{last.value:,.2f} ({(now - last.event_ns) / SECOND:.1f} s old)"
        parts.append(Text(f"   {index.value} {shown}"))
    if state.latch.closed:
        parts.append(Text(f"   STOPPING: {state.latch.reason}", style="bold red"))
    elif state.kill_switch:
        parts.append(Text("   KILL SWITCH", style="bold red"))
    return Text.assemble(*parts)


def _windows(state: DaemonState) -> TerminalTable:
    orders: dict[str, list[Order]] = {}
    for order in state.orders.values():
        orders.setdefault(order.event_ticker, []).append(order)
    shown = sorted(state.windows.items(), key=lambda item: item[1].window.target_ns)
    rows = [_row(event_ticker, status, orders.get(event_ticker, []), state) for event_ticker, status in shown]
    styles = [_PHASE_STYLE[status.phase] for _event_ticker, status in shown]
    return for_terminal(Table(_COLUMNS, rows, row_styles=styles), ruled=False)


def _row(event_ticker: str, status: WindowStatus, orders: list[Order], state: DaemonState) -> tuple[str, ...]:
    resting = sum(1 for order in orders if order.status.live)
    held = [p for p in state.ledger.positions.values() if p.event_ticker == event_ticker]
    filled = sum(position.traded for position in held)
    gross = sum(abs(position.count) for position in held if not position.settled)
    return (event_ticker, status.phase.value, str(resting), f"{filled / 100:g}", f"{gross / 100:g}")


def _money(state: DaemonState) -> Text:
    ledger = state.ledger
    counters = state.counters
    return Text(
        f"scans {counters.scans}   placed {counters.orders_placed}   cancelled {counters.orders_cancelled}   "
        f"fills {ledger.fills_total} ({format_count(ledger.contracts_total)} contracts)   "
        f"fees ${format_dollars(ledger.fees_total)}   settled PnL ${format_dollars(ledger.realized_today)}"
    )
