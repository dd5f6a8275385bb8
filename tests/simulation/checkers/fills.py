"""Fills are conserved: every trade of the exchange is in our journal once, the same in every number; no other is."""

from collections.abc import Iterable
from typing import ClassVar

from kalshi_daemon.simulator.exchange.holdings import MICROS
from tests.simulation.checkers.checker import Checker
from tests.simulation.stage import Stage


class FillsConserved(Checker):
    name: ClassVar[str] = "fills"

    def end(self, stage: Stage) -> Iterable[str]:
        theirs = {
            fill.trade_id: (fill.order.order_id, fill.order.side.value, fill.price, fill.count, -(-fill.fee // MICROS))
            for fill in stage.exchange.account.fills
        }
        ours = stage.daemon.fills_on_disk()
        for trade_id in theirs.keys() | ours.keys():
            if ours.get(trade_id) != theirs.get(trade_id):
                yield f"trade {trade_id}: ours {ours.get(trade_id)}, the exchange's {theirs.get(trade_id)}"
