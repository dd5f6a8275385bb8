"""No order is made on a shard that does not trade, once the exchange has told us both: whose shard, and its state."""

from collections.abc import Iterable
from typing import ClassVar

from kalshi_daemon.daemon import Life
from kalshi_daemon.domain.order import Order
from tests.simulation.checkers.checker import Checker
from tests.simulation.stage import Stage

_LISTED = ("events 200", "event 200", "markets 200", "market 200")
_STATUS = ("exchange_status 200",)
_SLACK_S = 10.0
"""From the first such answer on: the listing comes in several, and a slow link holds each back."""


class ShardTrades(Checker):
    name: ClassVar[str] = "shards"

    def __init__(self) -> None:
        self._moved: dict[int, tuple[int, int]] = {}
        """By paused shard: answers given before it was paused."""
        self._told_s: dict[int, float] = {}

    def look(self, stage: Stage) -> Iterable[str]:
        shards = stage.exchange.exchange.venue.shards
        paused = {number for number, shard in shards.items() if number and not shard.trading_active}
        self._moved = {n: self._moved.get(n, _answers(stage)) for n in paused}
        told = {
            n
            for n, before in self._moved.items()
            if all(now > then for now, then in zip(_answers(stage), before, strict=True))
        }
        self._told_s = {n: self._told_s.get(n, stage.now_s) for n in told}
        return ()

    def intent(self, stage: Stage, life: Life, order: Order) -> Iterable[str]:
        del life
        shard = stage.exchange.exchange.catalogue.markets[order.market_ticker].shard
        known_for_s = stage.now_s - max(stage.healed_s, self._told_s.get(shard, stage.now_s))
        if known_for_s > _SLACK_S:
            yield f"{order.client_order_id} was made on shard {shard}, known to be paused for {known_for_s:.1f} s"


def _answers(stage: Stage) -> tuple[int, int]:
    requests = stage.exchange.server.rest.requests
    return sum(requests[one] for one in _LISTED), sum(requests[one] for one in _STATUS)
