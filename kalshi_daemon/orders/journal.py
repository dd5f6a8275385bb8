"""The journal: SQLite, write-ahead logged, intents before they are sent, outcomes after (docs/decisions/0003).

Calls block the loop for one disk flush at most (`synchronous=full`), which is the point: a request leaves after its
intent is on disk. Every failure of the file is StateCorrupt with the path and what to do; nothing is ever repaired
silently. Reads are bounded; at the bound they raise instead of leaving something out.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Literal, Self

from kalshi_daemon.domain.order import Order, Settlement, Status
from kalshi_daemon.errors import StateCorrupt
from kalshi_daemon.orders.journal_rows import (
    FILL_COLUMNS,
    ORDER_COLUMNS,
    GroupIntent,
    GroupRow,
    fill_of_row,
    fill_row,
    order_of_row,
    order_row,
)
from kalshi_daemon.orders.journal_schema import MIGRATIONS
from kalshi_daemon.orders.ledger import BookedFill, Inherited, Result
from kalshi_daemon.state import GroupHalt
from kalshi_daemon.units import Count, Dollars, Nanos

ROWS_MOST: Final = 200_000
"""Most rows any read returns: the venue allows that many open orders (kalshi.md 2.3); beyond it is not our file."""
_BUSY_MS: Final = 2_000
_LIVE: Final = tuple(status.value for status in Status if status.live)
_ADVICE: Final = "move the file (and its -wal and -shm) away and restart: the exchange's own lists are then read afresh"


def journal_path(mode_dir: Path) -> Path:
    """The journal of a mode."""
    return mode_dir / "data" / "proc" / "journal.sqlite3"


class Journal:
    """One open journal. Not for several writers: the instance lock keeps other daemons out; readers are welcome."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db = connection
        self._path = path
        self._depth = 0

    @classmethod
    def open(cls, path: Path, now_ns: Nanos, *, synchronous: Literal["full", "normal"] = "full") -> Self:
        """Open or create, check and migrate. Raises StateCorrupt."""
        journal: Self | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            journal = cls(sqlite3.connect(path, isolation_level=None), path)
            journal._prepare(synchronous)
            journal._migrate(now_ns)
        except (sqlite3.Error, OSError) as problem:
            if journal is not None:
                journal._db.close()
            raise StateCorrupt(str(path), f"journal cannot be opened ({problem}); {_ADVICE}") from problem
        except StateCorrupt:
            if journal is not None:
                journal._db.close()
            raise
        return journal

    @classmethod
    def read(cls, path: Path) -> Self:
        """Open an existing journal for reading only, also while a daemon writes it. Raises StateCorrupt."""
        try:
            journal = cls(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None), path)
            journal._db.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
            journal._check_version(journal._version())
        except sqlite3.Error as problem:
            raise StateCorrupt(str(path), f"journal cannot be read ({problem})") from problem
        return journal

    def close(self) -> None:
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

    # --- orders -------------------------------------------------------------------------------------------------------

    def record_intents(self, orders: Sequence[Order]) -> None:
        """Write down orders before any of them is sent. Raises StateCorrupt when an id was used before."""
        marks = ", ".join("?" * 17)
        with self.transaction():
            for order in orders:
                self._do(f"INSERT INTO orders ({ORDER_COLUMNS}) VALUES ({marks})", order_row(order))  # noqa: S608 - constants
                self._event(order, order.created_ns, "Intended", {})

    def record_outcome(self, order: Order, at_ns: Nanos, event: str, detail: Mapping[str, Any]) -> None:
        """Write down what an order has become and why. Raises StateCorrupt for an order that was never intended."""
        with self.transaction():
            done = self._do(
                "UPDATE orders SET status = ?, expires_ns = ?, order_id = ?, filled = ?, updated_ns = ?, reason = ?"
                " WHERE client_order_id = ?",
                (
                    order.status.value,
                    order.expires_ns,
                    order.order_id,
                    order.filled,
                    order.updated_ns,
                    order.reason,
                    order.client_order_id,
                ),
            )
            if done.rowcount != 1:
                raise StateCorrupt(str(self._path), f"order {order.client_order_id} has an outcome but no intent")
            self._event(order, at_ns, event, detail)

    def record_expiries(self, orders: Sequence[Order]) -> None:
        """Renewed expiries, without an event each: there are many and the exchange's list says the same."""
        with self.transaction():
            for order in orders:
                values = (order.expires_ns, order.client_order_id)
                self._do("UPDATE orders SET expires_ns = ? WHERE client_order_id = ?", values)

    def live_orders(self) -> list[Order]:
        """Every order that may still trade, oldest first."""
        marks = ", ".join("?" * len(_LIVE))
        return self._orders(f"status IN ({marks}) ORDER BY created_ns, client_order_id", _LIVE)

    def orders_since(self, since_ns: Nanos, most: int) -> list[Order]:
        """The last `most` orders that changed at or after `since_ns`, latest first."""
        return self._orders("updated_ns >= ? ORDER BY updated_ns DESC LIMIT ?", (since_ns, most))

    def order(self, client_order_id: str) -> Order | None:
        found = self._orders("client_order_id = ?", (client_order_id,))
        return found[0] if found else None

    def order_of(self, order_id: str) -> Order | None:
        """By the exchange's id."""
        found = self._orders("order_id = ?", (order_id,))
        return found[0] if found else None

    def history(self, client_order_id: str) -> list[tuple[Nanos, str, str, dict[str, Any]]]:
        """(at, event, status after it, detail) of one order, in order."""
        rows = self._rows(
            "SELECT at_ns, event, status, detail FROM order_events WHERE client_order_id = ? ORDER BY seq",
            (client_order_id,),
        )
        return [(Nanos(at), event, status, json.loads(detail)) for at, event, status, detail in rows]

    # --- fills --------------------------------------------------------------------------------------------------------

    def add_fill(self, booked: BookedFill, booked_ns: Nanos) -> bool:
        """Write down a fill; False when its trade id is there already (whatever it then says)."""
        values = (*fill_row(booked), booked_ns)
        marks = ", ".join("?" * len(values))
        sql = f"INSERT INTO fills ({FILL_COLUMNS}, booked_ns) VALUES ({marks}) ON CONFLICT (trade_id) DO NOTHING"  # noqa: S608 - constants
        return self._do(sql, values).rowcount == 1

    def fill(self, trade_id: str) -> BookedFill | None:
        found = self._fills("trade_id = ?", (trade_id,))
        return found[0] if found else None

    def filled_total(self, order_id: str) -> Count:
        """The sum of the fills known of one order."""
        rows = self._rows("SELECT COALESCE(SUM(count), 0) FROM fills WHERE order_id = ?", (order_id,))
        return Count(rows[0][0])

    def fills_since(self, since_ns: Nanos) -> list[BookedFill]:
        return self._fills("event_ns >= ? ORDER BY event_ns, trade_id", (since_ns,))

    def fills_of(self, order_id: str) -> list[BookedFill]:
        """The fills of one order, oldest first."""
        return self._fills("order_id = ? ORDER BY event_ns, trade_id", (order_id,))

    def fills_that_matter(self, settled_since_ns: Nanos) -> list[BookedFill]:
        """Fills of markets that are not settled, or were settled at or after `settled_since_ns`."""
        return self._fills(
            "market_ticker NOT IN (SELECT market_ticker FROM settlements WHERE settled_ns < ?)"
            " ORDER BY event_ns, trade_id",
            (settled_since_ns,),
        )

    # --- settlements, inherited positions, cursors --------------------------------------------------------------------

    def add_result(self, market_ticker: str, event_ticker: str, result: Result, booked_ns: Nanos) -> None:
        """Write down how a market ended, as far as known; a settlement of the exchange's list is not overwritten."""
        self._do(
            "INSERT INTO settlements (market_ticker, event_ticker, result, settled_ns, booked_ns)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT (market_ticker) DO UPDATE SET result = excluded.result,"
            " settled_ns = excluded.settled_ns, booked_ns = excluded.booked_ns WHERE revenue IS NULL",
            (market_ticker, event_ticker, result.result, result.at_ns, booked_ns),
        )

    def add_settlement(self, settlement: Settlement, booked_ns: Nanos) -> None:
        """Write down a settlement as the exchange lists it; it overrides a result booked before."""
        self._do(
            "INSERT OR REPLACE INTO settlements (market_ticker, event_ticker, result, revenue, fee, yes_count,"
            " no_count, settled_ns, booked_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                settlement.market_ticker,
                settlement.event_ticker,
                settlement.result,
                settlement.revenue,
                settlement.fee,
                settlement.yes_count,
                settlement.no_count,
                settlement.settled_ns,
                booked_ns,
            ),
        )

    def results_since(self, since_ns: Nanos) -> dict[str, Result]:
        rows = self._rows(
            "SELECT market_ticker, result, settled_ns, revenue FROM settlements WHERE settled_ns >= ?", (since_ns,)
        )
        return {
            ticker: Result(result, Nanos(at), None if revenue is None else Dollars(revenue))
            for ticker, result, at, revenue in rows
        }

    def inherit(self, positions: Sequence[Inherited]) -> None:
        with self.transaction():
            for held in positions:
                values = (held.market_ticker, held.event_ticker, held.series_ticker, held.count)
                self._do("INSERT OR REPLACE INTO inherited VALUES (?, ?, ?, ?)", values)

    def inherited(self, settled_since_ns: Nanos) -> list[Inherited]:
        rows = self._rows(
            "SELECT market_ticker, event_ticker, series_ticker, count FROM inherited WHERE market_ticker NOT IN"
            " (SELECT market_ticker FROM settlements WHERE settled_ns < ?)",
            (settled_since_ns,),
        )
        return [Inherited(ticker, event, series, Count(count)) for ticker, event, series, count in rows]

    def cursor(self, name: str) -> Nanos | None:
        rows = self._rows("SELECT value FROM cursors WHERE name = ?", (name,))
        return Nanos(rows[0][0]) if rows else None

    def set_cursor(self, name: str, value: Nanos) -> None:
        self._do("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (name, value))

    # --- order groups -------------------------------------------------------------------------------------------------

    def groups(self) -> list[GroupRow]:
        """Every order group we made or took over and did not delete, newest first."""
        sql = "SELECT order_group_id, profile, contracts_limit, created_ns FROM order_groups ORDER BY created_ns DESC"
        return [GroupRow(made, profile, Count(limit), Nanos(at)) for made, profile, limit, at in self._rows(sql)]

    def intend_group(self, intent: GroupIntent) -> None:
        """Write down that a group is about to be created."""
        values = (intent.profile, intent.at_ns, json.dumps(sorted(intent.listed_before)))
        self._do("INSERT OR REPLACE INTO group_creates VALUES (?, ?, ?)", values)

    def group_intents(self) -> dict[str, GroupIntent]:
        """Creates that never got an answer, by profile."""
        rows = self._rows("SELECT profile, at_ns, listed_before FROM group_creates")
        return {profile: GroupIntent(profile, Nanos(at), frozenset(json.loads(ids))) for profile, at, ids in rows}

    def forget_group_intent(self, profile: str) -> None:
        self._do("DELETE FROM group_creates WHERE profile = ?", (profile,))

    def record_group(self, group: GroupRow) -> None:
        """Write down a group that exists; a create of its profile that was under way is over."""
        with self.transaction():
            values = (group.order_group_id, group.profile, group.contracts_limit, group.created_ns)
            self._do("INSERT OR REPLACE INTO order_groups VALUES (?, ?, ?, ?)", values)
            self.forget_group_intent(group.profile)

    def forget_group(self, order_group_id: str) -> None:
        self._do("DELETE FROM order_groups WHERE order_group_id = ?", (order_group_id,))

    def halt(self, profile: str, halt: GroupHalt) -> None:
        self._do("INSERT OR REPLACE INTO group_halts VALUES (?, ?, ?)", (profile, halt.at_ns, halt.reason))

    def halts(self) -> dict[str, GroupHalt]:
        """Profiles that must not quote before they are reset."""
        rows = self._rows("SELECT profile, at_ns, reason FROM group_halts")
        return {profile: GroupHalt(Nanos(at), reason) for profile, at, reason in rows}

    def end_halt(self, profile: str) -> None:
        self._do("DELETE FROM group_halts WHERE profile = ?", (profile,))

    # --- inside -------------------------------------------------------------------------------------------------------

    def _prepare(self, synchronous: Literal["full", "normal"]) -> None:
        self._db.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute(f"PRAGMA synchronous = {synchronous.upper()}")
        verdict = self._db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != ("ok",):
            raise StateCorrupt(str(self._path), f"journal is damaged ({verdict}); {_ADVICE}")

    def _migrate(self, now_ns: Nanos) -> None:
        self._db.execute("CREATE TABLE IF NOT EXISTS schema (version INTEGER NOT NULL, applied_ns INTEGER NOT NULL)")
        version = self._version()
        self._check_version(version)
        for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
            # executescript commits by itself, so the version row goes into the same script.
            stamp = f"INSERT INTO schema VALUES ({number}, {int(now_ns)})"  # noqa: S608 - two integers
            self._db.executescript(f"BEGIN; {script}; {stamp}; COMMIT;")

    def _version(self) -> int:
        row = self._db.execute("SELECT COALESCE(MAX(version), 0) FROM schema").fetchone()
        return int(row[0])

    def _check_version(self, version: int) -> None:
        if version > len(MIGRATIONS):
            raise StateCorrupt(
                str(self._path),
                f"journal has schema {version}, this daemon knows {len(MIGRATIONS)}: use a newer daemon",
            )

    def _event(self, order: Order, at_ns: Nanos, event: str, detail: Mapping[str, Any]) -> None:
        self._do(
            "INSERT INTO order_events (client_order_id, at_ns, event, status, detail) VALUES (?, ?, ?, ?, ?)",
            (order.client_order_id, at_ns, event, order.status.value, json.dumps(dict(detail), separators=(",", ":"))),
        )

    def _orders(self, where: str, values: Sequence[Any]) -> list[Order]:
        return [order_of_row(row) for row in self._rows(f"SELECT {ORDER_COLUMNS} FROM orders WHERE {where}", values)]  # noqa: S608 - constants

    def _fills(self, where: str, values: Sequence[Any]) -> list[BookedFill]:
        return [fill_of_row(row) for row in self._rows(f"SELECT {FILL_COLUMNS} FROM fills WHERE {where}", values)]  # noqa: S608 - constants

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        rows = self._fetch(sql, values)
        if len(rows) > ROWS_MOST:
            raise StateCorrupt(str(self._path), f"more than {ROWS_MOST} rows in one read: not a journal of ours")
        return rows

    def _fetch(self, sql: str, values: Sequence[Any]) -> list[Any]:
        try:
            return self._db.execute(sql, values).fetchmany(ROWS_MOST + 1)
        except sqlite3.Error as problem:
            raise StateCorrupt(str(self._path), f"journal cannot be read ({problem}); {_ADVICE}") from problem

    def _do(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        try:
            return self._db.execute(sql, values)
        except sqlite3.Error as problem:
            raise StateCorrupt(str(self._path), f"journal cannot be written ({problem}); {_ADVICE}") from problem
