"""The built-in exchange is a new one at every start: what the journal remembers of an earlier one is put aside.

Orders, positions and cursors of an exchange that is gone would be looked for at one that never heard of them. Only for
the exchange this process starts itself; one that is joined outlives the daemon, and must find its orders again.
"""

import shutil
from pathlib import Path
from typing import Final

import structlog

from kalshi_daemon.ground.clock import iso_utc
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.folders import FIX, is_there
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.orders.journal import journal_path
from kalshi_daemon.orders.journal_archive import archive_folder, earlier_runs, earlier_runs_folder

KEPT: Final = 3
"""Earlier runs that are kept; the oldest go first."""

log = structlog.get_logger()


def put_earlier_run_aside(mode_dir: Path, now_ns: Nanos) -> Path | None:
    """Move the journal with its archives to a folder named after now, and say so; None when there is nothing to move.

    Under the instance lock, before the journal is opened. now_ns: the machine's time. Raises ConfigurationError.
    """
    journal = journal_path(mode_dir)
    # The journal itself last: its write-ahead log, left alone beside a new journal, would be taken for that one's.
    parts = [archive_folder(journal), *(journal.with_name(journal.name + end) for end in ("-wal", "-shm")), journal]
    target = earlier_runs_folder(journal) / f"run-{iso_utc(now_ns).replace(':', '')}"
    try:
        found = [path for path in parts if is_there(path)]
        if not found:
            return None
        target.mkdir(parents=True, exist_ok=True)
        for path in found:
            path.rename(target / path.name)
        for old in earlier_runs(journal)[:-KEPT]:
            shutil.rmtree(old)
    except OSError as problem:
        where = str(problem.filename or target)
        fix = f"an earlier run lies there; {FIX if isinstance(problem, PermissionError) else 'see to that path'}"
        raise ConfigurationError("state_dir", f"{where}: {problem.strerror}", fix) from problem
    log.info("simulator.earlier_run_moved_aside", path=str(target), kept=KEPT)
    return target
