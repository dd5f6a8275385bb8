"""Records and numbers from outside: what cannot be read costs itself, and is never taken for something else."""

from tests.mutants.mutant import Mutant

_LISTS = ("kalshi/test_lists_with_unreadable_records.py",)
_RECORDS = ("orders/test_unreadable_records.py",)

MUTANTS = (
    Mutant(
        "unreadable_records_left_out",
        "a list is never shortened in silence",
        "kalshi/fields.py",
        "    if unreadable:\n        raise PartlyUnreadable(where, out, unreadable)\n",
        "",
        _LISTS,
    ),
    Mutant(
        "answered_id_against_the_stream",
        "an answer to a create does not contradict what the stream has shown",
        "orders/lifecycle.py",
        "if named is not None and order.order_id not in {None, named}:",
        "if False:",
        ("orders/test_placing_orders.py",),
    ),
    Mutant(
        "size_may_be_negative",
        "a minus is no part of a count that cannot be negative",
        "ground/units.py",
        "scaled_decimal(text, field, decimals=2, low=0, high=COUNT_MAX)",
        "scaled_decimal(text, field, decimals=2, low=-1, high=COUNT_MAX)",
        _LISTS,
    ),
    Mutant(
        "any_number_of_decimals",
        "amounts have at most the field's decimals",
        "ground/readers.py",
        "if len(fraction) > max(finest, decimals):",
        "if len(fraction) > 9:",
        _LISTS,
    ),
    Mutant(
        "fill_cursor_passes_unreadable",
        "a fill that could not be read is listed again until it is booked",
        "orders/reconciling.py",
        "        if not listed.unreadable and not refused.listed:  # else",
        "        if not refused.listed:  # else",
        _RECORDS,
    ),
    Mutant(
        "unreadable_needs_two_looks",
        "an unreadable record shuts the guard at the first look",
        "orders/reconciling.py",
        "{finding.key for finding in findings if finding.act in CERTAIN} | set(self._before)",
        "set(self._before)",
        _RECORDS,
    ),
    Mutant(
        "stop_ignores_unreadable_orders",
        "a stop is not verified while a listed order cannot be read",
        "orders/cancelling.py",
        "        if listed or answer.unreadable:\n",
        "        if listed:\n",
        _RECORDS,
    ),
    Mutant(
        "foreign_records_shut",
        "an unreadable record of a market that is not ours costs nothing",
        "orders/records.py",
        "    return not market_ticker or in_table(market_ticker, state)",
        "    return True",
        _RECORDS,
    ),
    Mutant(
        "half_of_the_positions_inherited",
        "what was there before us is taken over whole or not yet",
        "orders/reconciling.py",
        "            if answer.unreadable:\n                return answer.findings",
        "            if False:\n                return answer.findings",
        _RECORDS,
    ),
    Mutant(
        "not_found_in_a_partial_list",
        "a create missing in a list with unreadable records is still unknown",
        "orders/outcome_resolver.py",
        "                    self._learn_found(lost, problem.readable)\n",
        "                    self.learn(lost, [r for r in problem.readable if isinstance(r, RemoteOrder)])\n",
        _RECORDS,
    ),
    Mutant(
        "every_market_on_shard_0",
        "a market's own exchange_index decides whose status counts",
        "domain/event_listing.py",
        "sorted({market.exchange_index or 0 for market in listed} - {0})",
        "sorted({0 for market in listed} - {0})",
        ("guardrails/test_window_guards.py",),
    ),
    Mutant(
        "paused_shard_held",
        "a market whose shard is paused is pulled",
        "guardrails/exchange.py",
        '{stopped} paused on shard {shard}", "trading", closing=RefusalEffect.PULL)',
        '{stopped} paused on shard {shard}", "trading")',
        ("guardrails/test_window_guards.py",),
    ),
    Mutant(
        "shared_order_id_believed",
        "create answers that share an order id are answered for nobody",
        "kalshi/rest_codec.py",
        "        items = [_without_shared_ids(item, items) for item in items]\n",
        "        pass\n",
        ("kalshi/test_rest_bodies_and_answers.py",),
    ),
)
