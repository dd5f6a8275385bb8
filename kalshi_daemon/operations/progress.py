"""What a person at a terminal sees while a session runs: one table that redraws itself. Never in pipes."""

import asyncio
import sys
from collections.abc import Callable
from typing import IO, Final, Never, cast

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from kalshi_daemon.ground.new_york import eastern
from kalshi_daemon.ground.tables import for_terminal
from kalshi_daemon.ground.units import format_count, format_dollars
from kalshi_daemon.operations.screen import Screen, descriptor_writer
from kalshi_daemon.operations.status import DaemonStatus
from kalshi_daemon.operations.status_forms import window_table

_REDRAW_S: Final = 0.2
_LAST_PICTURE_S: Final = 0.2
"""Patience at the end with a terminal that does not take the last picture."""
_REASONS_MAX: Final = 3


async def on_terminal(look: Callable[[], DaemonStatus], screen: Screen | None = None) -> Never:
    """Draw on the terminal and redraw five times a second of real time, until cancelled.

    Never waits for the terminal: one that stands (Ctrl-S) is drawn on again once it has taken what it was given.
    """
    screen = screen or Screen(descriptor_writer(sys.stderr.fileno()))
    console = Console(file=cast(IO[str], screen), force_terminal=True)
    try:
        with Live(picture(look()), console=console, auto_refresh=False) as live:
            try:
                while True:
                    if screen.idle:
                        live.update(picture(look()), refresh=True)
                    await asyncio.sleep(_REDRAW_S)
            finally:
                live.update(picture(look()), refresh=True)
    finally:
        screen.end(_LAST_PICTURE_S)


def picture(status: DaemonStatus) -> Group:
    """The headline, why nothing is quoted, the windows and the money, as they are now."""
    windows = for_terminal(window_table(status), ruled=False)
    return Group(_headline(status), *_reasons(status), windows, _money(status))


def _headline(status: DaemonStatus) -> Text:
    stamp = eastern(status.now_ns).strftime("%Y-%m-%d %H:%M:%S ET")
    parts = [Text(stamp, style="bold")]
    parts += [Text(f"   {name} {one.text}") for name, one in status.indices.items()]
    if status.stopping:
        parts.append(Text(f"   STOPPING: {status.stopping}", style="bold red"))
    elif status.kill_switch:
        parts.append(Text("   KILL SWITCH", style="bold red"))
    return Text.assemble(*parts)


def _reasons(status: DaemonStatus) -> list[Text]:
    """Why nothing may be quoted, in a line; none while something may be, and while it stops."""
    if status.quoting or status.stopping or not status.facts.ready:
        return []
    more = len(status.why_not) - _REASONS_MAX
    shown = "; ".join(status.why_not[:_REASONS_MAX]) + (f"; {more} more" if more > 0 else "")
    return [Text(f"not quoting: {shown}", style="yellow")]


def _money(status: DaemonStatus) -> Text:
    return Text(
        f"scans {status.scans}   placed {status.orders_placed}   cancelled {status.orders_cancelled}   "
        f"fills {status.fills} ({format_count(status.contracts_filled)} contracts)   "
        f"fees ${format_dollars(status.fees)}   settled PnL ${format_dollars(status.pnl_today)}"
    )
