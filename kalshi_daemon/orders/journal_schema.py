"""The journal's tables, as numbered migrations. A step that was released is never edited: add another one.

From schema 3 on every row ends with a checksum of its values (`row_crc`): SQLite notices damage to the structure of a
page, and nothing of a changed digit inside a value.
"""

import zlib
from typing import Final

SEALED_SINCE: Final = 3
"""The first schema whose rows carry a checksum."""
CORRECTIONS_SINCE: Final = 4
"""The first schema that has corrections of settlements."""
_LATER: Final = frozenset({"settlement_corrections", "quarantined_orders", "disputes"})
"""Tables that are younger than the checksums: made with theirs."""
TABLES: Final[dict[str, str]] = {
    "orders": (
        "client_order_id, market_ticker, event_ticker, series_ticker, profile, side, price, count, created_ns, fair,"
        " required_edge, status, expires_ns, order_id, filled, updated_ns, reason"
    ),
    "order_events": "client_order_id, at_ns, event, status, detail",
    "fills": (
        "trade_id, order_id, client_order_id, market_ticker, event_ticker, series_ticker, side, price, count, fee,"
        " is_taker, event_ns, booked_ns"
    ),
    "settlements": ("market_ticker, event_ticker, result, revenue, fee, yes_count, no_count, settled_ns, booked_ns"),
    "inherited": "market_ticker, event_ticker, series_ticker, count",
    "cursors": "name, value",
    "order_groups": "order_group_id, profile, contracts_limit, created_ns",
    "group_creates": "profile, at_ns, listed_before",
    "group_halts": "profile, at_ns, reason",
    "settlement_corrections": (
        "market_ticker, event_ticker, result, revenue, fee, yes_count, no_count, previous_result, previous_revenue,"
        " settled_ns, booked_ns"
    ),
    "quarantined_orders": "client_order_id, word, problem, since_ns",
    "disputes": "market_ticker, source, said, since_ns",
}
"""The columns of each table in the order its checksum takes them, without the checksum."""


def row_crc(table: str, *values: object) -> int:
    """CRC-32 of a row's values, each with its kind: 1, 1.0, "1" and NULL differ."""
    whole = "|".join((table, *(_tagged(value) for value in values)))
    return zlib.crc32(whole.encode("utf-8", "surrogatepass"))


def _tagged(value: object) -> str:
    match value:
        case None:
            return "n"
        case int():
            return f"i{int(value)}"
        case float():
            return f"f{value + 0.0!r}"  # SQLite keeps -0.0 as 0
        case _:
            text = str(value)
            return f"s{len(text)}:{text}"


MIGRATIONS: Final[tuple[str, ...]] = (
    """
    CREATE TABLE orders (
        client_order_id TEXT PRIMARY KEY,
        market_ticker   TEXT NOT NULL,
        event_ticker    TEXT NOT NULL,
        series_ticker   TEXT NOT NULL,
        profile         TEXT NOT NULL,
        side            TEXT NOT NULL,
        price           INTEGER NOT NULL,
        count           INTEGER NOT NULL,
        created_ns      INTEGER NOT NULL,
        fair            REAL NOT NULL,
        required_edge   REAL NOT NULL,
        -- the intent ends here; what follows is the last known outcome
        status          TEXT NOT NULL,
        expires_ns      INTEGER NOT NULL,
        order_id        TEXT UNIQUE,
        filled          INTEGER NOT NULL,
        updated_ns      INTEGER NOT NULL,
        reason          TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX orders_by_status ON orders (status);
    CREATE INDEX orders_by_update ON orders (updated_ns);

    CREATE TABLE order_events (
        seq             INTEGER PRIMARY KEY,
        client_order_id TEXT NOT NULL,
        at_ns           INTEGER NOT NULL,
        event           TEXT NOT NULL,
        status          TEXT NOT NULL,
        detail          TEXT NOT NULL
    ) STRICT;
    CREATE INDEX order_events_by_order ON order_events (client_order_id);
    CREATE INDEX order_events_by_time ON order_events (at_ns);

    CREATE TABLE fills (
        trade_id        TEXT PRIMARY KEY,
        order_id        TEXT NOT NULL,
        client_order_id TEXT,
        market_ticker   TEXT NOT NULL,
        event_ticker    TEXT NOT NULL,
        series_ticker   TEXT NOT NULL,
        side            TEXT NOT NULL,
        price           INTEGER NOT NULL,
        count           INTEGER NOT NULL,
        fee             INTEGER NOT NULL,
        is_taker        INTEGER NOT NULL,
        event_ns        INTEGER NOT NULL,
        booked_ns       INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX fills_by_order ON fills (order_id);
    CREATE INDEX fills_by_market ON fills (market_ticker);
    CREATE INDEX fills_by_time ON fills (event_ns);

    CREATE TABLE settlements (
        market_ticker   TEXT PRIMARY KEY,
        event_ticker    TEXT NOT NULL,
        result          TEXT NOT NULL,
        -- NULL: booked from the market's result, before the exchange listed our settlement
        revenue         INTEGER,
        fee             INTEGER,
        yes_count       INTEGER,
        no_count        INTEGER,
        settled_ns      INTEGER NOT NULL,
        booked_ns       INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX settlements_by_time ON settlements (settled_ns);

    -- positions that were there before the first fill we know of
    CREATE TABLE inherited (
        market_ticker   TEXT PRIMARY KEY,
        event_ticker    TEXT NOT NULL,
        series_ticker   TEXT NOT NULL,
        count           INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE cursors (
        name            TEXT PRIMARY KEY,
        value           INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    """,
    """
    -- every order group this daemon made or took over, until it is deleted at the exchange
    CREATE TABLE order_groups (
        order_group_id  TEXT PRIMARY KEY,
        profile         TEXT NOT NULL,
        contracts_limit INTEGER NOT NULL,
        created_ns      INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- a create that is under way: the exchange may have made a group whose id we never heard
    CREATE TABLE group_creates (
        profile         TEXT PRIMARY KEY,
        at_ns           INTEGER NOT NULL,
        -- JSON list of the groups that existed before
        listed_before   TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- profiles whose group was triggered, until reset-group
    CREATE TABLE group_halts (
        profile         TEXT PRIMARY KEY,
        at_ns           INTEGER NOT NULL,
        reason          TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    """,
    # The rows of before are sealed as they are found: their values are held against their ranges when they are read.
    "".join(
        f"ALTER TABLE {table} ADD COLUMN crc INTEGER NOT NULL DEFAULT -1;"  # noqa: S608 - constants
        f"UPDATE {table} SET crc = row_crc('{table}', {columns});"
        for table, columns in TABLES.items()
        if table not in _LATER
    ),
    """
    -- what the exchange listed otherwise after it had been booked; the row in settlements stays as it is
    CREATE TABLE settlement_corrections (
        seq               INTEGER PRIMARY KEY,
        market_ticker     TEXT NOT NULL,
        event_ticker      TEXT NOT NULL,
        result            TEXT NOT NULL,
        revenue           INTEGER NOT NULL,
        fee               INTEGER NOT NULL,
        yes_count         INTEGER NOT NULL,
        no_count          INTEGER NOT NULL,
        previous_result   TEXT NOT NULL,
        -- NULL: what was booked before was the market's result alone
        previous_revenue  INTEGER,
        settled_ns        INTEGER NOT NULL,
        booked_ns         INTEGER NOT NULL,
        crc               INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX settlement_corrections_by_market ON settlement_corrections (market_ticker);
    CREATE INDEX settlement_corrections_by_time ON settlement_corrections (booked_ns);
    """,
    """
    -- orders of which the exchange said what cannot be, until it agrees
    CREATE TABLE quarantined_orders (
        client_order_id TEXT PRIMARY KEY,
        word            TEXT NOT NULL,
        problem         TEXT NOT NULL,
        since_ns        INTEGER NOT NULL,
        crc             INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- markets that have paid and are not final
    CREATE TABLE disputes (
        market_ticker   TEXT NOT NULL,
        -- stream: `said` is the other result it named; listing: the status it is listed with
        source          TEXT NOT NULL,
        said            TEXT NOT NULL,
        since_ns        INTEGER NOT NULL,
        crc             INTEGER NOT NULL,
        PRIMARY KEY (market_ticker, source)
    ) STRICT, WITHOUT ROWID;
    """,
)
