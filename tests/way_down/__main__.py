"""`make way-down RUNS=5`: stops of real daemons with full volumes, unread pipes and lost terminals, under signals.

Ends with one JSON line and exits with 1 when something rested, the exit code was another than documented, or a bound
was missed.
"""

import argparse
import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

from tests.way_down.driver import STORMS, Stop, play
from tests.way_down.outputs import TROUBLES, NotPossible


def _try(trouble: str, storm: str, folder: Path) -> Stop | str:
    """What was seen, or why this kind is left out on this machine."""
    try:
        stop = play(trouble, storm, folder)
    except NotPossible as reason:
        return str(reason)
    except AssertionError as problem:
        stop = Stop(trouble, storm, -1, 0.0, 0, 0, (str(problem),))
    words = "; ".join(stop.problems) or f"exit {stop.code} in {stop.took_s:.2f} s"
    sys.stderr.write(f"{trouble} {storm}: {words}, {stop.signals} signals, {stop.resting_before} rested\n")
    return stop


def main() -> int:
    parser = argparse.ArgumentParser(description="stop real daemons whose outputs are in trouble")
    parser.add_argument("--runs", type=int, default=5, help="of each trouble under each storm")
    parser.add_argument("--trouble", choices=[*TROUBLES], nargs="*", default=[*TROUBLES])
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    began = time.monotonic()
    kinds = list(product(args.trouble, STORMS, range(args.runs)))
    with (
        tempfile.TemporaryDirectory(prefix="kalshi-daemon-way-down-") as folder,
        ThreadPoolExecutor(args.workers) as pool,
    ):
        jobs = [pool.submit(_try, kind, storm, Path(folder) / f"{kind}-{storm}-{run}") for kind, storm, run in kinds]
        found = [job.result() for job in jobs]
    stops = [one for one in found if isinstance(one, Stop)]
    left_out = sorted({one for one in found if isinstance(one, str)})
    failed = [stop for stop in stops if stop.problems]
    sys.stdout.writelines(f"{stop.trouble} {stop.storm}: {'; '.join(stop.problems)}\n" for stop in failed)
    figures = {
        "stops": len(stops),
        "failed": len(failed),
        "left_out": left_out,
        "signals": sum(stop.signals for stop in stops),
        "resting_at_stops": sum(stop.resting_before for stop in stops),
        "stop_s_max": round(max((stop.took_s for stop in stops), default=0.0), 2),
        "codes": sorted({stop.code for stop in stops}),
        "wall_s": round(time.monotonic() - began, 1),
    }
    sys.stdout.write(json.dumps(figures) + "\n")
    return 1 if failed or not stops else 0


if __name__ == "__main__":
    sys.exit(main())
