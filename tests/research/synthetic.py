"""Bars of a made-up instrument: known volatility, real calendar, the shared file format."""

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kalshi_daemon.ground.units import SECOND
from kalshi_daemon.windows.sessions import load_sessions

STEPS = 6
"""Prices inside a minute, from which its range is read."""


def write_days(path: Path, first: date, last: date, *, seed: int = 1, sd: float = 0.01, seconds: int = 60) -> Path:
    """Gaussian minutes of `sd` a session for every session of the span, in the vendor's own shape."""
    rng = np.random.default_rng(seed)
    columns: dict[str, list] = {name: [] for name in ("timestamp", "open", "high", "low", "close")}
    level = 5_000.0
    for session in load_sessions(first, last).sessions:
        level *= float(np.exp(rng.normal(0.0, sd / 2)))
        for start_ns in range(session.open_ns, session.close_ns, seconds * SECOND):
            moves = rng.normal(0.0, sd * np.sqrt(seconds / 60 / 390 / STEPS), STEPS)
            prices = level * np.exp(np.concatenate(([0.0], np.cumsum(moves))))
            level = float(prices[-1])
            for name, value in zip(
                columns,
                (start_ns // SECOND, prices[0], prices.max(), prices.min(), level),
                strict=True,
            ):
                columns[name].append(value)
    stamps = pa.array(columns.pop("timestamp"), pa.timestamp("s", "UTC"))
    pq.write_table(pa.table({"timestamp": stamps, **columns}), path)
    return path
