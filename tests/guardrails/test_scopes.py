"""A guard asked once for all of its scope says what it would say when asked each time."""

import inspect
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.ground.units import MINUTE, Nanos
from kalshi_daemon.guardrails.guard import Scope
from kalshi_daemon.state import DaemonState, DiskState
from tests.guardrails.guard_rig import NOW, TARGET, chain_of, healthy, window_of
from tests.support.instruments import INDICES, KXINX, KXINXU, KXNASDAQ100U

LATER = replace(window_of(KXINXU, Nanos(TARGET + 60 * MINUTE)), event_ticker="KXINXU-26NOV23H1300")
WINDOWS = (window_of(KXINXU), window_of(KXNASDAQ100U), window_of(KXINX), LATER)
PROFILES = ("wide", "size", "close")
CHAIN = chain_of()

ALLOWED = {
    Scope.ACCOUNT: set(),
    Scope.INDEX: {"context.window.series.index"},
    Scope.WINDOW: {"context.window"},
    Scope.PROFILE: {"context.window", "context.profile"},
}


def _no_disk(state: DaemonState) -> None:
    state.disk = DiskState()


def _no_switch(state: DaemonState) -> None:
    state.kill_switch = True


def _one_model_less(state: DaemonState) -> None:
    state.calibration.pop(INDICES[1], None)


def _a_window_unknown(state: DaemonState) -> None:
    state.windows.pop(WINDOWS[0].event_ticker, None)


def _one_record_less(state: DaemonState) -> None:
    state.market_records.pop(INDICES[0], None)


def _no_group(state: DaemonState) -> None:
    state.order_groups.ids.pop("wide", None)


def _a_silent_index(state: DaemonState) -> None:
    state.index[INDICES[1]].changed_ns = None


BROKEN = (_no_disk, _no_switch, _one_model_less, _a_window_unknown, _one_record_less, _no_group, _a_silent_index)


@given(st.sets(st.sampled_from(BROKEN)), st.permutations([(p, w) for p in PROFILES for w in range(len(WINDOWS))]))
@settings(max_examples=60, deadline=None)
def test_asked_once_or_each_time_the_answers_are_the_same(broken, order):
    state = healthy()
    for breaks in broken:
        breaks(state)
    instant = CHAIN.at(state, NOW)
    for profile, place in order:
        alone = CHAIN.at(state, NOW).judge(CHAIN.window_guards, profile, WINDOWS[place])
        assert instant.judge(CHAIN.window_guards, profile, WINDOWS[place]) == alone


@pytest.mark.parametrize("guard", CHAIN.window_guards, ids=lambda guard: guard.name)
def test_a_guard_reads_nothing_beyond_its_scope(guard):
    source = "".join(inspect.getsource(kind) for kind in type(guard).__mro__ if kind.__module__.startswith("kalshi"))
    quoted = re.sub(r"    def judge_quote\(.*?(?=\n    def |\Z)", "", source, flags=re.DOTALL)
    read = set(re.findall(r"context\.(?:window\.series\.index|window|profile)\b", quoted))
    allowed = ALLOWED[guard.scope]
    beyond = {one for one in read if not any(one.startswith(part) for part in allowed)}
    assert not beyond, f"{guard.name} is of scope {guard.scope.value}"
