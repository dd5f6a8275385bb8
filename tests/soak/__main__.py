"""`python -m tests.soak --hours 24`: simulated hours of quoting under faults; memory slope and journal size at the end.

The daemon and the exchange are whole processes on real sockets. A session is one life of the daemon, the next session
starts on the same state. Memory is the daemon's resident set, sampled all the way; its slope is the least-squares one
within lives (each life has a level of its own) after the first WARM_UP_H of each. Ends with one line of JSON.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.soak.session import Sample, SessionResult, play, wall_s
from tests.support.processes import Processes

DAYS = ("2026-11-23", "2026-11-24", "2026-11-25", "2026-11-30", "2026-12-01", "2026-12-02", "2026-12-03", "2026-12-04")
OPENS_MIN, CLOSES_MIN = 9 * 60 + 30, 16 * 60 + 10
WARM_UP_H = 2.0
"""What a life fills once and then keeps: the last 400 ended orders, decoded prices and counts, the day's ladders.
Measured: the interpreter's memory blocks stand still from then on."""
SLOPE_MB_PER_H_MAX = 1.0
JOURNAL_MB_MAX = 64.0


def slope_of(lives: Sequence[Sequence[Sample]], warm_up_h: float) -> float:
    """MB per simulated hour: least squares with one slope for all lives and a level for each; 0 without samples."""
    above = below = 0.0
    for samples in lives:
        warm = [one for one in samples if one.hours >= warm_up_h]
        if len(warm) < 2:
            continue
        mean_h = sum(one.hours for one in warm) / len(warm)
        mean_mb = sum(one.rss_mb for one in warm) / len(warm)
        above += sum((one.hours - mean_h) * (one.rss_mb - mean_mb) for one in warm)
        below += sum((one.hours - mean_h) ** 2 for one in warm)
    return above / below if below else 0.0


def spans(hours: float, start_min: int) -> list[tuple[str, ...]]:
    """Sessions that add up to `hours`, whole days but for the last."""
    found: list[tuple[str, ...]] = []
    left_min = round(hours * 60)
    for day in DAYS:
        if left_min <= 0:
            break
        length = min(left_min, CLOSES_MIN - start_min)
        left_min -= length
        until = start_min + length
        found.append(
            ("--session-date", day, "--from", f"{start_min // 60:02}:{start_min % 60:02}",
             "--until", f"{until // 60:02}:{until % 60:02}")
        )  # fmt: skip
    return found


def report(results: Sequence[SessionResult], warm_up_h: float, took_s: float) -> dict[str, object]:
    """The line of the end."""
    warm = [one for result in results for one in result.samples if one.hours >= warm_up_h]
    faults: Counter[str] = Counter()
    for result in results:
        faults.update(result.faults)
    broken = [
        f"session {number}: exit {one.exit_code}, {one.summary.get('books_detail')}"
        for number, one in enumerate(results, start=1)
        if one.exit_code != 0 or not one.summary.get("verified") or not one.summary.get("books_equal")
    ]
    return {
        "hours": round(sum(one.hours for one in results), 2),
        "lives": len(results),
        "rss_start_mb": round(warm[0].rss_mb, 1) if warm else None,
        "rss_end_mb": round(warm[-1].rss_mb, 1) if warm else None,
        "rss_max_mb": round(max((one.rss_mb for one in warm), default=0.0), 1),
        "slope_mb_per_h": round(slope_of([one.samples for one in results], warm_up_h), 3),
        "warm_up_h": warm_up_h,
        "slope_by_warm_up": {
            f"{hours:g}": round(slope_of([one.samples for one in results], hours), 3) for hours in (1.0, 2.0, 3.0, 4.0)
        },
        "samples": len(warm),
        "journal_mb_max": round(max((one.journal_mb for one in results), default=0.0), 2),
        "archived_orders": sum(one.archived for one in results),
        "orders": sum(one.orders for one in results),
        "fills": sum(one.fills for one in results),
        "faults": dict(sorted(faults.items())),
        "broken": broken,
        "wall_s": round(took_s, 1),
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--speed", type=float, default=200.0)
    parser.add_argument("--from-minute", type=int, default=OPENS_MIN, help="minute of the day each session starts")
    parser.add_argument("--warm-up", type=float, default=WARM_UP_H, metavar="H")
    parser.add_argument("--fault-every", type=float, default=0.05, metavar="H", help="mean time between faults")
    parser.add_argument("--slope-max", type=float, default=SLOPE_MB_PER_H_MAX, metavar="MB/H")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    began, results = wall_s(), []
    with tempfile.TemporaryDirectory(prefix="kd-soak-") as folder:
        processes = Processes(Path(folder))
        try:
            for number, span in enumerate(spans(options.hours, options.from_minute)):
                made = play(
                    processes, span, seed=options.seed + number, speed=options.speed, fault_every_h=options.fault_every
                )
                results.append(made)
                sys.stderr.write(f"{span[1]}: {made.hours:.2f} h, {made.orders} orders, {made.summary}\n")
        finally:
            processes.close()
    line = report(results, options.warm_up, wall_s() - began)
    sys.stdout.write(json.dumps(line) + "\n")
    fine = not line["broken"] and float(str(line["slope_mb_per_h"])) <= options.slope_max
    return 0 if fine and float(str(line["journal_mb_max"])) <= JOURNAL_MB_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
