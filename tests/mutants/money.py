"""No fill is missed or counted twice, and money is never better than it is: fills, settlements, fees, loss budgets."""

from tests.mutants.mutant import Mutant

_RECONCILING = ("orders/test_reconciling_with_the_exchange.py",)
_LEDGER = ("orders/test_order_ledger.py",)
_SETTLING = ("orders/test_settling_and_proving.py",)
_WINDOW_GUARDS = ("guardrails/test_window_guards.py",)
_QUOTE_GUARDS = ("guardrails/test_quote_guards.py",)

MUTANTS = (
    Mutant(
        "fill_counted_twice",
        "a trade id is booked once in the ledger",
        "orders/ledger.py",
        "        if fill.trade_id in self._trades:",
        "        if fill.trade_id in ():",
        _LEDGER,
    ),
    Mutant(
        "fill_announced_twice",
        "one fill by both roads counts once",
        "orders/books.py",
        "            if not desk.journal.add_fill(booked, desk.clock.now_ns()):\n                return False\n",
        "            desk.journal.add_fill(booked, desk.clock.now_ns())\n",
        _RECONCILING,
    ),
    Mutant(
        "lost_fill_not_fetched",
        "a fill that the stream lost is read from the list",
        "orders/reconciling.py",
        '            self._books.book_fill(fill, "list")\n        if not listed.unreadable',
        "            pass\n        if not listed.unreadable",
        _RECONCILING,
    ),
    Mutant(
        "streamed_fill_dropped",
        "a fill of the stream is booked at once",
        "orders/manager.py",
        '        new = self._books.book_fill(fill, "stream")',
        "        new = False",
        ("orders/test_cancelling_orders.py", "orders/test_order_defects.py", *_RECONCILING),
    ),
    Mutant(
        "order_not_told_of_its_fill",
        "an order knows what of it traded",
        "orders/books.py",
        "            if order is not None:\n                desk.fill_booked(order, fill)\n",
        "",
        _RECONCILING,
    ),
    Mutant(
        "late_news_shrink_a_fill",
        "hearing something late never takes a fill back",
        "orders/lifecycle.py",
        "        case Acked(filled=said) | ReportedResting(filled=said) | ReportedCanceled(filled=said):\n"
        "            filled = max(order.filled, said)",
        "        case Acked(filled=said) | ReportedResting(filled=said) | ReportedCanceled(filled=said):\n"
        "            filled = said",
        ("orders/test_order_lifecycle.py",),
    ),
    Mutant(
        "fill_side_inverted",
        "a filled ask makes the YES position smaller",
        "orders/ledger.py",
        "        position.count = Count(position.count + fill.side.sign * fill.count)",
        "        position.count = Count(position.count - fill.side.sign * fill.count)",
        _LEDGER,
    ),
    Mutant(
        "settled_twice",
        "a market settles once, whoever says it first",
        "orders/payments.py",
        "        if not self._ledger.set_result(position.market_ticker, result):\n            return False\n",
        "        self._ledger.set_result(position.market_ticker, result)\n",
        _SETTLING,
    ),
    Mutant(
        "listed_settlement_overruled",
        "what the exchange listed is never overruled",
        "orders/ledger.py",
        "            or (known.revenue is not None and result.revenue is None)\n",
        "",
        _LEDGER,
    ),
    Mutant(
        "fee_rounded_down",
        "a fee is rounded up",
        "ladder/fees.py",
        "    return Dollars(-(-exact // _SCALE))",
        "    return Dollars(exact // _SCALE)",
        ("ladder/test_fees.py",),
    ),
    Mutant(
        "fee_change_ignored",
        "a changed fee schedule stops the series",
        "venue/monitor.py",
        "            if known is not None and replace(known, read_ns=schedule.read_ns) != schedule:",
        "            if known is None and schedule is None:",
        ("venue/test_monitor.py",),
    ),
    Mutant(
        "resting_orders_are_no_risk",
        "the loss budgets count every order that may still fill",
        "guardrails/budgets.py",
        "        loss = Dollars(lost + context.exposure().worst_loss)",
        "        held = context.exposure()\n        loss = Dollars(lost + type(held)(held.holdings, ()).worst_loss)",
        ("guardrails/test_chain.py", *_QUOTE_GUARDS),
    ),
    Mutant(
        "losses_forgotten",
        "a settled loss uses up the budget",
        "guardrails/budgets.py",
        "        lost = max(0, ledger.disputed - realized)",
        "        lost = 0",
        _WINDOW_GUARDS,
    ),
    Mutant(
        "gains_lent",
        "a gain does not enlarge the budget",
        "guardrails/budgets.py",
        "        lost = max(0, ledger.disputed - realized)",
        "        lost = ledger.disputed - realized",
        _WINDOW_GUARDS,
    ),
    Mutant(
        "pal_ignored",
        "no strike may lose more than its limit",
        "guardrails/budgets.py",
        "            passed=loss <= most,\n",
        "            passed=loss <= loss,\n",
        _QUOTE_GUARDS,
    ),
    Mutant(
        "joint_tail_ignored",
        "both indices together stay within the limit of the worst twentieth",
        "guardrails/joint_tail.py",
        "passed=loss <= self.most",
        "passed=loss <= loss",
        ("guardrails/test_joint_tail.py",),
    ),
    Mutant(
        "correlation_not_stressed",
        "a hedge between the indices is worth what it is at the worse of two correlations",
        "guardrails/joint_tail.py",
        "            loss += max(tail_loss(group, laws, rho) for rho in correlations)",
        "            loss += tail_loss(group, laws, correlations[0])",
        ("guardrails/test_joint_tail.py",),
    ),
    Mutant(
        "strangers_hold_nothing_back",
        "cash is compared between moments when the exchange lists nothing",
        "orders/proving.py",
        "                if strangers := await self._resting():",
        "                if strangers := 0:",
        ("orders/test_settling_and_proving.py",),
    ),
    Mutant(
        "orders_hedge_each_other",
        "an order that may not fill never makes another one safer",
        "ladder/payoff.py",
        "            pnl[0] += min(0, order.pnl_yes)",
        "            pnl[0] += order.pnl_yes",
        ("ladder/test_payoff.py",),
    ),
    Mutant(
        "unbooked_fill_costs_nothing",
        "what has traded counts in every worst case until its fills are booked",
        "guardrails/exposure.py",
        "    return (*state.live_orders(), *state.unbooked.values())",
        "    return state.live_orders()",
        ("orders/test_unbooked_fills.py",),
    ),
)
