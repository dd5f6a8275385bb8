"""What a year of minute bars costs in the harness, on one core: `score.walk` of every forecast of the table.

Against it, side by side, the least that has to be done with the same bars: one time-decayed EWMA update each. The year
is made up (252 days of Gaussian minutes on the real calendar); 60 days before it are fed too, as for a score.
"""

import tempfile
from datetime import date
from pathlib import Path
from time import process_time

from benchmarks.bench_calibration import Ewma
from kalshi_daemon.bars.sessions import Sample, read_sample
from kalshi_daemon.domain.index import Index
from kalshi_daemon.research.score import walk
from tests.research.synthetic import write_days

BEFORE, FIRST, LAST = date(2023, 10, 3), date(2024, 1, 2), date(2024, 12, 31)
GOAL_S = 60.0


def bare(sample: Sample) -> Ewma:
    state = Ewma()
    state.at_ns = sample.days[0].session.open_ns
    for day in sample.days:
        for bar in day.bars(sample.index):
            state.update(bar.end_ns, bar.close)
    return state


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        sample = read_sample(write_days(Path(folder) / "NQ_made_up.parquet", BEFORE, LAST), Index.NDX)
    began = process_time()
    records = walk(sample, FIRST, LAST)
    walked_s = process_time() - began
    began = process_time()
    bare(sample)
    bare_s = process_time() - began
    forecasts = sum(len(record.x) for record in records.values())
    bars = sum(len(day.start_s) for day in sample.days)
    print(f"a year in the harness: {walked_s:.1f} s, goal {GOAL_S:g} s ({bars} bars, {forecasts} forecasts scored)")
    print(f"harness / bare EWMA over the same bars: {walked_s / bare_s:.0f} ({bare_s:.2f} s)")


if __name__ == "__main__":
    main()
