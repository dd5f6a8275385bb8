"""The same sessions in process and over sockets, seed by seed: `python -m tests.backtest.equality --seeds 20`.

Each message takes the same constant time in both, three times that have no common multiple in a session: at one
instant nothing but time decides what comes first.
"""

import argparse
import json
import logging
import sys
import tempfile
from datetime import date, time
from pathlib import Path
from typing import Any

import structlog

from kalshi_daemon.backtest.session import Played, SessionPlan, play
from kalshi_daemon.settings.loader import load_settings
from kalshi_daemon.simulator.latency import Latency
from kalshi_daemon.simulator.traders.regimes import regime
from kalshi_daemon.simulator.world import WorldPlan
from tests.backtest.socket_session import FEED_KEY, play_over_sockets

CONSTANT = Latency(create_ms=20.001, cancel_ms=20.001, read_ms=20.001, stream_ms=12.003, feed_ms=30.007, spread=0.0)
SETTINGS = load_settings(
    None,
    {},
    None,
    {
        "calibration.ready_after_minutes": 0,
        "guards.sigma_books_ratio_max": 100,
        **{f"profiles.{name}.scan_every_s": 20 for name in ("wide", "size", "close")},
    },
).settings


def plan_of(seed: int, until: time = time(15, 2)) -> SessionPlan:
    """The end of an hour, ten times busier than usual."""
    world = WorldPlan(
        seed, 1.0, date(2026, 11, 23), time(14, 53), until, mix=regime("busy"), feed_api_key=FEED_KEY
    )  # fmt: skip
    return SessionPlan(world, SETTINGS, CONSTANT)


def ledger(played: Played) -> dict[str, Any]:
    """Everything our orders and the exchange say of a session, with its instants."""
    return {
        "fills": [
            (one.at_ns, one.order.market.spec.ticker, one.order.side.value, one.price, one.count, one.fee)
            for one in played.world.account.fills
        ],
        "orders": [
            (one.created_ns, one.market_ticker, one.side.value, one.price, one.count, one.filled, one.status.value)
            for one in played.state.orders.values()
        ],
        "scans": played.summary.scans,
        "pnl": str(played.summary.pnl_dollars),
        "books_equal": played.summary.books_equal,
    }


def both(plan: SessionPlan) -> tuple[dict[str, Any], dict[str, Any]]:
    """In process, over sockets."""
    with tempfile.TemporaryDirectory() as folder:
        return ledger(play(plan)), ledger(play_over_sockets(plan, Path(folder)))


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.backtest.equality")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=1)
    options = parser.parse_args(argv)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    equal, fills = 0, 0
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        one, other = both(plan_of(seed))
        equal += one == other
        fills += len(one["fills"])
        if one != other:
            sys.stdout.write(f"seed {seed}: {[key for key in one if one[key] != other[key]]} differ\n")
    sys.stdout.write(json.dumps({"seeds": options.seeds, "equal": equal, "fills": fills}) + "\n")
    return 0 if equal == options.seeds else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
