import math
from dataclasses import replace
from datetime import date, time

import numpy as np
import pytest

from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.units import HOUR, MINUTE, SECOND, Nanos
from kalshi_daemon.simulator.feed.index_synthetic import synthesize_session
from kalshi_daemon.simulator.traders.traders import nearest_money
from kalshi_daemon.simulator.traders.true_distribution import TrueDistribution
from kalshi_daemon.simulator.world import API_ACCOUNT, World, WorldPlan
from kalshi_daemon.windows.sessions import load_sessions

(SESSION,) = load_sessions(date(2026, 11, 23), date(2026, 11, 23)).sessions
PLAN = WorldPlan(seed=3, speed=100.0, session_date=date(2026, 11, 23), start=time(10, 30), until=time(11, 10))


def played(plan, minutes):
    world = World(plan)
    world.publish = lambda _now: None  # nobody listens
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


def test_what_the_market_is_told_is_what_the_path_was_drawn_from():
    """Told over true of every hour of 300 made-up sessions; within a minute the variance is used up evenly."""
    ratios = []
    for seed in range(300):
        for path in synthesize_session(SESSION, seed).values():
            assert path.law is not None
            told = TrueDistribution(path)
            for hour in range(6):
                now, target = Nanos(path.open_ns + hour * HOUR + 20 * SECOND), Nanos(path.open_ns + (hour + 1) * HOUR)
                minutes = path.law.minute_variance[60 * hour : 60 * hour + 60]
                true = math.sqrt(minutes.sum() - minutes[0] / 3)
                ratios.append(math.log(told.sigma(now, target) / true))
    assert math.exp(float(np.median(ratios))) == pytest.approx(1.0, abs=0.02)
    assert float(np.std(ratios)) <= 0.05


def test_the_law_is_that_of_the_paths():
    """Returns from a minute after the open, each by the law it was drawn from: mean square 1, mean 0 with the gap."""
    squares, first = [], []
    for seed in range(400):
        for path in synthesize_session(SESSION, seed).values():
            told = TrueDistribution(path)
            for start, end in ((60, 3_600), (3_600, 7_200), (7_200, 23_400)):
                now, target = Nanos(path.open_ns + start * SECOND), Nanos(path.open_ns + end * SECOND)
                move = math.log(path.values[end] / path.values[start])
                squares.append((move / told.sigma(now, target)) ** 2)
            minute = Nanos(path.open_ns + 60 * SECOND)
            move = math.log(path.values[60] / path.values[0]) - told.drift(path.open_ns, minute)
            first.append(move / told.sigma(path.open_ns, minute))
    # Both indices share their moves: half as many are independent.
    assert float(np.mean(squares)) == pytest.approx(1.0, abs=5 * float(np.std(squares)) / math.sqrt(len(squares) / 2))
    assert float(np.mean(first)) == pytest.approx(0.0, abs=5 * float(np.std(first)) / math.sqrt(len(first) / 2))


def test_a_day_played_back_is_estimated_without_a_look_ahead():
    made = synthesize_session(SESSION, 3)[Index("SPX")]
    noon = Nanos(made.open_ns + 150 * MINUTE)
    calm = replace(made, law=None)
    values = made.values.copy()
    values[151 * 60 :] *= np.exp(np.linspace(0.0, 0.2, len(values) - 151 * 60))
    wild = replace(made, law=None, values=values)
    close = made.close_ns
    assert TrueDistribution(calm).sigma(noon, close) == TrueDistribution(wild).sigma(noon, close) > 0.0
    assert TrueDistribution(calm).drift(made.open_ns, close) == 0.0
    late = Nanos(made.open_ns + 300 * MINUTE)
    assert TrueDistribution(wild).sigma(late, close) > TrueDistribution(calm).sigma(late, close)
    assert TrueDistribution(calm).sigma(close, close) == 0.0


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
