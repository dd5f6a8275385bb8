"""What both sides wrote down, as values: the exchange's own record of our orders and fills, a dead daemon's journal."""

import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

from kalshi_daemon.domain.order import Status
from kalshi_daemon.orders.ids import is_ours
from kalshi_daemon.orders.journal import journal_path
from tests.support.processes import Json, Simulator

Trade = tuple[str, str, int, int]
"""Order id, side, price in 1/10 000 dollar, count in 1/100 contract."""
_PAGE = 200
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00Z")


@dataclass(frozen=True, slots=True)
class Rest:
    """An order as the exchange kept it. `ended_ns` None: it rests."""

    client_order_id: str
    ticker: str
    side: str
    created_ns: int
    ended_ns: int | None


@dataclass(frozen=True, slots=True)
class Entry:
    """An order as the journal has it; `steps` are (at, status from then on), in order, the intent first."""

    client_order_id: str
    profile: str
    ticker: str
    side: str
    steps: tuple[tuple[int, Status], ...]

    def status_at(self, at_ns: int) -> Status | None:
        """What the daemon believed of it at that instant; None before the intent."""
        found = None
        for since, status in self.steps:
            if since <= at_ns:
                found = status
        return found


@dataclass(frozen=True, slots=True)
class Book:
    """A whole journal."""

    orders: dict[str, Entry]
    fills: dict[str, Trade]

    @property
    def unanswered(self) -> int:
        """Orders of which the daemon did not know whether the exchange has them."""
        return sum(1 for entry in self.orders.values() if entry.steps[-1][1] in {Status.INTENDED, Status.UNKNOWN})

    @property
    def live(self) -> set[str]:
        return {name for name, entry in self.orders.items() if entry.steps[-1][1].live}


def read_journal(state_dir: Path) -> Book:
    """The journal as the dead left it. Read from a copy: opening the original would bring its write-ahead log home."""
    source = journal_path(state_dir / "sim")
    with tempfile.TemporaryDirectory() as folder:
        for path in source.parent.glob(f"{source.name}*"):
            if not path.name.endswith("-shm"):
                shutil.copyfile(path, Path(folder) / path.name)
        connection = sqlite3.connect(Path(folder) / source.name)
        try:
            return _book(connection)
        except sqlite3.OperationalError:
            return Book({}, {})  # killed before the tables were made
        finally:
            connection.close()


def _book(connection: sqlite3.Connection) -> Book:
    steps: dict[str, list[tuple[int, Status]]] = {}
    for name, at, status in connection.execute("SELECT client_order_id, at_ns, status FROM order_events ORDER BY seq"):
        steps.setdefault(name, []).append((at, Status(status)))
    rows = connection.execute("SELECT client_order_id, profile, market_ticker, side FROM orders")
    orders = {row[0]: Entry(row[0], row[1], row[2], row[3], tuple(steps[row[0]])) for row in rows}
    fills = connection.execute("SELECT trade_id, order_id, side, price, count FROM fills")
    return Book(orders, {row[0]: tuple(row[1:]) for row in fills})


def read_rests(sim: Simulator) -> list[Rest]:
    """Every order the exchange ever accepted of us, from its own list."""
    found: list[Json] = []
    cursor = ""
    while True:
        status, answer = sim.call("GET", f"/portfolio/orders?limit={_PAGE}&cursor={quote(cursor)}")
        assert status == 200, answer
        found += answer["orders"]
        cursor = answer["cursor"]
        if not cursor:
            return [_rest(order) for order in found if is_ours(order["client_order_id"])]


def _rest(order: Json) -> Rest:
    ended = None if order["status"] == "resting" else ns_of(order["last_update_time"])
    return Rest(order["client_order_id"], order["ticker"], order["book_side"], ns_of(order["created_time"]), ended)


def trades_of(fills: Sequence[Json]) -> dict[str, Trade]:
    """The exchange's fills by trade id."""
    return {
        fill["trade_id"]: (
            fill["order_id"],
            fill["book_side"],
            int(Decimal(fill["yes_price_dollars"]) * 10_000),
            int(Decimal(fill["count_fp"]) * 100),
        )
        for fill in fills
    }


def ns_of(text: str) -> int:
    """RFC 3339 with microseconds, exactly."""
    passed = datetime.fromisoformat(text) - _EPOCH
    return ((passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds) * 1_000
