"""The decision core is built from ports alone: no socket, no loop, and every event goes through one router."""

from types import SimpleNamespace
from typing import Any

import pytest

from kalshi_daemon.app.core import Core, Plan, Ports, build_core
from kalshi_daemon.app.event_router import EventRouter
from kalshi_daemon.artifacts.writer import ArtifactWriter
from kalshi_daemon.domain.index import Channel, Index, Tick
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.orders.journal import Journal
from kalshi_daemon.settings.model import Settings
from kalshi_daemon.state import DaemonState
from tests.guardrails.guard_rig import NOW, quote_of
from tests.support.instruments import INDICES


class NoVenue:
    """Ports of a driver that is not asked anything: whoever calls one of these is told so."""

    repeated = 0

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked while the core was being built")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    clock, tmp_path = ManualClock(NOW), tmp_path_factory.mktemp("core")
    settings = Settings(state_dir=tmp_path)
    nobody: Any = NoVenue()
    journal = Journal.open(tmp_path / "orders.sqlite", clock.now_ns())
    artifacts = ArtifactWriter(tmp_path, clock, run_id="r", mode="sim")
    router, state = EventRouter(), DaemonState()
    plan = Plan(run_id="r", entropy=b"x" * 16, armed=True, force_gate_pass=False, on_progress=lambda: None)
    core = build_core(settings, plan, Ports(clock, nobody, nobody, None, journal, artifacts, None), router, state)
    yield SimpleNamespace(core=core, router=router, state=state, clock=clock)
    journal.close()


def tick(value: float) -> Tick:
    return Tick(Index.SPX, Channel.VALUE, value, Nanos(NOW - SECOND), Nanos(NOW))


def test_a_core_is_built_without_a_socket_or_a_loop_and_owns_its_state(built):
    assert isinstance(built.core, Core)
    assert built.state.armed
    assert set(built.state.calibration) == set(INDICES)
    assert built.core.snapshots is None, "nobody to ask"


def test_what_the_feed_says_reaches_the_models(built):
    before = built.core.learning.models[Index.SPX].health(built.clock.now_ns()).last_update_ns
    built.router.on_tick(tick(6_800.0))
    after = built.core.learning.models[Index.SPX].health(built.clock.now_ns()).last_update_ns
    assert before != after


def test_a_quote_of_a_window_nobody_opened_is_forbidden(built):
    assert built.router.closed_guard(quote_of())


def test_parts_are_joined_once_and_nothing_is_heard_before():
    router = EventRouter()
    with pytest.raises(RuntimeError, match="before the parts were joined"):
        router.on_tick(tick(6_800.0))
    with pytest.raises(RuntimeError, match="before the parts were joined"):
        router.closed_guard(quote_of())


def test_a_second_join_is_a_mistake(built):
    with pytest.raises(RuntimeError, match="joined already"):
        built.router.join(SimpleNamespace(recorder=None))
