"""What the journal no longer needs moves to archive files of the same schema, one per New York month, never deleted.

Orders that ended without a trade go first; what traded stays until its markets are settled and past the days that
profit of the week, and fills read again, may still ask for. Copied and committed in the archive first, deleted from the
journal second: a crash between the two leaves rows in both files, and the next time writes the same rows again.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kalshi_daemon.domain.order import Status
from kalshi_daemon.ground.folders import entries
from kalshi_daemon.ground.new_york import eastern_day
from kalshi_daemon.ground.units import DAY, Nanos
from kalshi_daemon.orders.journal import Journal
from kalshi_daemon.orders.journal_file import cause_of
from kalshi_daemon.orders.journal_schema import TABLES

TRADED_KEPT: Final = Nanos(15 * DAY)
"""Orders that traded, fills and settlements stay at least this long: twice what the ledger reads at a start."""
CURSOR_KEPT: Final = DAY
"""And at least this long before the last fill list that was read: what may be listed again must be known here."""
ORDERS_AT_ONCE: Final = 20_000
"""Most orders of one move; the rest goes with the next one."""
_LIVE: Final = ", ".join(f"'{status.value}'" for status in Status if status.live)
_EVENTS: Final = f"{TABLES['order_events']}, crc"
_CORRECTIONS: Final = f"{TABLES['settlement_corrections']}, crc"


@dataclass(frozen=True, slots=True)
class Moved:
    """How many rows went into the archive."""

    orders: int
    fills: int
    settlements: int


def archive_folder(journal_path: Path) -> Path:
    """Where the archives of a journal lie."""
    return journal_path.parent / "archive"


def archives(journal_path: Path) -> list[Path]:
    """The archive files of a journal, oldest first. Raises OSError for a folder that cannot be read.

    `glob` would find none in it, and what was traded before would be missing from every sum.
    """
    return [path for path in entries(archive_folder(journal_path)) if path.match("journal-*.sqlite3")]


def earlier_runs_folder(journal_path: Path) -> Path:
    """Where the journals of earlier built-in exchanges lie (`app.simulated.previous_runs`)."""
    return journal_path.parent / "earlier-runs"


def earlier_runs(journal_path: Path) -> list[Path]:
    """Their folders, oldest first; each holds a journal and its archives. Raises OSError when they cannot be read."""
    return [path for path in entries(earlier_runs_folder(journal_path)) if path.match("run-*")]


def move_old(journal_path: Path, now_ns: Nanos, ended_before: Nanos) -> Moved:
    """Move what ended before `ended_before`. Not inside a transaction of the journal. Raises StateCorrupt."""
    target = archive_folder(journal_path) / f"journal-{eastern_day(now_ns):%Y-%m}.sqlite3"
    try:
        with closing(sqlite3.connect(journal_path, isolation_level=None)) as db:
            cursor = db.execute("SELECT MIN(value) FROM cursors WHERE name = 'fills'").fetchone()[0]
            settled_before = min(now_ns - TRADED_KEPT, ended_before)
            if cursor is not None:
                settled_before = min(settled_before, cursor - CURSOR_KEPT)
            if not _choose(db, ended_before, settled_before):
                return Moved(0, 0, 0)
            Journal.open(target, now_ns, synchronous="full").close()
            db.execute("ATTACH ? AS old", (str(target),))
            with _transaction(db):
                _copy(db)
            with _transaction(db):
                return _delete(db)
    except (sqlite3.Error, UnicodeError) as problem:
        raise cause_of(target, problem, "archived") from problem


def _choose(db: sqlite3.Connection, ended_before: int, settled_before: int) -> bool:
    """Temporary tables of what goes: orders by client id, fills by trade id, settled markets. False: nothing goes."""
    db.execute("CREATE TEMP TABLE gone_markets (market_ticker TEXT PRIMARY KEY)")
    db.execute("CREATE TEMP TABLE gone_fills (trade_id TEXT PRIMARY KEY, order_id TEXT)")
    db.execute("CREATE TEMP TABLE gone_orders (client_order_id TEXT PRIMARY KEY)")
    db.execute(
        "INSERT INTO gone_markets SELECT market_ticker FROM main.settlements WHERE settled_ns < ?"
        " AND market_ticker NOT IN (SELECT market_ticker FROM main.fills WHERE event_ns >= ?)"
        " AND market_ticker NOT IN (SELECT market_ticker FROM main.settlement_corrections WHERE booked_ns >= ?)",
        (settled_before, settled_before, settled_before),
    )
    db.execute(
        "INSERT INTO gone_fills SELECT trade_id, order_id FROM main.fills"
        " WHERE market_ticker IN (SELECT market_ticker FROM gone_markets)"
    )
    db.execute(
        f"INSERT INTO gone_orders SELECT client_order_id FROM main.orders WHERE status NOT IN ({_LIVE})"  # noqa: S608 - constants
        " AND updated_ns < ? AND (order_id IS NULL OR order_id NOT IN"
        " (SELECT order_id FROM main.fills WHERE trade_id NOT IN (SELECT trade_id FROM gone_fills)))"
        " AND (filled = 0 OR updated_ns < ?) ORDER BY updated_ns LIMIT ?",
        (ended_before, settled_before, ORDERS_AT_ONCE),
    )
    found = db.execute("SELECT EXISTS (SELECT 1 FROM gone_orders) OR EXISTS (SELECT 1 FROM gone_markets)").fetchone()
    return bool(found[0])


def _copy(db: sqlite3.Connection) -> None:
    db.execute(
        "INSERT OR REPLACE INTO old.orders SELECT * FROM main.orders"
        " WHERE client_order_id IN (SELECT client_order_id FROM gone_orders)"
    )
    db.execute(
        "DELETE FROM old.order_events WHERE client_order_id IN (SELECT client_order_id FROM gone_orders)"
    )  # of an earlier try
    db.execute(
        f"INSERT INTO old.order_events ({_EVENTS}) SELECT {_EVENTS} FROM main.order_events"  # noqa: S608 - constants
        " WHERE client_order_id IN (SELECT client_order_id FROM gone_orders) ORDER BY seq"
    )
    db.execute(
        "INSERT OR REPLACE INTO old.fills SELECT * FROM main.fills WHERE trade_id IN (SELECT trade_id FROM gone_fills)"
    )
    db.execute(
        "DELETE FROM old.settlement_corrections WHERE market_ticker IN (SELECT market_ticker FROM gone_markets)"
    )  # of an earlier try
    db.execute(
        f"INSERT INTO old.settlement_corrections ({_CORRECTIONS}) SELECT {_CORRECTIONS}"  # noqa: S608 - constants
        " FROM main.settlement_corrections WHERE market_ticker IN (SELECT market_ticker FROM gone_markets) ORDER BY seq"
    )
    for table in ("settlements", "inherited"):
        db.execute(
            f"INSERT OR REPLACE INTO old.{table} SELECT * FROM main.{table}"  # noqa: S608 - constants
            " WHERE market_ticker IN (SELECT market_ticker FROM gone_markets)"
        )


def _delete(db: sqlite3.Connection) -> Moved:
    for table in ("order_events", "inherited", "settlement_corrections"):
        key = "client_order_id" if table == "order_events" else "market_ticker"
        gone = "gone_orders" if table == "order_events" else "gone_markets"
        db.execute(f"DELETE FROM main.{table} WHERE {key} IN (SELECT {key} FROM {gone})")  # noqa: S608 - constants
    return Moved(
        orders=db.execute(
            "DELETE FROM main.orders WHERE client_order_id IN (SELECT client_order_id FROM gone_orders)"
        ).rowcount,
        fills=db.execute("DELETE FROM main.fills WHERE trade_id IN (SELECT trade_id FROM gone_fills)").rowcount,
        settlements=db.execute(
            "DELETE FROM main.settlements WHERE market_ticker IN (SELECT market_ticker FROM gone_markets)"
        ).rowcount,
    )


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.rollback()
        raise
    db.execute("COMMIT")
