"""A third index is a configuration and a constants file: nothing in the code names it, and it is quoted."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest

from kalshi_daemon.app.daemon import DaemonRun
from kalshi_daemon.calibration.constants_file import SHIPPED_PATH
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.order import Order
from kalshi_daemon.domain.window import Phase
from kalshi_daemon.settings.loader import Credentials, load_settings
from kalshi_daemon.settings.model import Settings
from tests.simulation.play import Onlooker, play
from tests.simulation.scenario import Scenario
from tests.simulation.stage import Stage

DJI = Index("DJI")
CONFIG = """
[instruments.indices.DJI]
title = "Dow Jones"
level = 46000.0
constants_file = "{constants}"
stand_ins = ["YM", "DIA x 100"]
volatility = 0.9

[instruments.series.KXDJIH]
index = "DJI"
cadence = "hourly"
step = 60

[profiles.wide]
series = ["KXINXU", "KXDJIH"]
"""


def configured(folder: Path) -> Settings:
    constants = folder / "dji.json"
    constants.write_text(json.dumps(json.loads(SHIPPED_PATH.read_text()) | {"name": "dji-made-up"}))
    path = folder / "config.toml"
    path.write_text(CONFIG.format(constants=constants))
    return load_settings(path, {}, None, {}, needs=Credentials.NONE).settings


@dataclass
class Seen(Onlooker):
    """What the daemon did about the third index."""

    name: ClassVar[str] = "seen"
    intents: list[Order] = field(default_factory=list)
    resting: set[str] = field(default_factory=set)
    windows: set[str] = field(default_factory=set)
    forecasts: int = 0
    constants: set[str] = field(default_factory=set)
    listed: int = 0

    def intent(self, _stage: Stage, _life: DaemonRun, order: Order) -> list[str]:
        self.intents.append(order)
        return []

    def look(self, stage: Stage) -> list[str]:
        life = stage.daemon.life
        if life is None or life.components is None:
            return []
        state, now = life.state, stage.exchange.clock.now_ns()
        self.resting |= {order.series_ticker for order in state.orders.live()}
        for status in state.windows.values():
            if status.window.series.index == DJI and status.phase is Phase.OPEN:
                self.windows.add(status.window.event_ticker)
                self.forecasts += state.calibration[DJI].forecast(now, status.window.target_ns) is not None
                self.listed = max(self.listed, len(state.venue.listed(status.window.event_ticker)))
        self.constants = {model.constants.name for model in life.components.core.learning.models.values()}
        return []


@pytest.mark.simulated
def test_a_third_index_is_listed_forecast_quoted_and_guarded_by_data_alone(tmp_path):
    settings, seen = configured(tmp_path), Seen()
    outcome = play(
        1,
        scenario=Scenario(
            seed=1,
            hour=12,
            minutes_before=9,
            series=("KXINXU", "KXDJIH"),
            lease_s=90.0,
            reconcile_every_s=60.0,
            scan_every_s=10.0,
            daily_loss_dollars=50.0,
            latency_s=(0.001, 0.02),
            troubles=(),
            deaths=(),
            ends_s=60.0,
            instruments=settings.instruments,
        ),
        onlooker=seen,
    )
    assert outcome.violations == []
    assert seen.windows == {"KXDJIH-26NOV23H1200"}
    assert seen.listed > 20, "its ladder is read as the exchange lists it"
    assert seen.forecasts > 20
    assert seen.constants == {"dji-made-up", "nq-2025-06"}, "its own constants, and the others keep theirs"
    assert {"KXINXU", "KXDJIH"} <= seen.resting
    quoted = [order for order in seen.intents if order.series_ticker == "KXDJIH"]
    assert quoted, "every quote went through the chain of guards, its joint tail among them"
