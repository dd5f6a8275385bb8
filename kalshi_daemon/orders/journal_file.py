"""The journal's file: opening, checks, transactions, sealed rows, and every failure told by its cause.

What SQLite says is turned into the subclass of StateCorrupt that names the true fix; no other error of the file leaves
this module. No call waits longer for another process than the busy time-out, and after one such wait none waits at all:
the stop must not queue behind a lock.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, Self

from kalshi_daemon import __version__
from kalshi_daemon.ground.errors import StateCorrupt, StateTooNew
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.orders.journal_errors import (
    StateDamaged,
    StateDiskFull,
    StateGone,
    StateIoError,
    StateLocked,
)
from kalshi_daemon.orders.journal_schema import MIGRATIONS, SEALED_SINCE, TABLES, row_crc

ROWS_MAX: Final = 200_000
"""Most rows any read returns: the venue allows that many open orders (docs/reference/venue.md 2.3); beyond it is not
our file."""
BUSY_MS_MAX: Final = 2_000
"""Longest wait for another process that holds the file."""
_FREE_BYTES_MIN: Final = 1_000_000
DAEMON_VERSION: Final = sum(
    int(part) * weight for part, weight in zip(__version__.split("."), (10_000, 100, 1), strict=True)
)
"""The version that last opened the journal to write, as `PRAGMA user_version` keeps it: 100 is 0.1.0. For people."""
_PRIMARY: Final = 0xFF
_LOCKED: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_REFUSED: Final = (
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_NOLFS,
)
_DAMAGED: Final = (
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_ERROR,  # a table or column that is no longer called so: our own statements are right
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_NOMEM,
)
_ILL_FORMED: Final = (UnicodeError, ValueError, TypeError, LookupError, OverflowError)
"""What a reader of rows raises over values that we never wrote."""


class JournalFile:
    """One open file. Not for several writers: the instance lock keeps other daemons out; readers are welcome."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db = connection
        self._path = path
        self._depth = 0
        self._inode = _inode(path)
        self._schema = len(MIGRATIONS)

    @classmethod
    def open(cls, path: Path, now_ns: Nanos, *, synchronous: Literal["full", "normal", "off"] = "full") -> Self:
        """Open or create, check and migrate. Raises StateCorrupt (the subclass says why)."""
        with _told(path, "opened"), ExitStack() as on_failure:
            path.parent.mkdir(parents=True, exist_ok=True)
            opened = cls(sqlite3.connect(path, isolation_level=None), path)
            on_failure.callback(opened.close)
            opened._prepare(synchronous)
            opened._migrate(now_ns)
            opened._inode = _inode(path)
            on_failure.pop_all()
        return opened

    @classmethod
    def read(cls, path: Path) -> Self:
        """Open an existing journal for reading only, also while a daemon writes it. Raises StateCorrupt."""
        with _told(path, "read"), ExitStack() as on_failure:
            opened = cls(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None), path)
            on_failure.callback(opened.close)
            opened._db.execute(f"PRAGMA busy_timeout = {BUSY_MS_MAX}")
            opened._schema = opened._check_version(opened._version())
            on_failure.pop_all()
        return opened

    def close(self) -> None:
        """Let go of the database. Everything written is on disk already."""
        self._db.close()

    @property
    def path(self) -> Path:
        return self._path

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing, on disk when it returns. Nested ones belong to the outermost."""
        if self._depth:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
            return
        self._do("BEGIN IMMEDIATE")
        self._depth = 1
        try:
            yield
            self._do("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._db.rollback()
            raise
        finally:
            self._depth = 0

    def check_in_place(self) -> None:
        """Raises StateGone when the path no longer leads to the file that is open."""
        now = _inode(self._path)
        if now is None:
            raise StateGone(str(self._path), "deleted")
        if now != self._inode:
            raise StateGone(str(self._path), f"replaced (inode {now[1]}, ours is {self._inode and self._inode[1]})")

    # --- rows ---------------------------------------------------------------------------------------------------------

    def _insert(self, table: str, values: Sequence[Any], verb: str = "INSERT", clause: str = "") -> sqlite3.Cursor:
        """Write one sealed row. `values` in the order of TABLES."""
        marks = ", ".join("?" * (len(values) + 1))
        sql = f"{verb} INTO {table} ({TABLES[table]}, crc) VALUES ({marks}) {clause}"
        return self._do(sql, (*values, row_crc(table, *values)))

    def _select(self, table: str, rest: str = "", values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Whole rows of a table, each held against its checksum. Raises StateDamaged."""
        crc = ", crc" if self._schema >= SEALED_SINCE else ""
        rows = self._rows(f"SELECT {TABLES[table]}{crc} FROM {table} {rest}", values)  # noqa: S608 - constants
        if not crc:
            return rows
        return [self._unsealed(table, row) for row in rows]

    def _unsealed(self, table: str, row: tuple[Any, ...]) -> tuple[Any, ...]:
        if row_crc(table, *row[:-1]) != row[-1]:
            raise StateDamaged(str(self._path), f"a row of {table} does not match its checksum: {row[0]!r:.60}")
        return row[:-1]

    @contextmanager
    def _strictly(self, table: str) -> Iterator[None]:
        """Around the making of records from rows: a value that we never write is damage."""
        try:
            yield
        except _ILL_FORMED as problem:
            raise StateDamaged(str(self._path), f"a row of {table}: {problem}"[:200]) from problem

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        try:
            rows = self._db.execute(sql, values).fetchmany(ROWS_MAX + 1)
        except (sqlite3.Error, UnicodeError) as problem:
            raise self._failed(problem, "read") from problem
        if len(rows) > ROWS_MAX:
            raise StateCorrupt(str(self._path), f"more than {ROWS_MAX} rows in one read: not a journal of ours")
        return rows

    def _do(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        try:
            return self._db.execute(sql, values)
        except (sqlite3.Error, UnicodeError, OverflowError) as problem:
            raise self._failed(problem, "written") from problem

    def _failed(self, problem: Exception, doing: str) -> StateCorrupt:
        cause = cause_of(self._path, problem, doing)
        if isinstance(cause, StateLocked):
            with suppress(sqlite3.Error):
                self._db.execute("PRAGMA busy_timeout = 0")
        return cause

    # --- opening ------------------------------------------------------------------------------------------------------

    def _prepare(self, synchronous: Literal["full", "normal", "off"]) -> None:
        self._db.execute(f"PRAGMA busy_timeout = {BUSY_MS_MAX}")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute(f"PRAGMA synchronous = {synchronous.upper()}")
        # Not quick_check: that leaves the indexes out, and a live order that its index no longer names is not loaded.
        verdict = self._db.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != ("ok",):
            raise StateDamaged(str(self._path), f"{verdict!r:.120}")

    def _migrate(self, now_ns: Nanos) -> None:
        self._db.create_function("row_crc", -1, row_crc, deterministic=True)
        self._db.execute("CREATE TABLE IF NOT EXISTS schema (version INTEGER NOT NULL, applied_ns INTEGER NOT NULL)")
        version = self._check_version(self._version())
        for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
            # executescript commits by itself, so the version row goes into the same script.
            stamp = f"INSERT INTO schema VALUES ({number}, {int(now_ns)})"  # noqa: S608 - two integers
            self._db.executescript(f"BEGIN; {script}; {stamp}; COMMIT;")
        if _tables(self._db) != _expected_tables(tuple(MIGRATIONS)):
            raise StateDamaged(str(self._path), "its tables are not the ones that the migrations make")
        if self._db.execute("PRAGMA user_version").fetchone() != (DAEMON_VERSION,):
            self._db.execute(f"PRAGMA user_version = {DAEMON_VERSION}")

    def _version(self) -> int:
        row = self._db.execute("SELECT COALESCE(MAX(version), 0) FROM schema").fetchone()
        if not isinstance(row[0], int):
            raise StateDamaged(str(self._path), f"schema version {row[0]!r:.40}")
        return row[0]

    def _check_version(self, version: int) -> int:
        if version > len(MIGRATIONS):
            raise StateTooNew(str(self._path), "journal", version, len(MIGRATIONS))
        if version < 0:
            raise StateDamaged(str(self._path), f"schema version {version}")
        return version


def cause_of(path: Path, problem: Exception, doing: str) -> StateCorrupt:
    """The subclass of StateCorrupt for what SQLite or the operating system said while the journal was `doing`."""
    name = str(path)
    text = str(problem)
    if isinstance(problem, OSError):
        return StateIoError(name, doing, text)
    if not isinstance(problem, sqlite3.Error) or "decode" in text:  # a text that is no UTF-8 has no error code
        return StateDamaged(name, f"{type(problem).__name__}: {text}"[:200])
    code = getattr(problem, "sqlite_errorcode", None)
    primary = None if code is None else code & _PRIMARY
    if primary in _LOCKED:
        return StateLocked(name, text, BUSY_MS_MAX)
    if primary == sqlite3.SQLITE_FULL or (primary == sqlite3.SQLITE_IOERR and _full(path)):
        return StateDiskFull(name, doing, text)
    if primary in _REFUSED:
        if problem.sqlite_errorname == "SQLITE_READONLY_DBMOVED":
            return StateGone(name, "moved or deleted")
        return StateIoError(name, doing, f"{text}, {problem.sqlite_errorname}")
    if primary in _DAMAGED:
        return StateDamaged(name, text)
    return StateCorrupt(name, f"journal cannot be {doing} ({text})")


def _full(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < _FREE_BYTES_MIN
    except OSError:
        return False


@contextmanager
def _told(path: Path, doing: str) -> Iterator[None]:
    """What the disk and SQLite raise, by its cause."""
    try:
        yield
    except (sqlite3.Error, OSError, UnicodeError) as problem:
        raise cause_of(path, problem, doing) from problem


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - once per batch of intents
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _tables(db: sqlite3.Connection) -> set[tuple[Any, ...]]:
    return set(db.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%'"))


@lru_cache(maxsize=4)
def _expected_tables(migrations: tuple[str, ...]) -> set[tuple[Any, ...]]:
    """The tables and indexes as the migrations make them in an empty file. Made once: every journal is opened by it."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.create_function("row_crc", -1, row_crc, deterministic=True)
        db.execute("CREATE TABLE IF NOT EXISTS schema (version INTEGER NOT NULL, applied_ns INTEGER NOT NULL)")
        for script in migrations:
            db.executescript(script)
        return _tables(db)
