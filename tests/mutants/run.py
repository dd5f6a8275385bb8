"""Break every safety promise on purpose, one at a time, in a copy, and see whether its tests notice: `make mutants`.

Each worker has a copy of package and tests in a temporary folder. First the named tests run on the unbroken copy: only
tests that pass there can catch anything. Then each mutant is applied, its tests run until the first failure, and the
text is put back. A mutant counts as caught when a test fails: a file that cannot be imported, or a name that does not
exist, is a mistake in the table. Prints a table, ends with one JSON line, and exits with 1 when a mutant survives.
"""

import argparse
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kalshi_daemon.ground.tables import Column, Table, markdown
from tests.mutants.mutant import Mutant
from tests.mutants.mutate import TableOutdated, mutated
from tests.mutants.table import MUTANTS

ROOT: Final = Path(__file__).resolve().parents[2]
COPIED: Final = ("kalshi_daemon", "tests", "docs", "pyproject.toml", "config.toml", "README.md")
TEST_S_MAX: Final = 30
"""One test of a mutant may take this long; a test that hangs has noticed too."""
RUN_S_MAX: Final = 600
LUCK_MAX: Final = 3
_TESTS_FAILED: Final = 1
_ENVIRONMENT: Final = {
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # importing plugins nobody uses here takes longer than most of the tests
    "CI": "true",  # hypothesis then draws the same examples every time
}
_FAILED: Final = re.compile(r"^FAILED tests/(.+?)(?: - .*)?$", re.MULTILINE)
_MISTAKES: Final = ("NameError", "SyntaxError", "ImportError while")


@dataclass(frozen=True, slots=True)
class Outcome:
    """`verdict` is `caught`, `SURVIVED` or `BROKEN` (the mutant itself does not work); `by` says which test or why."""

    mutant: Mutant
    verdict: str
    by: str
    wall_s: float


class Copy:
    """A copy of the project that one worker may break."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._env = {**os.environ, "PYTHONPATH": str(folder), **_ENVIRONMENT}

    def run(self, tests: Sequence[str], without: Sequence[str] = ()) -> tuple[int, str]:
        """Exit code and output of pytest on these tests, until the first failure; -1 when it never came back."""
        command = [
            *(sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--tb=line", "--no-header"),
            *("-p", "pytest_asyncio.plugin", "-p", "pytest_timeout", "-o", f"timeout={TEST_S_MAX}"),
            *(f"--deselect=tests/{name}" for name in without),
            *(f"tests/{name}" for name in tests),
        ]
        try:
            done = subprocess.run(
                command,
                cwd=self._folder,
                env=self._env,
                capture_output=True,
                text=True,
                timeout=RUN_S_MAX,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return -1, f"not back after {RUN_S_MAX} s"
        return done.returncode, done.stdout + done.stderr

    def prove_own(self) -> None:
        """Raise unless the tests here import the package that lies here: the original would survive everything."""
        said = subprocess.run(
            [sys.executable, "-c", "import kalshi_daemon; print(kalshi_daemon.__file__)"],
            cwd=self._folder,
            env=self._env,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        if self._folder not in Path(said).parents:
            raise SystemExit(f"the copy's tests would import {said}")

    def judge(self, mutant: Mutant) -> Outcome:
        """Break, test, put back. A test that fails without the mutant as well has caught nothing and is left out."""
        started = time.perf_counter()
        luck: list[str] = []
        while True:
            verdict, by = _verdict(*self._run_broken(mutant, luck))
            if verdict != "caught" or self.run([by])[0] == 0:
                return Outcome(mutant, verdict, by, time.perf_counter() - started)
            luck.append(by)
            if len(luck) > LUCK_MAX:
                return Outcome(mutant, "BROKEN", f"fails without it as well: {by}", time.perf_counter() - started)

    def _run_broken(self, mutant: Mutant, without: Sequence[str]) -> tuple[int, str]:
        path = self._folder / "kalshi_daemon" / mutant.file
        source = path.read_text()
        try:
            path.write_text(mutated(source, mutant))
            return self.run(mutant.tests, without)
        except TableOutdated as problem:
            return -1, str(problem)
        finally:
            path.write_text(source)


def _verdict(code: int, output: str) -> tuple[str, str]:
    if code == 0:
        return "SURVIVED", "nothing"
    failed = _FAILED.search(output)
    if code != _TESTS_FAILED or failed is None or any(word in output for word in _MISTAKES):
        return "BROKEN", " ".join(output.split())[-300:]
    return "caught", failed.group(1)


def _make_copies(folder: Path, number: int) -> list[Path]:
    """The first is taken from the project at one moment, the others from the first, so that all are the same."""
    first = folder / "0"
    first.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, first / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, first / name)
    # Bytecode that goes by the text and not by its time: a mutant made within the same second is still seen.
    compiled = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "checked-hash", "kalshi_daemon"]
    subprocess.run(compiled, cwd=first, check=True)
    others = [folder / str(n) for n in range(1, number)]
    for other in others:
        shutil.copytree(first, other)
    return [first, *others]


def _check_unbroken(copies: list[Copy], pool: ThreadPoolExecutor, mutants: Sequence[Mutant]) -> None:
    """Raise SystemExit unless every named test passes without a mutant."""
    copies[0].prove_own()
    files = sorted({name for mutant in mutants for name in mutant.tests})
    shares = [files[n :: len(copies)] for n in range(len(copies))]
    jobs = [pool.submit(copy.run, share) for copy, share in zip(copies, shares, strict=True) if share]
    for code, output in [job.result() for job in jobs]:
        if code != 0:
            raise SystemExit(f"the named tests must pass before anything is broken:\n{output[-3_000:]}")


def judge_all(mutants: Sequence[Mutant], workers: int) -> list[Outcome]:
    """The outcome of each mutant, in the order of the table. Progress goes to stderr."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, ThreadPoolExecutor(workers) as pool:
        copies = [Copy(path) for path in _make_copies(Path(folder), workers)]
        _check_unbroken(copies, pool, mutants)
        free: queue.SimpleQueue[Copy] = queue.SimpleQueue()
        for copy in copies:
            free.put(copy)

        def judge(mutant: Mutant) -> Outcome:
            copy = free.get()
            try:
                outcome = copy.judge(mutant)
            finally:
                free.put(copy)
            sys.stderr.write(f"{outcome.verdict:8} {mutant.name}\n")
            return outcome

        return list(pool.map(judge, mutants))


def main() -> int:
    parser = argparse.ArgumentParser(description="break each safety promise on purpose and see which test notices")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("names", nargs="*", help="only these mutants")
    args = parser.parse_args()
    unknown = set(args.names) - {mutant.name for mutant in MUTANTS}
    if unknown:
        parser.error(f"no such mutant: {', '.join(sorted(unknown))}")
    chosen = [mutant for mutant in MUTANTS if not args.names or mutant.name in args.names]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # the copies are removed all the same
    started = time.perf_counter()
    outcomes = judge_all(chosen, max(1, min(args.workers, len(chosen))))
    columns = [Column(heading) for heading in ("mutant", "promise it breaks", "verdict", "by")]
    rows = [(one.mutant.name, one.mutant.promise, one.verdict, one.by) for one in outcomes]
    sys.stdout.write(markdown(Table(columns, rows)))
    uncaught = [outcome.mutant.name for outcome in outcomes if outcome.verdict != "caught"]
    summary = {
        "mutants": len(outcomes),
        "caught": len(outcomes) - len(uncaught),
        "survived": uncaught,
        "wall_s": round(time.perf_counter() - started, 1),
    }
    sys.stdout.write(json.dumps(summary) + "\n")
    return 1 if uncaught else 0


if __name__ == "__main__":
    sys.exit(main())
