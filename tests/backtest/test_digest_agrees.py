"""What the digest says of our fills is what the law the index was drawn from says, but for the noise of half a minute.

`make markouts` plays 20 whole sessions; a cheap slice of them is played with the suite. In the crowd of `usual`, whose
makers never notice a fill, a book stays lopsided after each trade, and the mid with it: by 0.8 cents of our fills.
"""

import contextlib
import logging
import math
import os
import tempfile
from datetime import date, time
from pathlib import Path
from typing import Any

import pytest

from kalshi_daemon.artifacts.files import encode
from kalshi_daemon.artifacts.markout_lines import markout_line
from kalshi_daemon.backtest import session
from kalshi_daemon.backtest.measures import SessionMeasures
from kalshi_daemon.backtest.session import SessionPlan, Unwritten, play
from kalshi_daemon.digest.document import document
from kalshi_daemon.digest.making import Source, digest_of
from kalshi_daemon.digest.means import ratio_error
from kalshi_daemon.digest.sections import sections
from kalshi_daemon.domain.markout import Markout
from kalshi_daemon.ground.durable import append_lines
from kalshi_daemon.settings.loader import load_settings
from kalshi_daemon.simulator.traders.regimes import regime
from kalshi_daemon.simulator.world import WorldPlan
from tests.backtest.test_backtest_session import SETTINGS

DAY = date(2026, 11, 23)
SESSIONS = int(os.environ.get("MARKOUT_SESSIONS", "0"))
"""0: the slice."""
CENTS = 100.0
log = logging.getLogger(__name__)


class Kept(Unwritten):
    """Of all artifacts the markouts alone, written at once."""

    def markout(self, one: Markout) -> None:
        append_lines(self.paths.markouts(DAY.isoformat()), [markout_line(one, "backtest")])


def played(monkeypatch, folder: Path, seed: int, name: str, start: time, until: time, settings) -> tuple[Any, Any]:
    """The digest of a session, and what the laboratory measured of the same one."""
    monkeypatch.setattr(session, "Unwritten", Kept)
    monkeypatch.setattr(tempfile, "TemporaryDirectory", lambda **_how: contextlib.nullcontext(folder))
    kept: list[SessionMeasures] = []

    def watch(world, state):
        kept.append(SessionMeasures(world, state))
        return kept[0].look

    plan = SessionPlan(WorldPlan(seed, 1.0, DAY, start, until, mix=regime(name)), settings)
    play(plan, watch)
    made = digest_of(Source(folder / "sim", "sim", whole_account=True), DAY, None, lambda: None, with_service=False)
    return made, kept[0]


def agreement(found) -> tuple[float, float, int]:
    """Cents a contract: the digest's 30 s markout against the mid less the law's edge before fees, its error; fills.

    Over the fills that have both, matched by market, second and count.
    """
    clusters: list[list[float]] = []
    fills = 0
    for made, measures in found:
        law: dict[tuple[str, int], list[float]] = {}
        for one in measures.fills:
            law.setdefault((one.market_ticker, round(one.at_ns / 1e9)), []).append(one.edge + one.fee * CENTS)
        by_window: dict[str, list[float]] = {}
        for line in made.fills.lines:
            fill, edge = line.record.booked.fill, line.market[30]
            truth = law.get((fill.market_ticker, round(fill.event_ns / 1e9)))
            if edge is None or not truth:
                continue
            fills += 1
            sums = by_window.setdefault(line.record.booked.event_ticker, [0.0, 0.0])
            sums[0] += fill.count
            sums[1] += fill.count * (edge.mid * CENTS - sum(truth) / len(truth))
        clusters += by_window.values()
    difference = sum(value for _, value in clusters) / sum(count for count, _ in clusters)
    return difference, ratio_error(clusters) or math.inf, fills


def test_the_digests_markouts_of_a_session_are_measured_and_shown(monkeypatch, tmp_path):
    made, measures = played(monkeypatch, tmp_path, 3, "efficient", time(14, 42), time(15, 2), SETTINGS)
    assert made.fills.count == len(measures.fills) > 20
    five, thirty, _long = made.fills.market
    assert five.mid.missing <= made.fills.count / 5, "most fills have a two-sided book before and after: makers pull"
    assert thirty.half_spread.dollars + thirty.adverse.dollars == pytest.approx(thirty.mid.dollars, abs=1e-9)
    assert thirty.mid.windows >= 2
    assert thirty.mid.error is not None
    found = document(made)
    assert found["schema"] == 2
    assert found["fills"]["market_markouts"][1]["mid"]["fills"] == thirty.mid.fills
    assert encode(found)
    table = next(one for one in sections(made) if one.title == "Markouts, per contract")
    assert [row[0] for row in table.rows] == ["5 s", "30 s", "300 s"]
    difference, error, fills = agreement([(made, measures)])
    assert fills > 50
    assert error < 0.8, "of two windows, a crude one"
    assert abs(difference) <= 1.0


@pytest.mark.skipif(not SESSIONS, reason="`make markouts` plays whole sessions")
@pytest.mark.timeout(7_200)
def test_over_whole_sessions_the_digest_agrees_with_the_law(monkeypatch, tmp_path):
    settings = load_settings(None, {}, None, {}).settings
    found = []
    for seed in range(1, SESSIONS + 1):
        folder = tmp_path / str(seed)
        folder.mkdir()
        with monkeypatch.context() as patches:
            found.append(played(patches, folder, seed, "efficient", time(9, 25), time(16, 5), settings))
        difference, error, fills = agreement(found)
        log.info("%d sessions: 30 s markout less the law %+.2f +- %.2f cents, %d fills", seed, difference, error, fills)
    assert abs(difference) <= 1.0
