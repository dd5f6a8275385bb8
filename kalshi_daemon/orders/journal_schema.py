"""The journal's tables, as numbered migrations. A step that was released is never edited: add another one."""

from typing import Final

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
)
