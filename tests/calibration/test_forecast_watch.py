"""The live record: every figure by hand, replay, its bounds, and that the updater feeds it."""

import json
from math import exp, log, nan

import numpy as np
import pytest
import scoringrules
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.calibration.monitor import THRESHOLD, RecordMonitor
from kalshi_daemon.calibration.recalibration import BUCKETS, Recalibration
from kalshi_daemon.calibration.scores import gaussian_crps, gaussian_log_score, published_crps
from kalshi_daemon.calibration.watch import (
    GROUP_OF,
    HALF_LIFE_SESSIONS,
    LIMITS,
    ForecastWatch,
    Scored,
    ladder_around,
    log_fields,
    plain_state,
    scale_reading,
    scored,
)
from kalshi_daemon.domain.forecast import Reading, Standing
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.instruments import SHIPPED_INSTRUMENTS
from tests.calibration.support import RESIDUALS, feed, model, session, walk
from tests.support.instruments import INDICES

LAW = RESIDUALS.at(45.0)
IDENTITY = Recalibration.fresh((1.0,) * BUCKETS).at(45.0).pit_map
PLAIN = (Recalibration.fresh((1.0,) * BUCKETS),)
ONE = Scored(crps=2.0, baseline_crps=4.0, log_gain=0.3, pit=0.5, square=1.0)


def value(watch: ForecastWatch, name: str, group: str = "hour") -> Reading:
    (found,) = (one for one in watch.readings(RecordMonitor(), PLAIN) if (one.monitor, one.group) == (name, group))
    return found


def fed(*scores: Scored, bucket: int = 6) -> ForecastWatch:
    watch = ForecastWatch()
    for one in scores:
        watch.learn(bucket, one)
    return watch


def test_horizons_are_grouped():
    assert GROUP_OF == ("near",) * 3 + ("hour",) * 4 + ("long",) * 3
    assert (plain_state(55.0), plain_state(120.0)) == (2, 4)


def test_the_figures_of_a_worked_case():
    watch = fed(ONE, Scored(crps=4.0, baseline_crps=2.0, log_gain=-0.1, pit=0.97, square=3.0))
    assert value(watch, "crps_ratio").value == pytest.approx(1.0)
    assert value(watch, "log_gain").value == pytest.approx(0.1)
    assert value(watch, "cover90").value == pytest.approx(0.5), "0.97 lies outside the central 90 %"
    assert value(watch, "cover99").value == pytest.approx(1.0)
    assert value(watch, "rms_z").value == pytest.approx(2.0**0.5)
    # Nothing at or below 0.5, half of it in the bin above: the empirical cdf is 0.5 short of the diagonal there.
    assert value(watch, "pit_ks").value == pytest.approx(0.5)
    assert value(watch, "crps_ratio").n == 2.0
    assert value(watch, "crps_ratio", "near").value is None


def test_a_forecast_counts_once_in_a_bin_however_many_strikes_it_has_there():
    sure = Scored(1.0, 1.0, 0.0, 0.5, 1.0, strikes=((0.55, True), (0.52, True), (0.51, True)))
    watch = fed(*(sure,) * 60, *(Scored(1.0, 1.0, 0.0, 0.5, 1.0, strikes=((0.55, False),)),) * 60)
    said = ((0.55 + 0.52 + 0.51) / 3 + 0.55) / 2
    assert value(watch, "reliability").value == pytest.approx(abs(0.5 - said))


def test_a_bin_of_few_forecasts_is_not_judged():
    watch = fed(*(Scored(1.0, 1.0, 0.0, 0.5, 1.0, strikes=((0.95, False),)),) * 119)
    assert value(watch, "reliability").value is None


def test_the_past_fades_and_the_record_heals():
    watch = fed(*(Scored(4.0, 2.0, 0.0, 0.5, 1.0),) * 400)
    assert value(watch, "crps_ratio").standing is Standing.ALERT
    for _ in range(int(HALF_LIFE_SESSIONS)):
        watch.next_session()
    assert value(watch, "crps_ratio").n == pytest.approx(200.0)
    for _ in range(int(6 * HALF_LIFE_SESSIONS)):
        watch.next_session()
        for _ in range(7):
            watch.learn(6, Scored(1.9, 2.0, 0.0, 0.5, 1.0))
    assert value(watch, "crps_ratio").standing is Standing.OK


@pytest.mark.parametrize("name", ["crps", "log_gain", "square", "pit"])
def test_a_score_that_is_no_number_stays_out(name):
    broken = {"crps": 1.0, "baseline_crps": 1.0, "log_gain": 0.0, "pit": 0.5, "square": 1.0} | {name: nan}
    assert value(fed(Scored(**broken)), "crps_ratio").n == 0.0


@given(st.floats(-6.0, 6.0), st.floats(0.0003, 0.02), st.floats(0.3, 3.0))
@settings(max_examples=40, deadline=None)
def test_scores_agree_with_the_distribution_and_with_the_library(z, sigma, ratio):
    x, baseline = z * sigma, ratio * sigma
    one = scored(x, sigma, LAW, IDENTITY, baseline, (-sigma, 0.5 * sigma))
    assert one.pit == pytest.approx(float(LAW.cdf(np.array([z]))[0]))
    assert one.baseline_crps == pytest.approx(float(scoringrules.crps_normal(x, 0.0, baseline)), rel=1e-9, abs=1e-15)
    theirs = -float(scoringrules.logs_normal(x, 0.0, baseline))
    assert one.log_gain == pytest.approx(float(LAW.log_density(np.array([z]))[0]) - log(sigma) - theirs, abs=1e-9)
    assert [p for p, _ in one.strikes] == pytest.approx([1.0 - float(LAW.cdf(np.array([k]))[0]) for k in (-1.0, 0.5)])
    assert [y for _, y in one.strikes] == [z >= -1.0, z >= 0.5]


def test_the_live_crps_is_the_library_s():
    levels = (np.arange(40_000) + 0.5) / 40_000
    places = 0.002 * LAW.quantiles(levels)
    for x in (-0.009, -0.002, 0.0, 0.0013, 0.008):
        theirs = float(scoringrules.crps_quantile(x, places, levels))
        assert published_crps(x, 0.002, LAW, IDENTITY) == pytest.approx(theirs, rel=6e-3)


def test_scalar_gaussian_scores_are_the_library_s():
    for x, sigma in ((0.0, 1.0), (-2.0, 0.7), (5.0, 2.0)):
        assert gaussian_crps(x, sigma) == pytest.approx(float(scoringrules.crps_normal(x, 0.0, sigma)))
        assert gaussian_log_score(x, sigma) == pytest.approx(-float(scoringrules.logs_normal(x, 0.0, sigma)))


@given(st.sampled_from(INDICES), st.floats(500.0, 60_000.0), st.floats(1e-6, 0.05))
@settings(max_examples=100, deadline=None)
def test_the_ladder_stands_on_listed_strikes_around_the_level(index, level, sigma):
    ladder = ladder_around(SHIPPED_INSTRUMENTS.strike_step(index), level, sigma)
    assert len(ladder) <= 20
    assert list(ladder) == sorted(ladder)
    step = 5.0 if index == Index.SPX else 10.0
    for distance in ladder:
        strike = level * exp(distance) + 0.005
        assert abs(distance) <= 2.9 * sigma + 0.02 / level
        assert strike / step == pytest.approx(round(strike / step), abs=1e-6)


def test_the_scale_is_judged_where_it_has_moved_most():
    layer = Recalibration.fresh((1.0,) * BUCKETS)
    assert scale_reading((layer,)).standing is Standing.LEARNING
    for _ in range(400):
        layer.learn(2, 2.25, 0.5)
        layer.learn(3, 1.0, 0.5)
    found = scale_reading((layer,))
    assert found.value == pytest.approx((950 / 450) ** 0.5)
    assert found.standing is Standing.ALERT


def test_evidence_alerts_from_the_first_fixing_and_stands_for_the_session():
    monitor = RecordMonitor()
    assert ForecastWatch().readings(monitor, PLAIN)[0].standing is Standing.OK
    monitor.learn((4 * THRESHOLD, 0.0, 0.0))
    monitor.learn((1e-9,) * 3)
    reading = ForecastWatch().readings(monitor, PLAIN)[0]
    assert (reading.monitor, reading.n, reading.standing) == ("evidence", 2, Standing.ALERT)


def test_a_snapshot_is_plain_and_comes_back_exactly():
    watch = fed(ONE, Scored(4.0, 2.0, -0.1, 0.97, 3.0, strikes=((0.2, True),)))
    watch.next_session()
    stored = json.loads(json.dumps(watch.snapshot()))
    again = ForecastWatch.restored(stored)
    assert again.tallies == watch.tallies
    again.learn(6, ONE)
    assert again.tallies != watch.tallies, "nothing is shared with the snapshot"


@pytest.mark.parametrize(
    ("group", "name", "broken"),
    [
        ("near", "weight", None),
        ("hour", "crps", nan),
        ("hour", "weight", -1.0),
        ("long", "pits", [0.0] * 19),
        ("long", "pits", 3.0),
        ("near", "inside90", True),
        ("near", "came", ["x"] * 10),
    ],
)
def test_a_broken_snapshot_is_refused(group, name, broken):
    document = fed(ONE).snapshot()
    document[group][name] = broken
    with pytest.raises(ValueError, match=name):
        ForecastWatch.restored(document)
    with pytest.raises(ValueError, match="no weight"):
        ForecastWatch.restored({})


def test_the_updater_feeds_the_record_and_shows_it():
    days = [session(day) for day in range(3)]
    one = model(*days)
    for day in range(2):
        feed(one, walk(390, step_s=20, day=day, seed=day + 1))
    feed(one, walk(5, step_s=20, day=2))
    by = {(r.monitor, r.group): r for r in one.health(days[2].open_ns).readings}
    # Two days: seven fixings less the one at 10:00 whose 45 and 55 minute marks lie before the open.
    kept = 2.0 ** (-1.0 / HALF_LIFE_SESSIONS)
    assert by["crps_ratio", "near"].n == pytest.approx(21 * (kept + kept**2))
    assert by["crps_ratio", "hour"].n == pytest.approx(26 * (kept + kept**2))
    assert by["crps_ratio", "long"].n == pytest.approx(3 * (kept + kept**2))
    assert 0.8 < (by["crps_ratio", "near"].value or 0.0) < 1.2
    assert {name for name, _ in by} == {*LIMITS, "evidence", "scale_c"}
    line = log_fields(tuple(by.values()))
    assert line["failing"] == []
    assert "crps_ratio_near" in line


def test_readings_are_worked_out_once_per_change():
    watch = fed(ONE)
    monitor = RecordMonitor()
    assert watch.readings(monitor, PLAIN) is watch.readings(monitor, PLAIN)
    before = watch.readings(monitor, PLAIN)
    watch.learn(0, ONE)
    assert watch.readings(monitor, PLAIN) is not before
