"""Another policy trades without a change to the loop, and an unknown name is refused."""

from dataclasses import dataclass

import pytest

from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.quote import Quote, QuotePlan, Side
from kalshi_daemon.domain.window import Phase
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.units import Dollars, Price, lots
from kalshi_daemon.settings.model import Settings, TradingSettings
from kalshi_daemon.trading.policy.named import POLICIES, build_policy
from tests.trading.trader_rig import Rig


@dataclass(frozen=True)
class Seen:
    plans: int = 0
    reviews: int = 0
    inventory: tuple[str, ...] = ()
    markouts: int = 0


class OneBid:
    """Bids one lot at one price in the first market it is shown and pulls what has lost two cents to the middle."""

    name = "one_bid"
    requote_ns = None

    def initial(self):
        return Seen()

    def plan(self, picture, request, memory):
        market = picture.markets[0]
        view = picture.views[market.ticker]
        assert view.microprice is not None
        quote = Quote(
            market_ticker=market.ticker,
            side=Side.BID,
            price=Price(view.microprice // 100 * 100 - 300),
            count=lots(1),
            profile=request.profile.name,
            window=picture.window,
            fair=picture.model[market.ticker],
            model_fair=picture.model[market.ticker],
            required_edge=0.0,
            ev=Price(300),
            fee=Dollars(0),
        )
        resting = [order for order in picture.own if order.market_ticker == market.ticker]
        plan = QuotePlan(
            plan_id=request.plan_id,
            profile=request.profile,
            window=picture.window,
            made_ns=picture.now_ns,
            quotes=() if resting else (quote,),
            keep=tuple(order.client_order_id for order in resting),
            cancel=(),
            looks=(),
            forecast_level=picture.forecast.level,
            forecast_sigma=picture.forecast.sigma,
            trigger=request.trigger,
        )
        return plan, Seen(memory.plans + 1, memory.reviews, tuple(picture.inventory), len(picture.markouts))

    def review(self, picture, resting, memory):
        mids = {ticker: view.mid for ticker, view in picture.views.items()}
        gone = tuple((order, "edge_lost") for order in resting if (mids[order.market_ticker] or 0) < order.price + 200)
        return gone, Seen(memory.plans, memory.reviews + 1, memory.inventory, memory.markouts)

    def forget(self, memory, listed):
        return memory


async def test_a_policy_of_ones_own_quotes_reviews_and_remembers():
    rig = Rig(policy=OneBid())
    async with rig.running():
        rig.phase(Phase.OPEN)
        await rig.run_dry()
        (order,) = rig.live()
        first = rig.state.venue.events[rig.event][0]
        assert (order.market_ticker, order.side) == (first, Side.BID)
        rig.trader.on_tick(Index.SPX)
        await rig.run_dry()
        assert rig.trader.memory.plans == 1
        assert rig.trader.memory.reviews > 0
        assert rig.live() == [order]
        bids, asks = {Price(order.price - 200): lots(50)}, {Price(order.price + 100): lots(50)}
        rig.state.venue.books[first].replace(bids, asks, rig.clock.now_ns(), rig.clock.now_ns())
        rig.trader.on_tick(Index.SPX)
        await rig.run_dry()
        assert rig.notes.cancelled == [((order.client_order_id,), "edge_lost")]


def test_a_policy_that_is_not_there_is_refused_with_those_that_are():
    assert build_policy(Settings()).name == "edge"
    assert set(POLICIES) == {"edge", "reservation"}
    with pytest.raises(ConfigurationError, match=r"trading\.policy.*'martingale'.*edge"):
        build_policy(Settings(trading=TradingSettings(policy="martingale")))
