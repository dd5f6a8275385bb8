"""A profile whose order group was triggered goes alone: its quotes are pulled and not renewed, the others stay."""

from dataclasses import replace

from structlog.testing import capture_logs

from kalshi_daemon.domain.window import Phase
from kalshi_daemon.state import GroupHalt
from tests.trading.trader_rig import Rig


async def test_only_the_halted_profile_is_pulled_and_it_quotes_again_after_the_reset():
    rig = Rig()
    with capture_logs() as logs:
        async with rig.running():
            rig.phase(Phase.OPEN)
            await rig.pass_time(1)
            wide = rig.live()
            size = replace(wide[0], client_order_id="kd-size", order_id="x-size", profile="size")
            rig.state.orders["kd-size"] = size
            rig.state.order_groups.halted["wide"] = GroupHalt(rig.clock.now_ns(), "triggered")
            assert not any(rig.trader.may_stay()(order) for order in wide)
            assert rig.trader.may_stay()(size)
            await rig.pass_time(2)
            assert rig.live() == [size]
            (pulled,) = rig.notes.cancelled
            assert (set(pulled[0]), pulled[1]) == ({order.client_order_id for order in wide}, "guard:order_group")
            await rig.pass_time(200)
            assert [order.profile for order in rig.live()] == ["size"], "scans go on, and send nothing"
            rig.state.order_groups.halted.clear()
            await rig.pass_time(181)
            assert "wide" in {order.profile for order in rig.live()}
    closed = [e for e in logs if e["event"] == "guard.refused" and e["guard"] == "order_group" and e["profile"] == ""]
    assert len(closed) == 1
