"""No order is made on a shard that does not trade, once the exchange has told us both: whose shard, and its state."""

from collections.abc import Iterable
from typing import ClassVar

from kalshi_daemon.app.daemon import DaemonRun
from kalshi_daemon.domain.order import Order
from tests.simulation.checkers.checker import Checker
from tests.simulation.stage import Stage

_SLACK_S = 10.0
"""From the moment on at which we hold both answers: a slow link holds each back."""


class ShardTrades(Checker):
    name: ClassVar[str] = "shards"

    def __init__(self) -> None:
        self._paused: dict[int, int] = {}
        """By paused shard: how often the status had been answered before."""
        self._told_s: dict[str, float] = {}
        """By market that we know to be on such a shard."""

    def look(self, stage: Stage) -> Iterable[str]:
        shards = stage.exchange.exchange.venue.shards
        paused = [number for number, shard in shards.items() if number and not shard.trading_active]
        answered = stage.exchange.server.rest.requests["exchange_status 200"]
        self._paused = {number: self._paused.get(number, answered) for number in paused}
        told = {number for number, before in self._paused.items() if answered > before}
        life = stage.daemon.life
        listed = life.state.venue.markets if life is not None and told else {}
        known = [ticker for ticker, market in listed.items() if market.exchange_index in told]
        self._told_s = {ticker: self._told_s.get(ticker, stage.now_s) for ticker in known}
        return ()

    def intent(self, stage: Stage, life: DaemonRun, order: Order) -> Iterable[str]:
        del life
        known_for_s = stage.now_s - max(stage.healed_s, self._told_s.get(order.market_ticker, stage.now_s))
        if known_for_s > _SLACK_S:
            yield f"{order.client_order_id} was made on a shard known to be paused for {known_for_s:.1f} s"
