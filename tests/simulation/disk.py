"""What can be wrong with the files of a life: a journal that is locked, full or gone. Real SQLite, errors put in front.

The errors are those of SQLite, with its codes, where it would raise them; the wait for a lock takes no simulated time.
A journal that is deleted is moved aside, as the open file goes on existing; the operator puts it back when the fault
ends, and nobody starts the daemon before.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any

_WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE")


class Refusal(Enum):
    """What SQLite says."""

    LOCKED = sqlite3.SQLITE_BUSY, "SQLITE_BUSY", "database is locked"
    FULL = sqlite3.SQLITE_FULL, "SQLITE_FULL", "database or disk is full"

    def error(self) -> sqlite3.OperationalError:
        code, name, text = self.value
        problem = sqlite3.OperationalError(text)
        problem.sqlite_errorcode, problem.sqlite_errorname = code, name
        return problem


class Disk:
    """One for all lives of a play. `folder` holds the lives' state."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._aside = folder / "aside"
        self.refusal: Refusal | None = None
        """What every write of the journal gets."""
        self.refused = 0
        """Statements that failed so far."""
        self.gone: Path | None = None
        """The journal that was deleted and has not been put back."""
        self.troubled_until_s = 0.0
        """Until then an end of a life is explained by its journal; infinite while the fault lasts."""

    @contextmanager
    def in_front(self) -> Iterator[None]:
        """Meanwhile every connection to a life's journal passes here."""
        usual: Any = sqlite3.connect

        def connect(database: Any, *args: Any, **options: Any) -> sqlite3.Connection:
            ours = self._is_journal(str(database))
            made = usual(database, *args, **options, **({"factory": _Connection} if ours else {}))
            assert isinstance(made, sqlite3.Connection)
            if isinstance(made, _Connection):
                made.disk = self
            return made

        sqlite3.connect = connect  # type: ignore[assignment] # put back below
        try:
            yield
        finally:
            sqlite3.connect = usual

    def _is_journal(self, database: str) -> bool:
        name = database.removeprefix("file://").partition("?")[0]
        return name.endswith("/sim/data/proc/journal.sqlite3") and name.startswith(str(self._folder))

    def before(self, sql: str, *, in_transaction: bool) -> None:
        """Raises what SQLite would. A full disk shows when what was written is flushed: at the commit."""
        if self.refusal is None:
            return
        verb = sql.lstrip().partition(" ")[0].upper().rstrip(";")
        at = ("BEGIN",) if self.refusal is Refusal.LOCKED else ("COMMIT",)
        if verb in at or (verb in _WRITES and not in_transaction):
            self.refused += 1
            raise self.refusal.error()

    # --- a file that is gone

    def delete(self, journal: Path) -> None:
        """Take the file of the life that is on away from its path, with what belongs to it."""
        self._aside.mkdir(exist_ok=True)
        self.gone = journal
        for path in _files(journal):
            path.rename(self._aside / path.name)

    def put_back(self) -> None:
        assert self.gone is not None, "it was deleted"
        for path in _files(self.gone):
            path.unlink()  # nothing of ours: whoever writes to a path that is gone makes another file
        for path in _files(self._aside / self.gone.name):
            path.rename(self.gone.parent / path.name)
        self.gone = None

    def files_of(self, journal: Path) -> list[Path]:
        """Where the files of this journal are now, without the index of the write-ahead log."""
        at = self._aside / journal.name if journal == self.gone else journal
        return [path for path in _files(at) if not path.name.endswith("-shm")]


def _files(journal: Path) -> list[Path]:
    return sorted(journal.parent.glob(f"{journal.name}*"))


class _Connection(sqlite3.Connection):
    disk: Disk | None = None

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        if self.disk is not None:
            self.disk.before(sql, in_transaction=self.in_transaction)
        return super().execute(sql, *args)
