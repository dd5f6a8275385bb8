"""The journal: SQLite, write-ahead logged, intents before they are sent, outcomes after (docs/decisions/0003).

Calls block the loop for one disk flush at most (`synchronous=full`), which is the point: a request leaves after its
intent is on disk. Every failure of the file is a StateCorrupt whose class says the cause and whose words say what to do
(`journal_file`); nothing is ever repaired silently. Reads are bounded; at the bound they raise instead of leaving
something out.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from kalshi_daemon.domain.order import Order, Settlement, Status
from kalshi_daemon.ground.errors import StateCorrupt
from kalshi_daemon.ground.units import Count, Nanos
from kalshi_daemon.orders.booked import BookedFill, Inherited, Result
from kalshi_daemon.orders.journal_file import ROWS_MAX, JournalFile
from kalshi_daemon.orders.journal_rows import (
    DisputeRow,
    GroupIntent,
    GroupRow,
    QuarantineRow,
    correction_of_row,
    dispute_of_row,
    event_of_row,
    fill_of_row,
    fill_row,
    group_intent_of_row,
    group_of_row,
    halt_of_row,
    inherited_of_row,
    integer,
    order_of_row,
    order_row,
    quarantine_of_row,
    result_of_row,
    text,
)
from kalshi_daemon.orders.journal_schema import CORRECTIONS_SINCE, row_crc
from kalshi_daemon.state import GroupHalt

__all__ = ["ROWS_MAX", "Journal", "journal_path"]
_LIVE: Final = tuple(status.value for status in Status if status.live)
_MUTABLE: Final = "status = ?, expires_ns = ?, order_id = ?, filled = ?, updated_ns = ?, reason = ?, crc = ?"


def journal_path(mode_dir: Path) -> Path:
    """The journal of a mode."""
    return mode_dir / "data" / "proc" / "journal.sqlite3"


class Journal(JournalFile):
    """What the daemon writes down, by subject; the file itself is JournalFile's matter."""

    # --- orders -------------------------------------------------------------------------------------------------------

    def record_intents(self, orders: Sequence[Order]) -> None:
        """Write down orders before any of them is sent. Raises StateCorrupt when an id was used before.

        Raises StateGone when the path no longer leads to this file: an intent in a deleted file protects nobody.
        """
        self.check_in_place()
        with self.transaction():
            for order in orders:
                self._insert("orders", order_row(order))
                self._event(order, order.created_ns, "Intended", {})

    def record_outcome(self, order: Order, at_ns: Nanos, event: str, detail: Mapping[str, Any]) -> None:
        """Write down what an order has become and why. Raises StateCorrupt for an order that was never intended."""
        with self.transaction():
            if not self._update(order, order_row(order)[11:]):
                raise StateCorrupt(str(self._path), f"order {order.client_order_id} has an outcome but no intent")
            self._event(order, at_ns, event, detail)

    def record_expiries(self, orders: Sequence[Order]) -> None:
        """Renewed expiries, without an event each: there are many and the exchange's list says the same."""
        with self.transaction():
            for order in orders:
                self._update(order, None)

    def _update(self, order: Order, mutable: Sequence[Any] | None) -> bool:
        """Change the mutable part of a row, or the expiry alone; False without a row. Damage is not sealed."""
        found = self._select("orders", "WHERE client_order_id = ?", (order.client_order_id,))
        if not found:
            return False
        before = found[0]
        after = (*before[:11], *(mutable or (before[11], order.expires_ns, *before[13:])))
        values = (*after[11:], row_crc("orders", *after), order.client_order_id)
        self._do(f"UPDATE orders SET {_MUTABLE} WHERE client_order_id = ?", values)  # noqa: S608 - constants
        return True

    def live_orders(self) -> list[Order]:
        """Every order that may still trade, oldest first."""
        marks = ", ".join("?" * len(_LIVE))
        return self._orders(f"status IN ({marks}) ORDER BY created_ns, client_order_id", _LIVE)

    def orders_since(self, since_ns: Nanos, most: int) -> list[Order]:
        """The last `most` orders that changed at or after `since_ns`, latest first."""
        return self._orders("updated_ns >= ? ORDER BY updated_ns DESC LIMIT ?", (since_ns, most))

    def order(self, client_order_id: str) -> Order | None:
        """The order with this id of ours, live or ended; None if there is none. Raises StateCorrupt."""
        found = self._orders("client_order_id = ?", (client_order_id,))
        return found[0] if found else None

    def order_of(self, order_id: str) -> Order | None:
        """By the exchange's id."""
        found = self._orders("order_id = ?", (order_id,))
        return found[0] if found else None

    def history(self, client_order_id: str) -> list[tuple[Nanos, str, str, dict[str, Any]]]:
        """(at, event, status after it, detail) of one order, in order."""
        rows = self._select("order_events", "WHERE client_order_id = ? ORDER BY seq", (client_order_id,))
        with self._strictly("order_events"):
            return [event_of_row(row) for row in rows]

    # --- fills --------------------------------------------------------------------------------------------------------

    def add_fill(self, booked: BookedFill, booked_ns: Nanos) -> bool:
        """Write down a fill; False when its trade id is there already (whatever it then says)."""
        values = (*fill_row(booked), booked_ns)
        return self._insert("fills", values, clause="ON CONFLICT (trade_id) DO NOTHING").rowcount == 1

    def fill(self, trade_id: str) -> BookedFill | None:
        """A fill by the exchange's id; None if it was never booked. Raises StateCorrupt."""
        found = self._fills("trade_id = ?", (trade_id,))
        return found[0] if found else None

    def filled_total(self, order_id: str) -> Count:
        """The sum of the fills known of one order."""
        return Count(sum(booked.fill.count for booked in self.fills_of(order_id)))

    def fills_since(self, since_ns: Nanos) -> list[BookedFill]:
        """Fills made at `since_ns` or later by the exchange's stamp, oldest first. Raises StateCorrupt."""
        return self._fills("event_ns >= ? ORDER BY event_ns, trade_id", (since_ns,))

    def fills_of(self, order_id: str) -> list[BookedFill]:
        """The fills of one order, oldest first."""
        return self._fills("order_id = ? ORDER BY event_ns, trade_id", (order_id,))

    def fills_that_matter(self, settled_since_ns: Nanos) -> list[BookedFill]:
        """Fills of markets that are not settled, or were settled at or after `settled_since_ns`."""
        settled, values = self._settled_before(settled_since_ns)
        return self._fills(f"market_ticker NOT IN ({settled}) ORDER BY event_ns, trade_id", values)

    # --- settlements, inherited positions, cursors --------------------------------------------------------------------

    def add_result(self, market_ticker: str, event_ticker: str, result: Result, booked_ns: Nanos) -> None:
        """Write down how a market ended, as far as known; a settlement of the exchange's list is not overwritten."""
        self._insert(
            "settlements",
            (market_ticker, event_ticker, result.result, None, None, None, None, result.at_ns, booked_ns),
            clause="ON CONFLICT (market_ticker) DO UPDATE SET result = excluded.result,"
            " settled_ns = excluded.settled_ns, booked_ns = excluded.booked_ns, event_ticker = excluded.event_ticker,"
            " crc = excluded.crc"
            " WHERE revenue IS NULL",
        )

    def add_settlement(self, settlement: Settlement, booked_ns: Nanos) -> None:
        """Write down a settlement as the exchange lists it; it overrides a result booked before."""
        values = (*_listed(settlement), settlement.settled_ns, booked_ns)
        self._insert("settlements", values, "INSERT OR REPLACE")

    def add_correction(self, settlement: Settlement, previous: Result, booked_ns: Nanos) -> None:
        """Write down that the exchange lists a settlement otherwise than it was booked; what was booked stays."""
        before = (previous.result, previous.revenue)
        values = (*_listed(settlement), *before, settlement.settled_ns, booked_ns)
        self._insert("settlement_corrections", values)

    def results_since(self, since_ns: Nanos) -> dict[str, Result]:
        """What was booked first of each market that was settled, or corrected, at or after `since_ns`."""
        settled, values = self._settled_before(since_ns)
        rows = self._select("settlements", f"WHERE market_ticker NOT IN ({settled})", values)
        with self._strictly("settlements"):
            return dict(result_of_row(row) for row in rows)

    def corrections(self) -> dict[str, list[Result]]:
        """Every correction that is here, by market, in the order of booking; their time is that of the booking."""
        found: dict[str, list[Result]] = {}
        if not self._has_corrections:
            return found
        rows = self._select("settlement_corrections", "ORDER BY seq")
        with self._strictly("settlement_corrections"):
            for ticker, result in map(correction_of_row, rows):
                found.setdefault(ticker, []).append(result)
        return found

    def inherit(self, positions: Sequence[Inherited]) -> None:
        """Keep what the account held before our first order. Raises StateCorrupt."""
        with self.transaction():
            for held in positions:
                values = (held.market_ticker, held.event_ticker, held.series_ticker, held.count)
                self._insert("inherited", values, "INSERT OR REPLACE")

    def inherited(self, settled_since_ns: Nanos) -> list[Inherited]:
        """What the account held before us, settled markets only since `settled_since_ns`. Raises StateCorrupt."""
        settled, values = self._settled_before(settled_since_ns)
        rows = self._select("inherited", f"WHERE market_ticker NOT IN ({settled})", values)
        with self._strictly("inherited"):
            return [inherited_of_row(row) for row in rows]

    def cursor(self, name: str) -> Nanos | None:
        """How far a list of the exchange has been read; None: never. Raises StateCorrupt."""
        # All of the few there are: one whose name is damaged is not found by it, and would pass for "never".
        rows = self._select("cursors")
        with self._strictly("cursors"):
            found = {text(row[0]): Nanos(integer(row[1])) for row in rows}
        return found.get(name)

    def set_cursor(self, name: str, value: Nanos) -> None:
        """Keep how far a list of the exchange has been read. Raises StateCorrupt."""
        self._insert("cursors", (name, value), "INSERT OR REPLACE")

    # --- what is in doubt ---------------------------------------------------------------------------------------------

    def quarantine(self, row: QuarantineRow) -> None:
        """Write down that the exchange said of an order what cannot be."""
        values = (row.client_order_id, row.word, row.problem, row.since_ns)
        self._insert("quarantined_orders", values, "INSERT OR REPLACE")

    def end_quarantine(self, client_order_id: str) -> None:
        """The doubts about this order are over. Raises StateCorrupt."""
        self._do("DELETE FROM quarantined_orders WHERE client_order_id = ?", (client_order_id,))

    def quarantined(self) -> list[QuarantineRow]:
        """Orders in quarantine, longest first."""
        rows = self._select("quarantined_orders", "ORDER BY since_ns, client_order_id")
        with self._strictly("quarantined_orders"):
            return [quarantine_of_row(row) for row in rows]

    def replace_disputes(self, rows: Sequence[DisputeRow]) -> None:
        """Write down which markets that have paid are not final, instead of what was written before."""
        with self.transaction():
            self._do("DELETE FROM disputes")
            for row in rows:
                self._insert("disputes", (row.market_ticker, row.source, row.said, row.since_ns))

    def disputes(self) -> list[DisputeRow]:
        """Open disputes about settlements, by market and source. Raises StateCorrupt."""
        rows = self._select("disputes", "ORDER BY market_ticker, source")
        with self._strictly("disputes"):
            return [dispute_of_row(row) for row in rows]

    # --- order groups -------------------------------------------------------------------------------------------------

    def groups(self) -> list[GroupRow]:
        """Every order group we made or took over and did not delete, newest first."""
        rows = self._select("order_groups", "ORDER BY created_ns DESC")
        with self._strictly("order_groups"):
            return [group_of_row(row) for row in rows]

    def intend_group(self, intent: GroupIntent) -> None:
        """Write down that a group is about to be created."""
        values = (intent.profile, intent.at_ns, json.dumps(sorted(intent.listed_before)))
        self._insert("group_creates", values, "INSERT OR REPLACE")

    def group_intents(self) -> dict[str, GroupIntent]:
        """Creates that never got an answer, by profile."""
        rows = self._select("group_creates")
        with self._strictly("group_creates"):
            return {intent.profile: intent for intent in map(group_intent_of_row, rows)}

    def forget_group_intent(self, profile: str) -> None:
        """The create of this profile's order group is settled. Raises StateCorrupt."""
        self._do("DELETE FROM group_creates WHERE profile = ?", (profile,))

    def record_group(self, group: GroupRow) -> None:
        """Write down a group that exists; a create of its profile that was under way is over."""
        with self.transaction():
            values = (group.order_group_id, group.profile, group.contracts_limit, group.created_ns)
            self._insert("order_groups", values, "INSERT OR REPLACE")
            self.forget_group_intent(group.profile)

    def forget_group(self, order_group_id: str) -> None:
        """The exchange has this order group no more. Raises StateCorrupt."""
        self._do("DELETE FROM order_groups WHERE order_group_id = ?", (order_group_id,))

    def halt(self, profile: str, halt: GroupHalt) -> None:
        """Keep that a profile was stopped by its order group. Raises StateCorrupt."""
        self._insert("group_halts", (profile, halt.at_ns, halt.reason), "INSERT OR REPLACE")

    def halts(self) -> dict[str, GroupHalt]:
        """Profiles that must not quote before they are reset."""
        rows = self._select("group_halts")
        with self._strictly("group_halts"):
            return dict(halt_of_row(row) for row in rows)

    def end_halt(self, profile: str) -> None:
        """A person has let this profile quote again. Raises StateCorrupt."""
        self._do("DELETE FROM group_halts WHERE profile = ?", (profile,))

    # --- inside -------------------------------------------------------------------------------------------------------

    @property
    def _has_corrections(self) -> bool:
        return self._schema >= CORRECTIONS_SINCE

    def _settled_before(self, at_ns: Nanos) -> tuple[str, tuple[Nanos, ...]]:
        """Markets that were settled before an instant and not corrected since: a query and its values.

        The value is given twice: Python 3.12 warns of numbered placeholders, as named ones that come in a sequence.
        """
        settled = "SELECT market_ticker FROM settlements WHERE settled_ns < ?"
        lately = " EXCEPT SELECT market_ticker FROM settlement_corrections WHERE booked_ns >= ?"
        return (settled + lately, (at_ns, at_ns)) if self._has_corrections else (settled, (at_ns,))

    def _event(self, order: Order, at_ns: Nanos, event: str, detail: Mapping[str, Any]) -> None:
        text = json.dumps(dict(detail), separators=(",", ":"))
        self._insert("order_events", (order.client_order_id, at_ns, event, order.status.value, text))

    def _orders(self, where: str, values: Sequence[Any]) -> list[Order]:
        rows = self._select("orders", f"WHERE {where}", values)
        with self._strictly("orders"):
            return [order_of_row(row) for row in rows]

    def _fills(self, where: str, values: Sequence[Any]) -> list[BookedFill]:
        rows = self._select("fills", f"WHERE {where}", values)
        with self._strictly("fills"):
            return [fill_of_row(row) for row in rows]


def _listed(settlement: Settlement) -> tuple[str | int, ...]:
    """The columns in which settlements and their corrections begin alike."""
    return (
        settlement.market_ticker,
        settlement.event_ticker,
        settlement.result,
        settlement.revenue,
        settlement.fee,
        settlement.yes_count,
        settlement.no_count,
    )
