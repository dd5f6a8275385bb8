"""A seed says everything, in every process: texts hash otherwise in each, and a set of them is in another order."""

import os
import subprocess
import sys
from datetime import date, time
from hashlib import sha256

import pytest

from kalshi_daemon.backtest.session import SessionPlan, play
from kalshi_daemon.simulator.traders.regimes import regime
from kalshi_daemon.simulator.world import WorldPlan
from tests.backtest.test_backtest_session import SETTINGS


def told() -> str:
    """All that traded in twelve minutes of the regime whose makers notice what hits them."""
    plan = WorldPlan(3, 1.0, date(2026, 11, 23), time(14, 42), time(14, 54), mix=regime("efficient"))
    trades = play(SessionPlan(plan, SETTINGS)).world.exchange.matcher.trades
    assert len(trades) > 100
    return sha256("".join(f"{one.ticker} {one.price} {one.count};" for one in trades).encode()).hexdigest()


@pytest.mark.timeout(240)
def test_a_session_is_the_same_however_texts_hash():
    command = [sys.executable, "-c", "from tests.backtest.test_same_in_every_process import told; print(told())"]
    running = [
        subprocess.Popen(command, env=os.environ | {"PYTHONHASHSEED": seed}, stdout=subprocess.PIPE, text=True)
        for seed in ("1", "2")
    ]
    first, second = (process.communicate(timeout=200)[0].strip().splitlines()[-1] for process in running)
    assert first == second
