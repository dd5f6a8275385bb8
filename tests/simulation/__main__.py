"""`python -m tests.simulation --seeds N --first-seed K`: play seeds, print what broke, end with one line of JSON."""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

_HASH_SEED = "0"


def main(argv: list[str] | None = None) -> int:
    options = _options(argv)
    if os.environ.get("PYTHONHASHSEED") != _HASH_SEED:
        # The order of sets of strings is part of a run.
        os.environ["PYTHONHASHSEED"] = _HASH_SEED
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation", *(argv or sys.argv[1:])])
    if options.merge:
        return _end(_merged(options.merge))
    if options.matrix is not None:
        return _matrix(options.matrix, options.workers)
    return _play_all(options)


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=25)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, help="processes; the results are the same with any number")
    parser.add_argument("--log", action="store_true", help="print every line of both machines' logs (one worker)")
    parser.add_argument("--each", action="store_true", help="print a line per seed")
    parser.add_argument("--kinds", nargs="+", default=(), help="draw faults of these kinds only")
    parser.add_argument("--matrix", nargs="*", help="play every kind of fault alone (or these) and write the page")
    parser.add_argument("--merge", type=Path, nargs="+", help="play nothing: add up the last lines of these files")
    options = parser.parse_args(argv)
    if options.log:
        options.workers = 1
    return options


def _play_all(options: argparse.Namespace) -> int:
    from tests.simulation.batch import outcomes, totals  # noqa: PLC0415 - not before the hash seed is set

    began = time.perf_counter()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    played = []
    for outcome in outcomes(seeds, options.workers, _print if options.log else None, options.kinds):
        played.append(outcome)
        if options.each:
            _print(
                f"seed {outcome.seed}: {outcome.orders} orders, {outcome.fills} fills, {outcome.crashes} crashes,"
                f" {outcome.faults.total()} faults, fingerprint {outcome.fingerprint:08x}"
            )
        for line in outcome.violations:
            _print(f"seed {outcome.seed}: {line}")
        if outcome.violations:
            _print(f"replay: make simulate SEEDS=1 FIRST_SEED={outcome.seed}")
    return _end(totals(played) | {"wall_s": round(time.perf_counter() - began, 1)})


def _merged(files: list[Path]) -> dict[str, Any]:
    from tests.simulation.batch import merged  # noqa: PLC0415 - not before the hash seed is set

    return merged(json.loads(file.read_text(encoding="utf-8").splitlines()[-1]) for file in files)


def _matrix(kinds: list[str], workers: int) -> int:
    from tests.simulation.matrix import (  # noqa: PLC0415 - not before the hash seed is set
        PAGE,
        Row,
        all_kinds,
        cells_of,
        page,
        rows,
    )

    began = time.perf_counter()

    def tell(row: Row) -> None:
        _print(f"| {' | '.join(cells_of(row))} |")
        for line in row.violations:
            _print(f"{row.kind} (seed {row.seed}): {line}")

    found = rows(kinds or all_kinds(), workers, tell)
    if not kinds:
        PAGE.write_text(page(found), encoding="utf-8")
    result = {
        "kinds": len(found),
        "violations": sum(len(row.violations) for row in found),
        "safe_longest_s": round(max(row.safe_s for row in found), 2),
        "alone_longest_s": round(max(row.alone_s for row in found), 2),
        "wall_s": round(time.perf_counter() - began, 1),
    }
    return _end(result)


def _end(result: dict[str, Any]) -> int:
    _print(json.dumps(result))
    return 1 if result["violations"] else 0


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
