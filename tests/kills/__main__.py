"""`make kills KILLS=200`: the daemon as a process, killed again and again; the exchange's own record is the judge.

Ends with one JSON line and exits with 1 when a promise was broken.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from tests.kills.driver import LEASE_S, Tally, Window

GRACE_S: Final = 1.0
KILLS_PER_WINDOW: Final = 25


def shares(kills: int) -> list[int]:
    """Kills per window, as even as possible."""
    windows = max(1, -(-kills // KILLS_PER_WINDOW))
    return [kills // windows + (number < kills % windows) for number in range(windows)]


def play(kills: int, first_seed: int, workers: int, folder: Path) -> list[Tally]:
    """All windows, `workers` at a time. Raises what a window raises."""

    def tell(line: str) -> None:
        sys.stderr.write(f"{line}\n")

    with ThreadPoolExecutor(workers) as pool:
        jobs = [
            pool.submit(Window(folder / str(seed), seed, share, tell).play)
            for seed, share in enumerate(shares(kills), first_seed)
        ]
        return [job.result() for job in jobs]


def result(tallies: Sequence[Tally], wall_s: float) -> dict[str, Any]:
    """The figures of all windows together."""
    moments: Counter[str] = Counter()
    for tally in tallies:
        moments += tally.moments
    return {
        "kills": sum(tally.kills for tally in tallies),
        "duplicates": sum(len(tally.verdict.duplicates) for tally in tallies),
        "orphans": sum(len(tally.verdict.orphans) for tally in tallies),
        "fills_wrong": sum(len(tally.verdict.fills) for tally in tallies),
        "problems": sum(len(tally.problems) for tally in tallies),
        "longest_unowned_s": round(max(tally.verdict.unowned_ns for tally in tallies) / 1e9, 3),
        "lease_s": LEASE_S,
        "orders": sum(tally.orders for tally in tallies),
        "fills": sum(tally.fills for tally in tallies),
        "windows": len(tallies),
        "starved": sum(tally.starved for tally in tallies),
        "before_ready": sum(tally.before_ready for tally in tallies),
        "unanswered_at_kills": sum(tally.unanswered for tally in tallies),
        "resting_at_kills": sum(tally.held for tally in tallies),
        "found_again": sum(tally.found_again for tally in tallies),
        "moments": dict(moments),
        "wall_s": round(wall_s, 1),
    }


def kept(figures: dict[str, Any], kills: int) -> bool:
    """Whether there were as many kills as wanted and every promise held."""
    clean = figures["kills"] == kills and not any(
        figures[name] for name in ("duplicates", "orphans", "fills_wrong", "problems")
    )
    return clean and figures["longest_unowned_s"] <= figures["lease_s"] + GRACE_S


def main() -> int:
    parser = argparse.ArgumentParser(description="kill -9 the daemon again and again, and judge by the exchange")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kalshi-daemon-kills-") as folder:
        tallies = play(args.kills, args.first_seed, args.workers, Path(folder))
    for tally in tallies:
        found = (*tally.verdict.duplicates, *tally.verdict.orphans, *tally.verdict.fills, *tally.problems)
        sys.stdout.writelines(f"window {tally.seed}: {line}\n" for line in found)
        sys.stdout.write(f"window {tally.seed}: longest unowned {tally.verdict.unowned_ns / 1e9:.3f} s\n")
    figures = result(tallies, time.monotonic() - began)
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0 if kept(figures, args.kills) else 1


if __name__ == "__main__":
    sys.exit(main())
