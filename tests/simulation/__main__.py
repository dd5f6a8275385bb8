"""`python -m tests.simulation --seeds N --first-seed K`: play seeds, print what broke, end with one line of JSON."""

import argparse
import functools
import json
import os
import sys
import time
from collections import Counter
from unittest.mock import patch

from kalshi_daemon.windows import sessions

_HASH_SEED = "0"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=25)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--log", action="store_true", help="print every line of both machines' logs")
    parser.add_argument("--each", action="store_true", help="print a line per seed")
    options = parser.parse_args(argv)
    if os.environ.get("PYTHONHASHSEED") != _HASH_SEED:
        # The order of sets of strings is part of a run.
        os.environ["PYTHONHASHSEED"] = _HASH_SEED
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation", *(argv or sys.argv[1:])])
    # The calendar takes a second to read and every life reads it.
    with patch.object(sessions, "_read_calendar", functools.cache(sessions._read_calendar)):
        return _play_all(options.first_seed, options.seeds, log=options.log, each=options.each)


def _play_all(first: int, seeds: int, *, log: bool, each: bool) -> int:
    from tests.simulation.play import play  # noqa: PLC0415 - not before the hash seed is set

    began = time.perf_counter()
    faults: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    failed: list[int] = []
    longest_s = 0.0
    for seed in range(first, first + seeds):
        outcome = play(seed, say=_print if log else None)
        faults.update(outcome.faults)
        for name in ("crashes", "stops", "lives", "orders", "fills"):
            totals[name] += getattr(outcome, name)
        totals["violations"] += len(outcome.violations)
        totals["simulated_s"] += round(outcome.simulated_s)
        longest_s = max(longest_s, outcome.alone_longest_s)
        if each:
            _print(
                f"seed {seed}: {outcome.orders} orders, {outcome.fills} fills, {outcome.crashes} crashes,"
                f" {outcome.faults.total()} faults, fingerprint {outcome.fingerprint:08x}"
            )
        if outcome.violations:
            failed.append(seed)
            for line in outcome.violations:
                _print(f"seed {seed}: {line}")
            _print(f"replay: make simulate SEEDS=1 FIRST_SEED={seed}")
    result = {
        "seeds": seeds,
        "first_seed": first,
        "violations": totals["violations"],
        "failed_seeds": failed,
        "faults": dict(sorted(faults.items())),
        "kinds": len(faults),
        "crashes": totals["crashes"],
        "stops": totals["stops"],
        "lives": totals["lives"],
        "orders": totals["orders"],
        "fills": totals["fills"],
        "alone_longest_s": round(longest_s, 2),
        "simulated_s": totals["simulated_s"],
        "wall_s": round(time.perf_counter() - began, 1),
    }
    _print(json.dumps(result))
    return 1 if failed else 0


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
