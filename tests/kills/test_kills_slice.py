"""A slice of `make kills KILLS=200` for every run of the suite."""

import pytest

from tests.kills.__main__ import kept, play, result

KILLS = 3


@pytest.mark.e2e
@pytest.mark.timeout(240)
def test_kills_at_random_moments_lose_double_and_leave_nothing(tmp_path):
    tallies = play(KILLS, first_seed=1, workers=1, folder=tmp_path)
    figures = result(tallies, 0.0)
    assert kept(figures, KILLS), (figures, [(tally.problems, tally.verdict) for tally in tallies])
    assert figures["orders"] >= 4
    assert figures["resting_at_kills"] > 0, "there was something to lose"
