import orjson

from kalshi_daemon.domain.index import Channel, Index, Tick
from kalshi_daemon.ground.units import SECOND, Count, Dollars, Nanos
from kalshi_daemon.operations.status import status_of
from kalshi_daemon.state import DaemonState, Position

NOW = Nanos(1_795_446_300 * SECOND)


def test_a_status_is_plain_values_and_says_null_for_what_is_not_known():
    status = status_of(DaemonState(), NOW)
    assert orjson.loads(orjson.dumps(status)) == status
    assert status["index_age_ms"] == {"SPX": None, "NDX": None}
    assert (status["armed"], status["reconciled"], status["orders_live"]) == (False, False, 0)


def test_a_status_carries_ages_money_and_the_reason_of_a_stop():
    state = DaemonState()
    state.index[Index.SPX].last = Tick(Index.SPX, Channel.VALUE, 6_870.0, Nanos(NOW - 1_500_000_000), NOW)
    state.latch.closed, state.latch.reason = True, "SIGTERM"
    state.ledger.positions["A"] = Position("A", "E", "S", count=Count(-250))
    state.ledger.positions["B"] = Position("B", "E", "S", count=Count(700), settled="yes")
    state.ledger.realized_today = Dollars(-12_345)
    state.ledger.disputed = Dollars(10_000)
    status = status_of(state, NOW)
    assert status["index_age_ms"] == {"SPX": 1_500, "NDX": None}
    assert (status["stopping"], status["contracts_held"], status["pnl_today_dollars"]) == ("SIGTERM", "2.50", "-1.2345")
    assert (status["in_dispute_dollars"], status["orders_quarantined"]) == ("1.0000", 0)
