"""In process and over real sockets a session is the same: decisions, fills, books. `make equality` plays 20 seeds."""

from datetime import time

from tests.backtest.equality import both, plan_of


def test_sockets_and_no_sockets_give_equal_ledgers():
    in_process, over_sockets = both(plan_of(3, time(14, 56)))
    assert in_process == over_sockets
    assert in_process["fills"], "something was traded"
    assert in_process["books_equal"]
