"""Markets on another shard: its status and cash decide, groups do not reach it, what is not known stays shut."""

from tests.mutants.mutant import Mutant

_SHARDS = ("orders/test_shards.py",)

MUTANTS = (
    Mutant(
        "unread_shard_traded",
        "a shard whose cash is not known stays shut",
        "guardrails/exchange.py",
        "            if said is not None and shard in state.shard_balances:",
        "            if said is not None:",
        _SHARDS,
    ),
    Mutant(
        "shard_0_pays_for_all",
        "the cash of a market's own shard covers its quotes",
        "guardrails/budgets.py",
        "        if state.shard_balances:  # else",
        "        if state.balance is None:  # else",
        _SHARDS,
    ),
    Mutant(
        "group_of_another_shard",
        "an order joins no group of another shard",
        "orders/placing.py",
        " if state.venue.shard_of(order.market_ticker) == 0 else None",
        "",
        _SHARDS,
    ),
    Mutant(
        "unread_shard_remembered",
        "cash of a shard that cannot be read any more is not known",
        "orders/reconciling.py",
        "                state.shard_balances.pop(shard, None)\n",
        "",
        _SHARDS,
    ),
    Mutant(
        "home_cash_alone_compared",
        "the cash of all shards is compared once a market is on another",
        "orders/cash.py",
        "        return self.total if self.all_shards else self._store.state.balance",
        "        return self._store.state.balance",
        _SHARDS,
    ),
)
