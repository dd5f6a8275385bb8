"""Draw the README's pictures from a real simulated session: the terminal table during it, and its last line.

Usage: .venv/bin/python scripts/capture_session.py [--at 10:30] [--out docs/images] [--state-dir DIR]

The table is what `make run` shows on a terminal: the daemon runs as ever, only the place where the table goes is
another. Exits with the daemon's own code.
"""

import argparse
import asyncio
import io
import os
import re
import sys
import tempfile
from collections.abc import Callable
from datetime import time
from pathlib import Path
from typing import Final, Never

import orjson
import uvloop
from rich.console import Console, Group
from rich.terminal_theme import MONOKAI
from rich.text import Text

from kalshi_daemon.app.daemon import RunOptions
from kalshi_daemon.app.process import run_daemon
from kalshi_daemon.ground.new_york import eastern
from kalshi_daemon.operations import progress
from kalshi_daemon.operations.status import DaemonStatus
from kalshi_daemon.settings.loader import Credentials, load_settings
from kalshi_daemon.settings.model import Mode

WIDTH: Final = 108
LAST_LINE: Final = "tail -n 1 state/sim/logs/kalshi_daemon.jsonl | jq"
_LOOK_S: Final = 0.05
_WEB_FONTS: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


class Camera:
    """Stands where the terminal would be."""

    def __init__(self, at: time) -> None:
        self._at = at
        self.during: Group | None = None

    async def watch(self, look: Callable[[], DaemonStatus]) -> Never:
        """In place of `progress.on_terminal`: same arguments, until cancelled."""
        while True:
            status = look()
            if self.during is None and eastern(status.now_ns).time() >= self._at:
                self.during = progress.picture(status)
            await asyncio.sleep(_LOOK_S)


def draw(what: Group, path: Path, title: str) -> None:
    """One SVG that needs nothing from anywhere: rich's template without its web fonts.

    xml:space: librsvg drops the no-break spaces that indent and align (findings/librsvg_no_break_spaces.sh).
    """
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(what)
    svg = _WEB_FONTS.sub("", console.export_svg(title=title, theme=MONOKAI, unique_id=path.stem))
    svg = svg.replace("<svg ", '<svg xml:space="preserve" ', 1)
    path.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n", encoding="utf-8")


def last_line(log: Path) -> Group:
    """The session's last log line as jq prints it."""
    text = orjson.dumps(orjson.loads(log.read_bytes().splitlines()[-1]), option=orjson.OPT_INDENT_2).decode()
    return Group(Text(f"$ {LAST_LINE}", style="bold"), Text(text))


def main() -> int:
    parser = argparse.ArgumentParser(description="Draw the README's pictures from a real simulated session.")
    parser.add_argument("--at", type=time.fromisoformat, default=time(10, 30), help="moment of the first, New York")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--state-dir", type=Path, default=None, help="default: thrown away")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        overrides = {"mode": "sim", "state_dir": args.state_dir or Path(scratch)}
        settings = load_settings(Path("config.toml"), {}, None, overrides, needs=Credentials.NONE).settings
        assert settings.mode is Mode.SIM
        camera = Camera(args.at)
        progress.on_terminal = camera.watch
        options = RunOptions(armed=True, force_gate_pass=False, show_progress=True, environ=os.environ)
        code = uvloop.run(run_daemon(settings, options))
        assert camera.during is not None, "the session ended before the moment"
        args.out.mkdir(parents=True, exist_ok=True)
        draw(camera.during, args.out / "session-during.svg", "make run")
        draw(
            last_line(settings.mode_dir / "logs" / "kalshi_daemon.jsonl"), args.out / "session-end.svg", "its last line"
        )
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
