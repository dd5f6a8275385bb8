from datetime import date, time

import numpy as np
import pytest

from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.units import MINUTE, SECOND, Nanos
from kalshi_daemon.simulator.traders.traders import nearest_money
from kalshi_daemon.simulator.traders.true_distribution import TrueDistribution
from kalshi_daemon.simulator.world import API_ACCOUNT, World, WorldPlan
from tests.support.instruments import INDICES

PLAN = WorldPlan(seed=3, speed=100.0, session_date=date(2026, 11, 23), start=time(10, 30), until=time(11, 10))


def played(plan, minutes):
    world = World(plan)
    object.__setattr__(world.feed, "publish", lambda _now: None)  # nobody listens
    for second in range(1, 60 * minutes + 1):
        now = Nanos(world.start_ns + second * SECOND)
        world.clock.steer(now, now)
        world.run_until(now)
        for event in world.exchange.catalogue.events.values():
            for market in event.markets[::20]:
                bid, ask = world.exchange.best(market.ticker)
                assert bid is None or ask is None or bid < ask, "a book never crosses"
    return world


def test_the_same_seed_makes_the_same_market():
    one, two = played(PLAN, 2), played(PLAN, 2)
    tickers = list(one.exchange.catalogue.markets)
    assert one.exchange.orders_accepted == two.exchange.orders_accepted > 100
    assert [one.exchange.best(t) for t in tickers] == [two.exchange.best(t) for t in tickers]


def test_makers_stand_around_the_money_of_the_event_that_trades_now():
    world = played(PLAN, 3)
    two_sided: dict[str, int] = {}
    for ticker in world.exchange.catalogue.markets:
        bid, ask = world.exchange.best(ticker)
        if bid is not None and ask is not None:
            event = ticker.rpartition("-")[0]
            two_sided[event] = two_sided.get(event, 0) + 1
            assert 0 < ask - bid < 3_000
    assert two_sided["KXINXU-26NOV23H1100"] >= 5
    assert "KXINXU-26NOV23H1500" not in two_sided


def test_money_is_neither_made_nor_lost_among_traders_before_settlement():
    world = played(PLAN, 3)
    held: dict[str, int] = {}
    for account in world.exchange.accounts.values():
        for ticker, holding in account.holdings.items():
            held[ticker] = held.get(ticker, 0) + holding.count
    assert set(held.values()) <= {0}, "every contract bought was sold"
    assert API_ACCOUNT in world.exchange.accounts


def test_the_true_distribution_uses_up_the_path_s_own_variance():
    world = World(PLAN)
    for index in INDICES:
        path = world.paths[index]
        distribution = TrueDistribution(path)
        whole = distribution.sigma(path.open_ns, path.close_ns)
        logs = np.log(path.values[: 390 * 60 + 1 : 60])
        assert whole == pytest.approx(float(np.sqrt(np.sum(np.diff(logs) ** 2))))
        noon = Nanos(path.open_ns + 150 * MINUTE)
        parts = distribution.sigma(path.open_ns, noon) ** 2 + distribution.sigma(noon, path.close_ns) ** 2
        assert parts == pytest.approx(whole**2)
        assert distribution.sigma(path.close_ns, path.close_ns) == 0.0


def test_the_strikes_nearest_one_half_come_first_and_tails_never():
    assert nearest_money(np.array([0.01, 0.5, 0.9, 0.45, 0.99, 0.1]), 3) == [1, 3, 2]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"session_date": date(2026, 11, 26)}, "holiday"),
        ({"session_date": date(2026, 11, 22)}, "weekend"),
        ({"session_date": None}, "needs a date"),
        ({"until": time(9, 0)}, "not after"),
    ],
)
def test_a_session_that_cannot_be_played_is_refused_by_name(change, words):
    values = {slot: getattr(PLAN, slot) for slot in PLAN.__slots__} | change
    with pytest.raises(ConfigurationError, match=words):
        World(WorldPlan(**values))
