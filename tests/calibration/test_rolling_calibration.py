import math
import tracemalloc

import numpy as np
import pytest

from kalshi_daemon.calibration.agenda import agenda_of, fixings
from kalshi_daemon.calibration.density import family_of
from kalshi_daemon.calibration.recalibration import BUCKETS
from kalshi_daemon.calibration.session_curve import VarianceEvent, decaying
from kalshi_daemon.calibration.updater import RollingCalibration
from kalshi_daemon.domain.forecast import Standing
from kalshi_daemon.domain.index import Bar, Channel, Index, Tick
from kalshi_daemon.ground.units import HOUR, MINUTE, Nanos
from kalshi_daemon.settings.model import CalibrationSettings
from kalshi_daemon.state import CalibrationView
from tests.calibration.support import (
    FIRST_CONSTANTS,
    PLAIN,
    RESIDUALS,
    at,
    bar,
    calendar,
    day_of,
    distribution_at,
    feed,
    judged,
    known,
    memory,
    model,
    path_of,
    session,
    tick,
    walk,
)

TEN, ELEVEN, CLOSE = at(30), at(90), at(390)


def test_it_is_what_readers_expect():
    view: CalibrationView = model()
    assert view.forecast(at(10), TEN) is None
    assert view.minutes() is None


def test_the_minutes_of_the_day_are_its_prices_at_their_ends():
    one = model()
    seen = walk(120)
    for item in seen:
        one.on_tick(item)
    minutes = one.minutes()
    assert minutes is not None
    assert minutes.open_ns == at(0)
    known = np.flatnonzero(~np.isnan(minutes.prices))
    assert len(known) > 1
    for minute in known[1:]:
        before = [item.value for item in seen if item.event_ns <= at(int(minute))]
        assert minutes.prices[minute] == before[-1]


# Golden case: three minutes from a cold start, every number recomputed with plain arithmetic.


def test_golden_three_minutes_from_a_cold_start():
    one = model(constants=FIRST_CONSTANTS)
    feed(one, [tick(0, 6_800.0), tick(0.5, 6_803.0), tick(1, 6_801.0), tick(1.5, 6_799.0), tick(2, 6_800.0)])
    feed(one, [tick(2.5, 6_804.0), tick(3, 6_803.0)])
    rates = day_of(one).curve.rates
    v0 = 0.01**2 / 390
    minutes = [(6_803, 6_800, 6_800, 6_801), (6_801, 6_799, 6_801, 6_800), (6_804, 6_800, 6_800, 6_803)]
    squares_sum = ranges_sum = weight = 0.0
    prior, rho = 200.0, 1.0
    levels = [[3 * v0, 3.0, 2 ** (-1 / half_life)] for half_life in (3, 10, 30, 90, 390, 1950, 8580, 90)]
    for m, (high, low, first, last) in enumerate(minutes):
        squared = math.log(last / first) ** 2 / rates[m]
        ranged = math.log(high / low) ** 2 / (4 * math.log(2)) / rates[m]
        for k, state in enumerate(levels):
            state[0] = state[2] * state[0] + (squared if k == 7 else rho * ranged)
            state[1] = state[2] * state[1] + 1
        # The third minute is still running: the ratio has learnt from two.
        kept = 2 ** (-1 / 1950)
        squares_sum, ranges_sum = kept * squares_sum + squared, kept * ranges_sum + ranged
        weight, prior = kept * weight + 1, kept * prior
        pseudo = prior * squares_sum / weight
        rho = min(1.5, max(0.7, (squares_sum + pseudo) / (ranges_sum + pseudo)))
    v = [num / den for num, den, _ in levels]
    logs = [math.log(one_v) for one_v in v]
    daily_sd = math.sqrt(390 * v[5])
    moved = math.log(6_803 / 6_800) / daily_sd
    f = [
        logs[0] - logs[2],
        logs[1] - logs[2],
        logs[2] - logs[3],
        logs[3] - logs[4],
        logs[4] - logs[5],
        logs[5] - logs[6],
    ]
    f += [0.0, 0.0, moved, 0.0, 3 / 390 - 0.5, logs[7] - logs[3]]
    b = [0.07038, 0.45097, 0.72132, 0.25306, 0.12374, -0.11221, 0.02032, -0.08835, -0.00113, -0.33978, 0.05811, 0.30462]
    c = [-0.00983, -0.05148, -0.0818, 0.0066, -0.0186, 0.0117, -0.00036, -0.00831, 0.0003, -0.00677, -0.07639, -0.00772]
    lh = math.log(27 / 15)
    exponent = -0.03192 + 0.03208 * lh - 0.00903 * lh * lh
    exponent += sum(x * (y + z * lh) for x, y, z in zip(f, b, c, strict=True))
    anchor = math.exp(0.5 * logs[3] + 0.3 * logs[4] + 0.2 * logs[5])
    variance = anchor * sum(rates[3:30]) * math.exp(exponent)
    distribution = distribution_at(one, 3, TEN)
    assert distribution.sigma == pytest.approx(math.sqrt(variance), rel=1e-9)
    assert distribution.level == 6_803.0
    assert distribution.quantiles(np.array([0.3]))[0] == pytest.approx(
        6_803
        * math.exp(math.sqrt(variance) * family_of(FIRST_CONSTANTS.residual).at(27.0).quantiles(np.array([0.3]))[0])
    )


def test_a_cold_start_is_sane():
    one = feed(model(settings=CalibrationSettings()), walk(10))
    distribution = distribution_at(one, 10, TEN)
    # The walk is as loud at the open as at noon, the curve expects five times that: a quiet day of some 0.6 %.
    assert 0.0015 < distribution.sigma < 0.003
    assert 0.004 < distribution_at(one, 10, CLOSE).sigma < 0.008
    assert distribution.calibration_error == pytest.approx(math.sqrt(0.25 / 401))


# Which target, which instant.


@pytest.mark.parametrize(
    ("now", "target"),
    [(at(60), at(60)), (at(60), at(59)), (at(60), at(391)), (at(-1), TEN), (at(400), at(405)), (CLOSE, at(391))],
)
def test_there_is_no_distribution_for_a_target_that_is_not_ahead_today(now, target):
    one = feed(model(), walk(60))
    assert one.forecast(now, target) is None


def test_there_is_no_distribution_after_the_close_or_before_the_next_open():
    one = feed(model(session(0), session(1)), walk(390, step_s=30))
    assert one.forecast(at(420), at(30, 1)) is None
    assert one.forecast(at(-10, 1), at(30, 1)) is None


def test_any_second_and_any_target_gives_a_distribution():
    one = feed(model(), walk(389.9, step_s=20))
    for target in (at(389.95), CLOSE):
        assert distribution_at(one, 389.9, target).sigma > 0


def test_the_close_has_its_own_record_and_the_same_shape():
    one = feed(model(), walk(380, step_s=20))
    close, before = distribution_at(one, 380, CLOSE), distribution_at(one, 380, Nanos(CLOSE - 1))
    assert close.residual.shape == RESIDUALS.at(10.0).shape
    assert before.residual.shape.nu == pytest.approx(RESIDUALS.at(10.0).shape.nu)
    layers = [one._outlook(day_of(one), path_of(one), at(380), target).layer for target in (CLOSE, Nanos(CLOSE - 1))]
    assert layers[0] is one.close_layer
    assert layers[1] is one.hour_layer
    raw = [one._outlook(day_of(one), path_of(one), at(380), target).variance for target in (CLOSE, Nanos(CLOSE - 1))]
    assert raw[0] == pytest.approx(raw[1], rel=1e-6)


def test_an_old_price_makes_the_distribution_wider():
    one = feed(model(), walk(60))
    fresh, stale = distribution_at(one, 60, ELEVEN), distribution_at(one, 80, ELEVEN)
    assert stale.sigma == fresh.sigma, "both run from the last price at minute 60"
    renewed = feed(model(), [*walk(60), tick(80, fresh.level)])
    assert distribution_at(renewed, 80, ELEVEN).sigma < 0.8 * stale.sigma


def test_a_reader_whose_clock_is_behind_gets_a_longer_horizon():
    one = feed(model(), walk(60))
    assert distribution_at(one, 59, ELEVEN).sigma > distribution_at(one, 60, ELEVEN).sigma


# Ticks in.


def test_the_running_minute_equals_the_finished_one():
    ticks = walk(60)
    one = feed(model(), ticks)
    running = one.variance.levels(one._observation(day_of(one), known(path_of(one).running())))
    one.on_tick(tick(60 + 1e-6, ticks[-1].value))
    assert one.variance.levels() == pytest.approx(running, rel=1e-12)


def test_asking_changes_nothing():
    asked, silent = model(), model()
    for item in walk(120):
        asked.on_tick(item)
        silent.on_tick(item)
        asked.forecast(item.event_ns, CLOSE)
        asked.health(item.event_ns)
        asked.minutes()
    assert memory(asked) == memory(silent)


def test_late_repeated_and_impossible_values_change_nothing():
    ticks = walk(30)
    clean, dirty = model(), model()
    for n, item in enumerate(ticks):
        clean.on_tick(item)
        dirty.on_tick(item)
        dirty.on_tick(item)
        dirty.on_tick(Tick(Index.SPX, Channel.VALUE, 7_000.0, Nanos(item.event_ns - 1), item.recv_ns))
        if n > 0:
            dirty.on_tick(ticks[n - 1])
        for nonsense in (0.0, -5.0, math.nan, math.inf):
            dirty.on_tick(Tick(Index.SPX, Channel.VALUE, nonsense, Nanos(item.event_ns + 1), item.recv_ns))
    assert memory(dirty) == memory(clean)
    assert dirty.refused > clean.refused == 0


def test_a_misprint_is_not_believed_but_a_crash_is():
    (one, judge), clean = judged(model(), walk(30)), feed(model(), walk(30))
    level = path_of(one).last
    judged(one, [tick(30.1, level * 1.5), tick(30.15, level * 0.5), tick(30.2, level)], judge)
    clean.on_tick(tick(30.2, level))
    assert memory(one) == memory(clean)
    judged(one, [tick(30.3, level * 0.9), tick(30.32, level * 0.9)], judge)
    assert path_of(one).last == level
    judged(one, [tick(30.34 + n / 60, level * 0.9) for n in range(30)], judge)
    assert path_of(one).last == level * 0.9


def test_golden_gap():
    one = feed(model(), [tick(0, 6_800.0), tick(1, 6_800.0), tick(1.5, 6_801.0)])
    one.on_tick(tick(21.5, 6_820.0))
    rates = day_of(one).curve.rates
    v0 = 0.01**2 / 390
    lam = 2 ** (-1 / 90)
    rho_after_flat = 1.0
    ranged = rho_after_flat * math.log(6_801 / 6_800) ** 2 / (4 * math.log(2)) / (0.5 * rates[1])
    num, den = lam * 3 * v0, lam * 3 + 1
    half = (1 - lam**0.5) / (1 - lam)
    num, den = lam**0.5 * num + half * ranged, lam**0.5 * den + half
    mass = 0.5 * rates[1] + sum(rates[2:21]) + 0.5 * rates[21]
    x = (math.log(6_820 / 6_801) ** 2 / mass + 19 * num / den) / 20
    twenty = (1 - lam**20) / (1 - lam)
    num, den = lam**20 * num + twenty * x, lam**20 * den + twenty
    assert one.variance.levels()[3] == pytest.approx(num / den, rel=1e-9)


def test_bars_after_the_ticks_tell_nothing_twice():
    ticks = walk(60, step_s=10)
    plain, with_bars = model(), model()
    rows: dict[int, list[float]] = {}
    for item in ticks:
        plain.on_tick(item)
        with_bars.on_tick(item)
        # (m, m + 1]: the bar of a minute arrives two seconds late, after the next minute's first tick.
        minute = max(0, -(-(item.event_ns - at(0)) // MINUTE) - 1)
        rows.setdefault(minute, []).append(item.value)
        seen = rows.get(minute - 1)
        if seen and len(rows[minute]) == 1:
            with_bars.on_bar(bar(minute - 1, seen[0], max(seen), min(seen), seen[-1]))
    assert memory(with_bars) == memory(plain)


def test_bars_alone_are_enough():
    rng = np.random.default_rng(4)
    from_bars, from_ticks = model(), model()
    level = 6_800.0
    for m in range(120):
        first, last = level, level * math.exp(rng.normal(0, 4e-4))
        high, low = max(first, last) * 1.0002, min(first, last) * 0.9998
        from_bars.on_bar(bar(m, first, high, low, last))
        inside = [(0.25, high), (0.5, low), (1.0, last)] if m else [(0.0, first), (0.25, high), (0.5, low), (1.0, last)]
        feed(from_ticks, [tick(m + part, value) for part, value in inside])
        level = last
    assert from_bars.variance.num == pytest.approx(from_ticks.variance.num, rel=1e-12)
    assert distribution_at(from_bars, 120, CLOSE).sigma == pytest.approx(
        distribution_at(from_ticks, 120, CLOSE).sigma, rel=1e-12
    )


def test_a_bar_bridges_what_the_ticks_missed():
    one = feed(model(), walk(10))
    level = path_of(one).last
    one.on_bar(bar(14, level * 1.001, level * 1.002, level, level * 1.0015))
    assert path_of(one).last == level * 1.0015
    assert path_of(one).last_ns == at(15)
    assert path_of(one).watched_so_far() == pytest.approx(11.0), "ten minutes of ticks and the bar's own minute"


def test_minute_bars_fed_in_order_close_a_gap_without_a_trace():
    ticks = walk(60, step_s=5)
    rows = [[item.value for item in ticks if at(m) < item.event_ns <= at(m + 1)] for m in range(60)]
    whole, healed = feed(model(), ticks), model()
    feed(healed, [item for item in ticks if item.event_ns <= at(20.4)])
    for m in range(20, 41):
        opened = rows[m - 1][-1]
        healed.on_bar(bar(m, opened, max(opened, *rows[m]), min(opened, *rows[m]), rows[m][-1]))
    feed(healed, [item for item in ticks if item.event_ns > at(41)])
    assert path_of(healed).watched_so_far() == pytest.approx(60.0)
    assert healed.variance.num == pytest.approx(whole.variance.num, rel=1e-12)
    assert path_of(healed).squares == pytest.approx(path_of(whole).squares, nan_ok=True)
    assert distribution_at(healed, 60, ELEVEN).sigma == pytest.approx(
        distribution_at(whole, 60, ELEVEN).sigma, rel=1e-12
    )


# Bars of several minutes.


def long_bar(minute, first, high, low, last, minutes=5, day=0):
    ends = at(minute + minutes, day)
    return Bar(Index.SPX, Channel.MINUTE, first, high, low, last, at(minute, day), ends, ends)


def test_golden_five_minute_bars():
    one = model()
    one.on_bar(long_bar(0, 6_800.0, 6_812.0, 6_797.0, 6_805.0))
    one.on_bar(long_bar(5, 6_805.5, 6_809.0, 6_801.0, 6_803.0))
    rates = day_of(one).curve.rates
    lam, v0, rho = 2 ** (-1 / 30), 0.01**2 / 390, 1.0
    num, den, squares, ranges, weight, prior = 3 * v0, 3.0, 0.0, 0.0, 0.0, 200.0
    for start, high, low, first, last in ((0, 6_812, 6_797, 6_800, 6_805), (5, 6_809, 6_801, 6_805, 6_803)):
        mass = sum(rates[start : start + 5])
        ranged = math.log(high / low) ** 2 / (4 * math.log(2)) / mass
        squared = math.log(last / first) ** 2 / mass
        gained = (1 - lam**5) / (1 - lam)
        num, den = lam**5 * num + gained * rho * ranged, lam**5 * den + gained
        kept = 2 ** (-5 / 1950)
        squares, ranges = kept * squares + 5 * squared, kept * ranges + 5 * ranged
        weight, prior = kept * weight + 5, kept * prior
        pseudo = prior * squares / weight
        rho = min(1.5, max(0.7, (squares + pseudo) / (ranges + pseudo)))
    assert one.variance.levels()[2] == pytest.approx(num / den, rel=1e-12)
    assert one.long_ratio.value == pytest.approx(rho, rel=1e-12)
    assert one.ratio.weight == 0.0, "the minutes' ratio has seen no minute"
    assert one.variance.den[7] == pytest.approx(one.variance.den[3], rel=1e-12)
    assert path_of(one).watched_so_far() == 10.0


def test_five_minute_bars_find_the_volatility_their_ends_alone_find_late():
    # Bridges between bar ends: prices return to where they started, only the range shows that anything moved.
    ranged, ends = model(), model()
    for m in range(0, 120, 5):
        ranged.on_bar(long_bar(m, 6_800.0, 6_820.0, 6_780.0, 6_800.0))
        ends.on_bar(long_bar(m, 6_800.0, 6_800.0, 6_800.0, 6_800.0))
    assert distribution_at(ranged, 120, at(150)).sigma > 3.0 * distribution_at(ends, 120, at(150)).sigma


def test_a_long_bar_that_does_not_continue_the_path_gives_its_close_only():
    ticks = walk(12)
    gap, barred = feed(model(), ticks), feed(model(), ticks)
    level = path_of(gap).last
    gap.on_tick(tick(15, level * 1.001))
    barred.on_bar(long_bar(10, level, level * 1.01, level * 0.99, level * 1.001))
    assert memory(barred) == memory(gap)
    barred.on_bar(long_bar(15, level * 1.001, level * 1.2, level, level * 1.002))
    gap.on_tick(tick(20, level * 1.002))
    assert memory(barred) == memory(gap), "a wild extreme is not believed"


def test_a_long_bar_after_a_pause_starts_where_it_says():
    one = feed(model(), walk(10))
    level = path_of(one).last
    one.on_bar(long_bar(20, level * 1.001, level * 1.002, level, level * 1.0015))
    assert path_of(one).watched_so_far() == pytest.approx(15.0), "ten minutes of ticks and the bar's own five"
    before = memory(one)
    one.on_bar(long_bar(20, level * 1.001, level * 1.002, level, level * 1.0015))
    assert memory(one) == before, "once"


def test_an_impossible_bar_is_refused():
    one = feed(model(), walk(10))
    before = memory(one)
    one.on_bar(bar(12, 6_800.0, math.nan, 6_790.0, 6_800.0))
    one.on_bar(bar(12, 6_800.0, 6_700.0, 6_790.0, 6_800.0))
    one.on_bar(bar(12, 6_800.0, 6_800.0, 0.0, 6_800.0))
    assert memory(one) == before


def test_a_bar_with_a_wild_extreme_keeps_its_close_only():
    one = feed(model(), walk(10))
    level = path_of(one).last
    one.on_bar(bar(10, level, level * 1.4, level, level * 1.0001))
    assert path_of(one).last == level * 1.0001
    assert path_of(one).high == level * 1.0001


# The opening and the end of the day.


def test_the_first_minute_belongs_to_the_night():
    one = model(settings=CalibrationSettings(settlement_basis_bp=0.0))
    feed(one, [tick(n / 60, 6_500.0 + n) for n in range(60)])
    assert one.forecast(at(0.99), TEN) is None
    assert not one.health(at(0.99)).ready
    one.on_tick(tick(1.01, 6_561.0))
    path = path_of(one)
    assert (path.first, path.first_ns) == (6_559.0, at(1))
    assert path.boundaries[1] == 6_559.0
    assert np.isnan(path.boundaries[0])
    assert distribution_at(one, 1.01, TEN).level == 6_561.0


def test_an_old_opening_price_is_not_the_price_of_09_31():
    one = model(settings=CalibrationSettings())
    feed(one, [tick(0.1, 6_500.0), tick(1.5, 6_560.0)])
    assert (path_of(one).first, path_of(one).first_ns) == (6_560.0, at(1.5))


def test_a_price_on_09_31_itself_opens_the_day():
    one = model(settings=CalibrationSettings())
    feed(one, [tick(0.9, 6_500.0), tick(1.0, 6_560.0)])
    assert (path_of(one).first, path_of(one).first_ns) == (6_560.0, at(1))


def test_ready_after_the_warm_up():
    one = model(settings=CalibrationSettings(ready_after_minutes=3.0))
    nothing = one.health(at(0))
    assert (nothing.ready, nothing.last_update_ns, nothing.minutes_seen) == (False, None, 0.0)
    feed(one, walk(3.9))
    assert not one.health(at(3.9)).ready
    feed(one, walk(0.5, start=4.0))
    health = one.health(at(4.5))
    assert health.ready
    assert health.minutes_seen == pytest.approx(3.5)
    assert health.last_update_ns == at(4.5)
    assert health.alarms == ()
    assert not one.health(at(400)).ready


def test_minutes_not_watched_do_not_make_it_ready():
    one = feed(model(), [tick(0, 6_800.0), tick(20, 6_801.0)])
    assert not one.health(at(20)).ready


def test_a_jump_is_an_alarm_for_twenty_seconds():
    one = feed(model(), walk(30, step_s=1))
    level = path_of(one).last
    one.on_tick(tick(30.02, level * 1.02))
    assert one.health(at(30.05)).alarms == ("jump",)
    assert one.health(at(30.5)).alarms == ()


def test_a_broken_record_is_an_alarm():
    one = feed(model(), walk(30))
    one.monitor.alarmed = True
    (evidence,) = (reading for reading in one.health(at(30)).readings if reading.monitor == "evidence")
    assert evidence.standing is Standing.ALERT


def test_the_night_teaches_the_gap_and_the_day_its_variance():
    one = feed(model(session(0), session(1), session(2)), walk(390, step_s=20))
    close = path_of(one).last
    squares = np.diff(np.log([*path_of(one).boundaries[:-1], close])) ** 2
    feed(one, walk(390, step_s=20, day=1, seed=2, level=close * 1.004))
    assert known(one.closing) == (at(390), close)
    first_gap = math.log(path_of(one).first / close)
    assert one.daily.gap_num / one.daily.gap_den == pytest.approx(first_gap**2)
    assert day_of(one).gap_feature == 0.0, "the first gap ever has nothing to be compared with"
    assert one.daily.variance_num / one.daily.variance_den == pytest.approx(squares.sum(), rel=1e-9)
    second_close = path_of(one).last
    feed(one, walk(5, step_s=20, day=2, seed=3, level=second_close * 0.99))
    gap = math.log(path_of(one).first / second_close)
    assert day_of(one).gap_feature == pytest.approx(math.log((gap**2 + 0.1 * first_gap**2) / (1.1 * first_gap**2)))


def test_a_day_that_broke_off_has_no_close_and_no_variance():
    one = feed(model(session(0), session(1)), walk(200, step_s=20))
    feed(one, walk(5, step_s=20, day=1))
    assert one.closing is None
    assert day_of(one).gap_feature == 0.0
    assert one.daily.gap_den == 0.0
    assert one.daily.variance_den == 0.0


def test_a_late_start_says_nothing_about_the_night():
    one = feed(model(session(0), session(1)), walk(390, step_s=20))
    feed(one, walk(5, step_s=20, day=1, start=10.0, level=7_000.0))
    assert one.daily.gap_den == 0.0


def test_a_close_of_last_week_is_not_last_nights():
    one = feed(model(session(0), session(5)), walk(390, step_s=20))
    feed(one, walk(5, step_s=20, day=5))
    assert one.closing is not None
    assert one.daily.gap_den == 0.0


def test_the_states_run_across_the_night():
    one = feed(model(session(0), session(1)), walk(390, step_s=20))
    one.on_tick(tick(0.0, 6_800.0, 1))
    before = one.variance.levels().tolist()
    one.on_tick(tick(0.5, 6_800.0, 1))
    assert one.variance.levels().tolist() == before


def test_a_whole_day_bends_the_curve_and_half_a_day_does_not():
    one = feed(model(session(0), session(1)), walk(390, step_s=20))
    base = one.base.copy()
    one.on_tick(tick(0.0, 6_800.0, 1))
    assert one.base.tolist() != base.tolist()
    assert one.base.mean() == pytest.approx(1.0)
    short = feed(model(session(0), session(1)), walk(300, step_s=20))
    short.on_tick(tick(0.0, 6_800.0, 1))
    assert short.base.tolist() == base.tolist()


def test_prices_outside_every_session_change_nothing():
    one = model(session(0), session(1))
    one.on_tick(tick(-20, 6_700.0))
    feed(one, walk(390, step_s=20))
    before = memory(one)
    feed(one, [tick(391 + n, 6_900.0) for n in range(5)])
    one.on_tick(tick(-60, 6_900.0, 1))
    one.on_tick(tick(700, 6_900.0, 1))
    after = memory(one)
    assert after[0] == before[0]
    assert after[-1] == before[-1]
    assert day_of(one).session.day == session(0).day


def test_a_day_without_a_valid_price_leaves_no_trace():
    one = feed(model(session(0), session(1), settings=CalibrationSettings()), [tick(0.5, 6_800.0)])
    assert one.forecast(at(30), ELEVEN) is None
    feed(one, walk(10, day=1))
    assert one.closing is None
    assert distribution_at(one, 10, at(30, 1), day=1).sigma > 0


def test_a_half_day_ends_at_13_00_and_is_widened():
    short = session(minutes=210)
    widened = CalibrationSettings(first_minute_excluded=False, settlement_basis_bp=0.0, half_day_widening=1.25)
    plain = CalibrationSettings(first_minute_excluded=False, settlement_basis_bp=0.0, half_day_widening=1.0)
    ticks = walk(200, step_s=20)
    one, other = feed(model(short, settings=widened), ticks), feed(model(short, settings=plain), ticks)
    assert distribution_at(one, 200, at(210)).sigma == pytest.approx(1.25 * distribution_at(other, 200, at(210)).sigma)
    assert one.forecast(at(200), at(270)) is None
    assert fixings(short) == (at(30), at(90), at(150), at(210))
    normal = feed(model(settings=plain), ticks)
    assert distribution_at(other, 200, at(210)).sigma > distribution_at(normal, 200, at(210)).sigma, (
        "the rise into the close moved here"
    )
    feed(one, walk(4, start=210.5))
    assert path_of(one).last_ns == at(200)


def test_an_event_ahead_widens_and_an_event_behind_is_not_mistaken_for_turbulence():
    release = (VarianceEvent(at(60), decaying(9.0, 10.0)),)
    ticks = walk(55, step_s=10)
    quiet, loud = feed(model(), ticks), feed(model(events=lambda _session: release), ticks)
    assert distribution_at(loud, 55, ELEVEN).sigma > 1.5 * distribution_at(quiet, 55, ELEVEN).sigma
    assert distribution_at(loud, 55, at(59)).sigma == pytest.approx(distribution_at(quiet, 55, at(59)).sigma)
    storm = [*ticks, *walk(30, seed=9, start=56, step_s=10)]
    quiet, loud = feed(model(), storm), feed(model(events=lambda _session: release), storm)
    assert loud.variance.levels()[1] < quiet.variance.levels()[1]


# The record of our own forecasts.


def test_fixings_and_marks_of_a_day():
    assert fixings(session()) == tuple(at(30 + 60 * n) for n in range(7))
    items = agenda_of(session(), at(0))
    assert len([item for item in items if item.bucket is None]) == 7
    assert len(items) == 7 + 7 * 7 + 3 - 2, "the open is too late for the 45 and 55 minute marks of 10:00"
    assert [item.at_ns for item in items] == sorted(item.at_ns for item in items)
    early = [(item.at_ns, item.target_ns) for item in items if item.target_ns - item.at_ns > HOUR]
    assert early == [(at(30), CLOSE), (at(150), CLOSE), (at(270), CLOSE)]
    assert agenda_of(session(), at(389)) == (items[-1],)


def test_every_fixing_scores_one_forecast_per_bucket():
    one = feed(model(session(0), session(1)), walk(390, step_s=10))
    assert one.hour_layer.scale_weight.tolist() == [6, 6, 6, 6, 6, 5, 5, 0, 0, 0]
    assert one.close_layer.scale_weight.tolist() == [0] * BUCKETS, "the last print may still come"
    one.on_tick(tick(390.01, 9_999.0))
    assert one.close_layer.scale_weight.tolist() == [1] * BUCKETS
    assert day_of(one).waiting == {}
    feed(one, walk(1, day=1))
    assert one.hour_layer.scale_weight[0] == pytest.approx(6 * 2 ** (-1 / 120))


def test_the_close_is_scored_next_morning_when_no_print_follows_it():
    one = feed(model(session(0), session(1)), walk(390, step_s=10))
    one.on_tick(tick(0.0, 6_800.0, 1))
    assert one.close_layer.scale_weight == pytest.approx([2 ** (-1 / 120)] * BUCKETS)


def test_golden_score():
    ticks = walk(91, step_s=10)
    one = feed(model(), [item for item in ticks if item.event_ns <= at(45)])
    distribution = distribution_at(one, 45, ELEVEN)
    raw = one._outlook(day_of(one), path_of(one), at(45), ELEVEN)
    feed(one, [item for item in ticks if item.event_ns > at(45)])
    fixing = next(item.value for item in ticks if item.event_ns == ELEVEN)
    z = math.log(fixing / distribution.level) / distribution.sigma
    layer = one.hour_layer
    assert layer.scale_weight[5] == 1.0
    assert layer.scale_sum[5] == pytest.approx(raw.residual.relative_square(z))
    pit = raw.residual.cdf(np.array([z]))[0]
    assert layer.histogram[5].tolist() == [1.0 if n == int(20 * pit) else 0.0 for n in range(20)]


def test_a_fixing_without_a_fresh_price_scores_nothing():
    ticks = [item for item in walk(100, step_s=5) if not at(89) < item.event_ns < at(91)]
    one = feed(model(), ticks)
    assert one.hour_layer.scale_weight.tolist() == [1, 1, 1, 1, 1, 0, 0, 0, 0, 0], "10:00 only"


def test_a_mark_without_a_fresh_price_is_not_taken():
    ticks = [item for item in walk(91, step_s=5) if not at(87) < item.event_ns < at(88.5)]
    one = feed(model(), ticks)
    assert one.hour_layer.scale_weight.tolist() == [1, 2, 2, 2, 2, 1, 1, 0, 0, 0]


def test_what_was_learnt_changes_the_next_distribution():
    one = feed(model(), walk(60))
    before = distribution_at(one, 60, ELEVEN)
    for _ in range(200):
        one.hour_layer.learn(4, 4.0, 0.97)
    after = distribution_at(one, 60, ELEVEN)
    assert after.sigma > 1.4 * before.sigma
    assert after.cdf(np.array([after.level]))[0] < before.cdf(np.array([before.level]))[0]
    assert after.calibration_error < before.calibration_error
    close = distribution_at(one, 60, CLOSE)
    assert close.pit_map.apply(np.array([0.5]))[0] == pytest.approx(0.5), "closes keep a record of their own"


def test_the_basis_is_noise_of_its_own():
    ticks = walk(29.99, step_s=1)
    settings = CalibrationSettings(first_minute_excluded=False, settlement_basis_bp=0.5)
    with_basis, without = feed(model(settings=settings), ticks), feed(model(), ticks)
    target = at(30)
    sigma = math.hypot(distribution_at(without, 29.99, target).sigma, 0.5e-4)
    assert distribution_at(with_basis, 29.99, target).sigma == pytest.approx(sigma, rel=1e-9)
    assert sigma > 0.5e-4


# Bounds.


def test_no_look_ahead_bit_for_bit():
    ticks = walk(120, step_s=5)
    split = next(n for n, item in enumerate(ticks) if item.event_ns > at(75.3))
    grid = np.linspace(0.001, 0.999, 99)
    distributions = []
    for factor in (1.0, 1.02):
        one = feed(model(), ticks[:split])
        distribution = distribution_at(one, 75.4, ELEVEN)
        feed(one, [Tick(t.index, t.channel, t.value * factor, t.event_ns, t.recv_ns) for t in ticks[split:]])
        distributions.append((distribution.sigma, distribution.level, distribution.quantiles(grid).tolist()))
    assert distributions[0] == distributions[1]


def test_the_record_does_not_look_ahead_either():
    ticks = walk(89.5, step_s=5)
    taken = []
    for level in (6_000.0, 6_800.0, 7_100.0):
        one = feed(model(), [item for item in ticks if item.event_ns <= at(80)])
        feed(one, [tick(80.01, level), tick(80.02, level), tick(80.03, level)])
        waiting = {item.bucket: item for item in day_of(one).waiting[ELEVEN]}
        taken.append((waiting[2].level, waiting[2].model.variance))
    assert taken[0] == taken[1] == taken[2]


def test_memory_does_not_grow_with_ticks():
    ticks = walk(150, step_s=1)
    one = feed(model(), ticks[:6_000])
    tracemalloc.start()
    first = tracemalloc.get_traced_memory()[0]
    for item in ticks[6_000:]:
        one.on_tick(item)
        one.forecast(item.event_ns, CLOSE)
    grown = tracemalloc.get_traced_memory()[0] - first
    tracemalloc.stop()
    assert grown < 40_000, "the marks of two fixings, nothing per tick"


def test_memory_does_not_grow_with_days():
    one = model(*(session(day) for day in range(6)))
    sizes = []
    for day in range(6):
        feed(one, walk(390, step_s=30, day=day, seed=day))
        sizes.append((len(day_of(one).agenda), sum(map(len, day_of(one).waiting.values())), one.variance.num.shape))
    assert sizes[0] == sizes[-1]


def test_constant_volatility_is_found():
    # Gaussian minutes with the curve's own shape: the distribution's sd must be the true one within a few per cent.
    days = 12
    one = model(*(session(day) for day in range(days)))
    rng = np.random.default_rng(5)
    level, ratios = 6_800.0, []
    for day in range(days):
        rates = None
        for m in range(390):
            rates = (
                day_of(one).curve.rates
                if one.today is not None and one.today.session.day == session(day).day
                else rates
            )
            rate = 1.0 if rates is None else rates[m]
            steps = np.cumsum(rng.normal(0.0, 0.008 * math.sqrt(rate / 390 / 60), 60))
            prices = level * np.exp(steps)
            one.on_bar(bar(m, level, max(level, prices.max()), min(level, prices.min()), float(prices[-1]), day))
            level = float(prices[-1])
            if day >= 4 and m in {59, 119, 239}:
                distribution = distribution_at(one, m + 1, at(m + 31, day), day)
                truth = 0.008 * math.sqrt(sum(day_of(one).curve.rates[m + 1 : m + 31]) / 390)
                ratios.append(distribution.sigma / truth)
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.06)
    assert np.std(ratios) < 0.12


def test_a_prior_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match="scale prior"):
        RollingCalibration(Index.SPX, PLAIN, calendar(session()), scale_prior=(1.0,))


@pytest.mark.parametrize("wrong", [(1.5, 0.5, 1.7), (4.0, 0.1, 0.4), (1.5, 1.55, 0.001)])
def test_far_prices_that_disagree_confirm_nothing(wrong):
    (one, judge), clean = judged(model(), walk(30)), feed(model(), walk(30))
    level = path_of(one).last
    judged(one, [tick(30.1 + n / 60, level * factor) for n, factor in enumerate(wrong)], judge)
    judged(one, [tick(30.3, level)], judge)
    clean.on_tick(tick(30.3, level))
    assert memory(one) == memory(clean)


def test_the_first_price_of_a_day_is_held_against_the_last_close():
    (one, judge), clean = judged(model(session(), session(1)), walk(390)), feed(model(session(), session(1)), walk(390))
    level = path_of(one).last
    judged(one, [tick(0.1, level * 3.6, day=1)], judge)
    assert day_of(one).session.day == session().day
    true = [tick(0.2 + n / 60, level * (1 + n / 10_000), day=1) for n in range(4)]
    judged(one, true, judge)
    feed(clean, true)
    assert memory(one) == memory(clean)


def test_an_open_far_from_the_last_close_is_believed_when_it_goes_on_saying_so():
    one, judge = judged(model(session(), session(1)), walk(390))
    level = path_of(one).last
    judged(one, [tick(n / 60, level * (0.93 + n / 10_000), day=1) for n in range(3)], judge)
    assert path_of(one).first == pytest.approx(level * 0.93)


def test_what_was_judged_is_not_judged_again():
    """Two judges with limits of their own would leave the model behind what is quoted on."""
    one = feed(model(), walk(30))
    level = path_of(one).last
    one.on_tick(tick(30.1, level * 0.93))
    assert path_of(one).last == level * 0.93
