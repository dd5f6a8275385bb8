"""The exchange's own brake: quotes carry their group, a triggered one halts until a person says so, none is leaked."""

from tests.mutants.mutant import Mutant

_GROUPS = ("orders/test_order_groups.py",)

MUTANTS = (
    Mutant(
        "quotes_without_their_group",
        "every create belongs to its profile's order group",
        "orders/placing.py",
        "        group = state.order_groups.ids.get(order.profile) if",
        "        group = None if",
        _GROUPS,
    ),
    Mutant(
        "quotes_before_the_group_exists",
        "nothing is quoted while the brake is missing",
        "orders/placing.py",
        "        if state.order_groups.required and quote.profile not in state.order_groups.ids:",
        "        if state.order_groups.required and not state.armed:",
        _GROUPS,
    ),
    Mutant(
        "triggered_group_quotes_on",
        "a triggered group halts its profile",
        "orders/placing.py",
        "        if quote.profile in state.order_groups.halted:",
        "        if quote.profile in state.order_groups.halted and not state.armed:",
        _GROUPS,
    ),
    Mutant(
        "halt_forgotten_by_a_restart",
        "a halt outlives restarts",
        "orders/groups.py",
        "        self._shared.halted.update(self._store.journal.halts())",
        "        self._shared.halted.clear()",
        _GROUPS,
    ),
    Mutant(
        "outdated_reset_believed",
        "a reset ends only the halt that a person has looked at",
        "orders/groups.py",
        "        if halt is None or halt.at_ns != halted_ns:",
        "        if halt is None:",
        _GROUPS,
    ),
    Mutant(
        "reset_without_the_exchange",
        "a halt ends at the exchange first",
        "orders/groups.py",
        "not await self._reset_at_exchange(profile):",
        "await self._reset_at_exchange(profile) is None:",
        _GROUPS,
    ),
    Mutant(
        "group_leaked",
        "a group whose answer was lost is found again, not made twice",
        "orders/groups.py",
        " or self._stray(profile, intents.get(profile), listed, free)",
        "",
        _GROUPS,
    ),
)
