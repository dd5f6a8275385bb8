"""The shipped model against real minutes it was not fitted on."""

from datetime import date

import pytest

from tests.calibration.walk_forward import Days, nasdaq_bars, nasdaq_model, walk
from tests.support.data import data_dir


@pytest.mark.data
def test_half_a_year_of_nasdaq_minutes_is_covered_as_promised():
    folder = data_dir()
    if folder is None:
        pytest.skip("no market data (KALSHI_DAEMON_DATA)")
    days = Days(folder)
    bars = nasdaq_bars(folder, date(2023, 11, 1), date(2024, 8, 31))
    scores = walk(nasdaq_model(days), days, bars, "2024-02-01")
    for horizon in (55, 30, 10):
        score = scores[f"hour {horizon}"]
        assert len(score.u) > 850
        assert 0.86 <= score.coverage(0.9) <= 0.94
        assert score.coverage(0.99) >= 0.97
        assert score.ks < 0.05
        assert score.ratio < 0.98, "narrower than the flat volatility of the last sixty days"
