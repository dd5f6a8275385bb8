"""Where the shared market data lies. It is used in place and never copied into the project."""

import os
from pathlib import Path


def data_dir() -> Path | None:
    """`KALSHI_DAEMON_DATA`, else `<repo>/../shared/data`; None when absent (tests then skip)."""
    named = os.environ.get("KALSHI_DAEMON_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "data"
    return folder if folder.is_dir() else None
