"""`make fuzz`: every reader of what comes from outside, fed with what is almost right; ends with one line of JSON.

FUZZ_INPUTS inputs in all (shared out by target), FUZZ_SEED the seed. Guided by the coverage of kalshi_daemon where
atheris is installed, by a seeded generator elsewhere; the last line is the same.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

_BLOCK_MAX_MS = 50.0


def main() -> int:
    options = _options()
    if options.target:
        _one(options)
    from tests.fuzz.table import TARGETS, shares  # noqa: PLC0415 - a child must instrument first

    guided = not options.generate and importlib.util.find_spec("atheris") is not None
    names = options.only or [target.name for target in TARGETS]
    reports = []
    for name, inputs in shares(options.inputs, names).items():
        report = _child(name, inputs, options.seed, guided=guided)
        reports.append(report)
        sys.stdout.write(json.dumps(report) + "\n")
        sys.stdout.flush()
    last = {
        "inputs": sum(one["inputs"] for one in reports),
        "escapes": sum(one["escapes"] for one in reports),
        "accepted_wrongly": sum(one["accepted_wrongly"] for one in reports),
        "longest_block_ms": max(one["longest_block_ms"] for one in reports),
    }
    sys.stdout.write(json.dumps(last) + "\n")
    good = not last["escapes"] and not last["accepted_wrongly"] and last["longest_block_ms"] <= _BLOCK_MAX_MS
    return 0 if good else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    environ = os.environ
    parser.add_argument("only", nargs="*", help="targets, by default all")
    parser.add_argument("--inputs", type=int, default=int(environ.get("FUZZ_INPUTS") or 100_000))
    parser.add_argument("--seed", type=int, default=int(environ.get("FUZZ_SEED") or 1))
    parser.add_argument("--generate", action="store_true", help="without atheris, even where it is installed")
    parser.add_argument("--target", help=argparse.SUPPRESS)
    parser.add_argument("--report", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--guided", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _child(name: str, inputs: int, seed: int, *, guided: bool) -> dict[str, Any]:
    """One target in a process of its own: the fuzzer ends the one it runs in."""
    with tempfile.TemporaryDirectory(prefix="kd-fuzz-") as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "tests.fuzz", "--target", name, "--inputs", str(inputs), "--seed", str(seed)]
        done = subprocess.run(
            [*command, "--report", str(report), *(["--guided"] if guided else [])],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if not report.exists():
            sys.stdout.write(done.stdout.decode(errors="replace"))
            raise SystemExit(f"fuzz: {name} ended with {done.returncode} and without a report")
        found: dict[str, Any] = json.loads(report.read_bytes())
    return found


def _one(options: argparse.Namespace) -> NoReturn:
    if options.guided:
        import atheris  # noqa: PLC0415 - not on every platform

        with atheris.instrument_imports(include=["kalshi_daemon"]):
            from tests.fuzz import engine, table  # noqa: PLC0415 - instrumented as it is imported
    else:
        from tests.fuzz import engine, table  # noqa: PLC0415 - the same, plain
    target = table.named(options.target)

    def done(tally: engine.Tally) -> NoReturn:
        options.report.write_text(json.dumps(tally.report(target.name) | {"guided": options.guided}))
        sys.stdout.flush()
        os._exit(0)

    if options.guided:
        folder = Path(tempfile.mkdtemp(prefix="kd-fuzz-seeds-", dir=options.report.parent))
        for number, data in enumerate(target.seeds):
            (folder / f"{number}").write_bytes(data)
        engine.guide(target, options.inputs, options.seed, str(folder), done)
    done(engine.generate(target, options.inputs, options.seed))


if __name__ == "__main__":
    sys.exit(main())
