"""Hold every pure room to 95 % of lines and branches. Reads the data of the last `coverage` run.

The files that are tasks, and the edges that need the network or a terminal, are listed: they are shown, not held.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

LEAST = 95.0
PURE = (
    "ground/units.py", "ground/errors.py", "ground/readers.py", "domain/", "calibration/", "windows/", "venue/",
    "ladder/", "guardrails/", "memory/documents.py", "memory/gap_replay.py", "memory/record_rows.py",
    "orders/lifecycle.py", "orders/ambiguity.py", "orders/ids.py", "orders/ledger.py", "orders/reconcile.py",
    "artifacts/", "settings/", "index_feed/protocol.py",
    "index_feed/skew.py", "kalshi/fields.py", "kalshi/listing_codec.py", "kalshi/rest_codec.py",
    "kalshi/ws_codec.py", "kalshi/sequence.py", "kalshi/auth.py", "kalshi/rate_limit.py", "kalshi/refusals.py",
    "kalshi/stream_session.py", "kalshi/server_time.py", "trading/inputs.py", "trading/markouts.py",
    "trading/policy/", "digest/",
)  # fmt: skip


def room_of(name: str) -> str | None:
    inside = name.removeprefix("kalshi_daemon/")
    return next((pure for pure in PURE if inside.startswith(pure)), None)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "coverage.json"
        subprocess.run([sys.executable, "-m", "coverage", "json", "-q", "-o", str(out)], check=True)
        files = json.loads(out.read_text())["files"]
    seen: dict[str, list[int]] = {}
    for name, facts in files.items():
        room = room_of(name)
        if room is None:
            continue
        totals = facts["summary"]
        sums = seen.setdefault(room, [0, 0, 0, 0])
        sums[0] += totals["covered_lines"]
        sums[1] += totals["num_statements"]
        sums[2] += totals.get("covered_branches", 0)
        sums[3] += totals.get("num_branches", 0)
    failed = False
    for room, (lines, all_lines, branches, all_branches) in sorted(seen.items()):
        line_share = 100.0 * lines / all_lines if all_lines else 100.0
        branch_share = 100.0 * branches / all_branches if all_branches else 100.0
        short = line_share < LEAST or branch_share < LEAST
        failed |= short
        print(f"{room:28} lines {line_share:6.1f} %  branches {branch_share:6.1f} %{'  TOO LOW' if short else ''}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
