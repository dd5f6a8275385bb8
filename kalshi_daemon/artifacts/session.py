"""The summary of a session: one file per run, and a copy of the last one as docs/reference/runbook.md 5 names it."""

from collections.abc import Mapping
from typing import Any

from kalshi_daemon.ground.clock import iso_utc
from kalshi_daemon.ground.units import Nanos

Json = dict[str, Any]


def build_session(summary: Mapping[str, Any], *, run_id: str, mode: str, day: str, now_ns: Nanos) -> Json:
    """The caller's totals with who, which day and when in front. The caller's keys never overwrite those."""
    head = {
        "session_id": f"{mode}-{day}-{run_id}",
        "run_id": run_id,
        "mode": mode,
        "session_date": day,
        "generated_at": iso_utc(now_ns),
    }
    return {**head, **{key: value for key, value in summary.items() if key not in head}}
