import pytest
from structlog.testing import capture_logs

from kalshi_daemon.domain.index import Channel, Index, Tick
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.index_feed.value_intake import Unheard, ValueIntake, nothing_outside
from kalshi_daemon.settings.model import IndexFeedSettings
from kalshi_daemon.state import DaemonState
from tests.support.instruments import DJI, three

KNOWN = 6_800.0


@pytest.mark.parametrize(
    ("value", "percent", "limit_percent"),
    [(68_000.0, 900.0, 0.753), (680.0, -90.0, 0.747), (KNOWN * 1.02, 2.0, 0.753), (KNOWN * 0.98, -2.0, 0.747)],
)
def test_how_far_a_withheld_value_is_from_the_known_one_is_a_share_of_it(value, percent, limit_percent):
    """Ten times as much is 900 % more and a tenth is 90 % less; their natural logs are 2.3026 either way."""
    state = DaemonState()
    believed: list[Tick] = []
    known = {Index.SPX: (Nanos(0), KNOWN)}
    intake = ValueIntake(state, IndexFeedSettings(), believed.append, known, Unheard(), nothing_outside)
    at_ns = Nanos(SECOND)
    with capture_logs() as logs:
        intake.take(Tick(Index.SPX, Channel.VALUE, value, at_ns, at_ns))
    assert believed == []
    [said] = [line for line in logs if line["event"] == "feed.values_withheld"]
    assert said["move_percent"] == pytest.approx(percent, abs=1e-3)
    assert said["limit_percent"] == limit_percent
    withheld = state.index[Index.SPX].withheld
    assert withheld is not None
    assert withheld.move == pytest.approx(abs(value / KNOWN - 1.0))
    assert withheld.limit == pytest.approx(limit_percent / 100.0, abs=5e-6)


@pytest.mark.parametrize(("group", "believed_at_once"), [("large_caps", True), ("", False)])
def test_only_an_index_of_the_same_group_bears_witness_for_a_jump(group, believed_at_once):
    """SPX jumps by a per cent, and DJI a second later. NDX says nothing."""
    state = DaemonState(three(group))
    believed: list[Tick] = []
    known = {index: (Nanos(0), KNOWN) for index in (Index.SPX, DJI)}
    intake = ValueIntake(state, IndexFeedSettings(), believed.append, known, Unheard(), nothing_outside)
    for second in range(1, 8):
        for index in (Index.SPX, DJI):
            at_ns = Nanos(second * SECOND)
            intake.take(Tick(index, Channel.VALUE, KNOWN * 1.01 + 0.01 * second, at_ns, at_ns))
    assert any(tick.index == DJI for tick in believed) == believed_at_once
