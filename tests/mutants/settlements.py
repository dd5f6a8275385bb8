"""Corrections of settlements stand beside the first entry, disputes count as they are worse, cash is explained."""

from tests.mutants.mutant import Mutant

_CASH = ("orders/test_cash.py",)
_CORRECTIONS = ("orders/test_settlement_corrections.py",)

MUTANTS = (
    Mutant(
        "correction_rewrites_the_first_entry",
        "a correction is booked beside the first entry, on its own day",
        "orders/ledger.py",
        "            entries.append(result)\n            self.corrected += 1",
        "            entries[-1] = result\n            self.corrected += 1",
        _CORRECTIONS,
    ),
    Mutant(
        "correction_not_written_down",
        "a correction survives a restart",
        "orders/payments.py",
        "        self._store.journal.add_correction(settlement, known, now)\n",
        "",
        _CORRECTIONS,
    ),
    Mutant(
        "corrected_market_forgotten",
        "a correction counts in its week however long ago its market was settled",
        "orders/journal.py",
        "        return (settled + lately, (at_ns, at_ns)) if self._has_corrections else (settled, (at_ns,))",
        "        return settled, (at_ns,)",
        _CORRECTIONS,
    ),
    Mutant(
        "paid_markets_not_read_again",
        "a settlement that changes without a message is noticed",
        "orders/settling.py",
        "        if first is None or now < self._next_watch:",
        "        if now > 0:",
        _CORRECTIONS,
    ),
    Mutant(
        "disputed_money_spent",
        "what a market in dispute may take back is lost in the budgets",
        "guardrails/budgets.py",
        "        lost = max(0, ledger.disputed - realized)",
        "        lost = max(0, -realized)",
        ("guardrails/test_window_guards.py",),
    ),
    Mutant(
        "cash_not_compared",
        "cash that nothing explains is a disagreement",
        "orders/reconciling.py",
        "        findings += self._compare_cash(mark, resting.records, findings)\n",
        "",
        _CASH,
    ),
    Mutant(
        "moving_cash_accepted",
        "a difference is accepted only when it stands still",
        "orders/cash.py",
        "        since = now if self._drift is None or self._drift.amount != amount else self._drift.since_ns",
        "        since = now if self._drift is None else self._drift.since_ns",
        _CASH,
    ),
    Mutant(
        "cash_accepted_beside_other_differences",
        "a difference is accepted only while everything else agrees",
        "orders/reconciling.py",
        "only_cash=not disagreements(others)",
        "only_cash=True",
        _CASH,
    ),
    Mutant(
        "second_result_not_heard",
        "a second result of the stream is a dispute",
        "orders/disputes.py",
        "            self._said[market_ticker] = _Contradiction(result, now_ns)",
        "            pass",
        _CORRECTIONS,
    ),
)
