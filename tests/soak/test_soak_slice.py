"""A slice of the soak for every run of the suite; `make soak HOURS=24` is the whole of it."""

import json

import pytest

from tests.soak.__main__ import CLOSES_MIN, DAYS, OPENS_MIN, main, slope_of, spans
from tests.soak.session import Sample

YOUNG_SLOPE_MB_PER_H = 90.0
"""A process of twenty minutes still fills its caches, and they pass within 6 s of the machine: the allocator's arenas
(1 MB a thread) and blocks that wait for the disk are 7 to 10 MB of it, 10 to 30 MB an hour by the machine. What this
bound catches is a queue that is not drained: 20 MB within the slice. Leaks are for `make soak`, over hours."""


def life(level, slope, hours=6.0, noise=0.0):
    return [Sample(h / 10, level + slope * h / 10 + noise * (-1) ** h) for h in range(round(hours * 10))]


@pytest.mark.parametrize("slope", [0.0, 0.9, -2.0, 13.0])
def test_the_slope_is_that_within_lives_whatever_their_levels(slope):
    lives = [life(200, slope, noise=3.0), life(150, slope), life(260, slope, hours=2.0)]
    assert slope_of(lives, warm_up_h=1.0) == pytest.approx(slope, abs=0.05)


def test_the_warm_up_does_not_count():
    steep = [Sample(h / 10, 100 + 50 * h / 10) for h in range(10)]
    assert slope_of([[*steep, *[Sample(1 + h / 10, 150) for h in range(50)]]], warm_up_h=1.0) == pytest.approx(0.0)
    assert slope_of([steep], warm_up_h=1.0) == 0.0


def test_twenty_four_hours_are_whole_sessions_and_a_rest():
    found = spans(24.0, OPENS_MIN)
    assert [span[1] for span in found] == list(DAYS[:4])
    assert found[0][3::2] == ("09:30", "16:10")
    minutes = [int(t[:2]) * 60 + int(t[3:]) for span in found for t in (span[3], span[5])]
    assert sum(minutes[1::2]) - sum(minutes[::2]) == 24 * 60
    assert max(minutes) == CLOSES_MIN


@pytest.mark.e2e
@pytest.mark.timeout(240)
def test_a_slice_under_faults_ends_in_order_and_stays_small(capsys):
    code = main(
        ["--hours", "0.35", "--from-minute", "880", "--warm-up", "0.12", "--fault-every", "0.02", "--slope-max",
         str(YOUNG_SLOPE_MB_PER_H), "--seed", "3"]
    )  # fmt: skip
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert line["broken"] == []
    assert code == 0, line
    assert line["orders"] > 20
    assert line["fills"] > 0
    assert sum(line["faults"].values()) >= 5
    assert 0 < line["journal_mb_max"] < 16
    assert line["rss_max_mb"] < 500
