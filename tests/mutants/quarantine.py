"""Words of the exchange that cannot be: not believed, never fatal, counted, and asked about."""

from tests.mutants.mutant import Mutant

_QUARANTINE = ("orders/test_quarantine.py",)
_REFUSED = ("orders/test_refused_fills.py",)

MUTANTS = (
    Mutant(
        "misprinted_fill_booked",
        "a fill that its order cannot have is booked as the exchange's list has it",
        "orders/books.py",
        "        problem = self._impossible(booked, order)\n",
        '        problem = ""\n',
        _QUARANTINE,
    ),
    Mutant(
        "impossible_word_applied",
        "a word of the exchange that cannot be ends nothing",
        "orders/desk.py",
        "        if problem:\n            return self._doubt_word(before, event, problem)\n",
        "",
        _QUARANTINE,
    ),
    Mutant(
        "quarantined_order_renewed",
        "an order in quarantine rests no longer than its lease",
        "orders/leases.py",
        "            and order.client_order_id not in self._desk.quarantine\n",
        "",
        _QUARANTINE,
    ),
    Mutant(
        "quarantine_not_counted",
        "an order in quarantine counts in every worst case once more in full",
        "guardrails/exposure.py",
        ", *state.quarantined.values())",
        ")",
        _QUARANTINE,
    ),
    Mutant(
        "known_id_taken",
        "an order id of ours is never another order's",
        "orders/desk.py",
        "        if owner is None or owner.client_order_id == order.client_order_id:",
        "        if owner is None or owner is not None:",
        (*_QUARANTINE, "orders/test_placing_orders.py"),
    ),
    Mutant(
        "strangers_id_kept",
        "an id that the exchange calls another order's is given up",
        "orders/asking.py",
        "            if before.order_id == remote.order_id:",
        "            if before.order_id is None:",
        _QUARANTINE,
    ),
    Mutant(
        "released_unasked",
        "an order leaves quarantine only when the exchange agrees",
        "orders/reconciling.py",
        "            if desk.quarantine.agreed_before(name, asked):",
        "            if asked:",
        _QUARANTINE,
    ),
    Mutant(
        "second_order_left_resting",
        "an order of an ended one's name that rests is cancelled",
        "orders/reconcile.py",
        '            findings.append(Finding(Act.CANCEL_GHOST, f"ghost:{name}", text, ended[name], theirs))',
        "            if ended[name].order_id in (None, theirs.order_id):\n"
        '                findings.append(Finding(Act.CANCEL_GHOST, f"ghost:{name}", text, ended[name], theirs))',
        _QUARANTINE,
    ),
    Mutant(
        "listed_misprint_booked",
        "a fill that cannot be is not booked, whoever tells of it",
        "orders/books.py",
        "        problem = self._impossible(booked, order)\n",
        '        problem = self._impossible(booked, order) if place == STREAM else ""\n',
        _REFUSED,
    ),
    Mutant(
        "refused_fill_not_counted",
        "a fill that cannot be counts as it was told",
        "guardrails/exposure.py",
        "*told, ",
        "",
        _REFUSED,
    ),
    Mutant(
        "refused_fill_passed_by",
        "a fill that cannot be is listed again until it can",
        "orders/reconciling.py",
        " and not refused.listed:",
        ":",
        _REFUSED,
    ),
    Mutant(
        "refused_fill_released",
        "an order whose fill cannot be stays in quarantine",
        "orders/reconciling.py",
        "            if self._books.refused.concerns(name):\n                continue\n",
        "",
        _REFUSED,
    ),
    Mutant(
        "fee_beyond_the_rule",
        "a fee is what the series' own schedule can give",
        "orders/fill_checks.py",
        "    if fees is None:",
        "    if fees is None or fill.fee:",
        (*_REFUSED, "orders/test_fill_checks.py"),
    ),
    Mutant(
        "accepted_fill_refused",
        "an operator's word books a fill as it is listed",
        "orders/books.py",
        "        if fill.trade_id in self._accepted and",
        "        if not fill.trade_id and",
        _REFUSED,
    ),
)
