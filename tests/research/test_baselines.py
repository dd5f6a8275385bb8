"""The fitted: made of the past alone, and each what it says it is."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from kalshi_daemon.bars.sessions import read_sample
from kalshi_daemon.domain.index import Index
from kalshi_daemon.research import baselines
from tests.research.synthetic import write_days


@pytest.fixture(scope="module")
def days(tmp_path_factory):
    path = write_days(
        tmp_path_factory.mktemp("bars") / "I_SPX_x.parquet", date(2024, 1, 2), date(2024, 8, 30), seconds=300
    )
    return read_sample(path, Index.SPX).days


@pytest.fixture(scope="module")
def fitted(days):
    return baselines.baselines_of(days)


def marks(fitted, start, end):
    rows = np.arange(len(fitted.flat))
    return rows, np.full_like(rows, start), np.full_like(rows, end)


def test_flat_is_the_mean_of_sixty_whole_days(days, fitted):
    assert np.isnan(fitted.flat[:60]).all()
    row = 100
    before = [n for n in range(row) if days[n].slots == 78][-60:]
    daily = [float(np.sum(np.diff(np.log(days[n].prices())) ** 2)) for n in before]
    assert fitted.flat[row] == pytest.approx(np.mean(daily) / 78)


def test_flat_knows_the_true_volatility_of_a_gaussian_walk(fitted):
    rows, start, end = marks(fitted, 6, 17)
    sigma = fitted.flat_sigma(rows, start, end)
    assert np.nanmean(sigma) == pytest.approx(0.01 * np.sqrt(11 / 78), rel=0.05)


def test_half_days_do_not_count_as_days(days, fitted):
    short = [row for row, day in enumerate(days) if day.session.half_day]
    assert [days[row].session.day for row in short] == ["2024-07-03"]
    assert not fitted.grid.whole[short].any()
    assert np.isnan(fitted.grid.price[short[0], days[short[0]].slots + 1 :]).all()


def test_the_curve_is_flat_at_first_then_of_the_months_before(days, fitted):
    curve = np.diff(fitted.masses, axis=1)
    january = [row for row, day in enumerate(days) if day.session.day < "2024-02"]
    assert np.all(curve[january] == 1.0)
    july = [row for row, day in enumerate(days) if day.session.day.startswith("2024-07")]
    assert np.all(curve[july] == curve[july[0]])
    assert curve[july[0]].mean() == pytest.approx(1.0)
    assert np.ptp(curve[july[0]]) > 0.05


def test_a_state_is_the_weighted_mean_of_what_came_before(days):
    grid = baselines.grid_of(days[:2])
    found = baselines.states(grid, np.ones_like(grid.squares), 30.0)
    kept = 2.0 ** (-5.0 / 30.0)
    num, den = 0.6 * 0.01**2 / 78, 0.6
    for value in grid.squares[0, :3]:
        num, den = kept * num + value, kept * den + 1.0
    assert found[0, 3] == pytest.approx(num / den)
    assert found[1, 0] == found[0, -1]


def test_missing_bars_carry_the_price(days):
    day = days[0]
    gap = np.r_[0:10, 12:78]
    holed = replace(day, **{name: getattr(day, name)[gap] for name in ("start_s", "open", "high", "low", "close")})
    price = baselines.grid_of([holed]).price[0]
    assert price[11] == price[12] == price[10]
    late = replace(day, **{name: getattr(day, name)[3:] for name in ("start_s", "open", "high", "low", "close")})
    grid = baselines.grid_of([late])
    assert np.isnan(grid.price[0, :4]).all()
    assert not grid.whole[0], "without its opening"


def test_the_half_life_is_chosen_from_months_before(fitted):
    rows, start, end = marks(fitted, 12, 23)
    keep = np.isfinite(fitted.grid.price[rows, 23])
    rows, start, end = rows[keep], start[keep], end[keep]
    sigma = fitted.tuned_sigma(rows, start, end)
    middle = np.sqrt(fitted.levels[2][rows, start] * (fitted.masses[rows, end] - fitted.masses[rows, start]))
    assert np.all(sigma[:100] == middle[:100]), "too little seen to choose"
    longest = np.sqrt(fitted.levels[5][rows, start] * (fitted.masses[rows, end] - fitted.masses[rows, start]))
    assert np.all(sigma[-20:] == longest[-20:]), "constant volatility is best known by the longest memory"


def test_later_bars_change_no_earlier_baseline(days):
    """The last month doubled in volatility leaves everything before it as it was, bit for bit."""
    cut = next(row for row, day in enumerate(days) if day.session.day >= "2024-08")
    changed = []
    for row, day in enumerate(days):
        loud = day.close * np.where(np.arange(len(day.close)) % 2, 1.01, 1.0)
        changed.append(replace(day, close=loud) if row >= cut else day)
    one, other = baselines.baselines_of(days), baselines.baselines_of(changed)
    rows, start, end = marks(one, 12, 23)
    before = rows < cut
    assert np.array_equal(one.flat[: cut + 1], other.flat[: cut + 1], equal_nan=True)
    assert np.array_equal(
        one.tuned_sigma(rows, start, end)[before], other.tuned_sigma(rows, start, end)[before], equal_nan=True
    )
    assert not np.array_equal(one.levels[0][cut:], other.levels[0][cut:])
