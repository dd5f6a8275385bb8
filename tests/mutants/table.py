"""Every mutant. A new safety promise gets a mutant here; a changed line of code gets its old text renewed here."""

from tests.mutants import (
    gates,
    journal,
    listing,
    money,
    numbers,
    order_groups,
    orders_leave,
    orders_once,
    quarantine,
    retention,
    settings,
    settlements,
    shards,
    starting,
    way_down,
    wire,
)

MUTANTS = (
    *orders_leave.MUTANTS,
    *orders_once.MUTANTS,
    *order_groups.MUTANTS,
    *money.MUTANTS,
    *gates.MUTANTS,
    *starting.MUTANTS,
    *wire.MUTANTS,
    *numbers.MUTANTS,
    *listing.MUTANTS,
    *settings.MUTANTS,
    *way_down.MUTANTS,
    *journal.MUTANTS,
    *retention.MUTANTS,
    *settlements.MUTANTS,
    *quarantine.MUTANTS,
    *shards.MUTANTS,
)
