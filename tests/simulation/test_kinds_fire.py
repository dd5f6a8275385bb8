"""Every kind of fault that is drawn is felt when it is played: one after the other in two long windows."""

import dataclasses

import pytest

from tests.simulation.batch import prepare
from tests.simulation.disk_troubles import DISK
from tests.simulation.far_away import FAR_AWAY
from tests.simulation.lies import LIES
from tests.simulation.misprinted import MISPRINTS
from tests.simulation.play import play
from tests.simulation.scenario import Trouble, draw
from tests.simulation.troubles import KINDS

_FIRST_S, _EVERY_S, _FOR_S = 40.0, 55.0, 30.0
_FILES = tuple(DISK)
_WORDS = (*LIES, *MISPRINTS, *FAR_AWAY)


@pytest.mark.simulated
@pytest.mark.timeout(400)
@pytest.mark.parametrize("kinds", [_FILES, _WORDS], ids=["files", "words"])
def test_faults_one_after_the_other_are_felt_and_break_no_promise(kinds):
    prepare()
    troubles = tuple(Trouble(_FIRST_S + _EVERY_S * n, kind, _FOR_S) for n, kind in enumerate(kinds))
    scenario = dataclasses.replace(
        draw(4, tuple(KINDS)), troubles=troubles, deaths=(), minutes_before=15, hour=12, daily_loss_dollars=50.0,
        scan_every_s=10.0, lease_s=90.0, latency_s=(0.001, 0.02),
    )  # fmt: skip
    outcome = play(4, scenario=scenario)
    assert outcome.violations == []
    assert set(outcome.faults) == set(kinds)
