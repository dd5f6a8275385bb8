"""Walk forward over real minute bars: every forecast is made from the bars before it and scored at its fixing.

`python -m tests.calibration.walk_forward FIRST LAST` (dates) prints the table for the Nasdaq-100 future.
"""

import csv
import sys
from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from math import log, pi, sqrt
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy.special import ndtr

from kalshi_daemon.calibration.predictive import PredictiveLaw
from kalshi_daemon.calibration.session_curve import fomc_event
from kalshi_daemon.calibration.updater import RollingCalibration
from kalshi_daemon.domain.index import Bar, Channel, Index
from kalshi_daemon.domain.window import Session
from kalshi_daemon.settings import CalibrationSettings
from kalshi_daemon.units import HOUR, MINUTE, SECOND, Nanos
from tests.support.data import data_dir

HOUR_HORIZONS = (55, 45, 30, 15, 10, 5, 2)
CLOSE_HORIZONS = (360, 240, 120, 55, 30, 10, 5, 2)
NEW_YORK = ZoneInfo("America/New_York")
LEVELS = (np.arange(200) + 0.5) / 200
FLAT_DAYS = 60
FUTURE_SCALE_PRIOR = (1.0,) * 7


def eastern(day: date, hour: int, minute: int) -> Nanos:
    return Nanos(int(datetime(day.year, day.month, day.day, hour, minute, tzinfo=NEW_YORK).timestamp()) * SECOND)


@dataclass
class Days:
    """The calendar of the data folder."""

    folder: Path
    holidays: set[str] = field(init=False)
    early: set[str] = field(init=False)
    fomc: set[str] = field(init=False)

    def __post_init__(self):
        def column(name, keep=lambda row: True):
            with (self.folder / "calendar" / name).open() as file:
                return {row["date"] for row in csv.DictReader(file) if keep(row)}

        self.holidays = column("nyse_full_holidays_2008_2027.csv")
        self.early = column("nyse_early_closes_2008_2027.csv")
        self.fomc = column("us_macro_releases_2021_2026.csv", lambda row: row["event"] == "FOMC")

    def session(self, day: date) -> Session | None:
        text = day.isoformat()
        if day.weekday() >= 5 or text in self.holidays:
            return None
        half = text in self.early
        return Session(text, eastern(day, 9, 30), eastern(day, 13 if half else 16, 0), half)


def bars_of(path: Path, first: date, last: date) -> dict[str, list[Bar]]:
    """Regular-hours bars by New York date, as minute bars of NDX."""
    table = pq.read_table(path)
    scale = int(table.schema.metadata[b"price_scale"])
    low, high = eastern(first, 0, 0) // SECOND, eastern(last + timedelta(days=1), 0, 0) // SECOND
    table = table.filter(pc.and_(pc.greater_equal(table["ts"], low), pc.less(table["ts"], high)))
    found = defaultdict(list)
    columns = [table[name].to_pylist() for name in ("ts", "open", "high", "low", "close")]
    for ts, o, h, low_, c in zip(*columns, strict=True):
        at = datetime.fromtimestamp(ts, NEW_YORK)
        if (9, 30) <= (at.hour, at.minute) < (16, 0):
            start = Nanos(ts * SECOND)
            end = Nanos(start + MINUTE)
            bar = Bar(Index.NDX, Channel.MINUTE, o / scale, h / scale, low_ / scale, c / scale, start, end, end)
            found[at.date().isoformat()].append(bar)
    return found


@dataclass
class Scores:
    """What one horizon collected."""

    u: list[float] = field(default_factory=list)
    crps: list[float] = field(default_factory=list)
    flat: list[float] = field(default_factory=list)

    def line(self, name: str) -> str:
        u = np.array(self.u)
        return (
            f"{name:>10} n={len(u):5d} crps={1e4 * np.mean(self.crps):6.2f}bp ratio={self.ratio:.4f} "
            f"KS={self.ks:.4f} 90%={100 * self.coverage(0.9):.1f} 99%={100 * self.coverage(0.99):.1f}"
        )

    @property
    def ratio(self) -> float:
        return float(np.mean(self.crps) / np.mean(self.flat))

    @property
    def ks(self) -> float:
        u = np.sort(self.u)
        steps = np.arange(len(u) + 1) / len(u)
        return float(max(np.max(steps[1:] - u), np.max(u - steps[:-1])))

    def coverage(self, share: float) -> float:
        u = np.array(self.u)
        tail = (1 - share) / 2
        return float(np.mean((u >= tail) & (u <= 1 - tail)))


def gaussian_crps(x: float, sigma: float) -> float:
    z = x / sigma
    return float(sigma * (z * (2 * ndtr(z) - 1) + 2 * np.exp(-z * z / 2) / sqrt(2 * pi) - 1 / sqrt(pi)))


@dataclass
class Asked:
    key: str
    target: Nanos
    level: float
    law: PredictiveLaw
    flat_sd: float


def walk(model: RollingCalibration, days: Days, bars: dict[str, list[Bar]], score_from: str) -> dict[str, Scores]:
    """Feed every day in order; forecasts of days from `score_from` on are scored."""
    scores: dict[str, Scores] = defaultdict(Scores)
    realised: deque[float] = deque(maxlen=FLAT_DAYS)
    for day in sorted(bars):
        session = days.session(date.fromisoformat(day))
        if session is None:
            continue
        wanted = _wanted(session) if day >= score_from and not session.half_day else {}
        asked: list[Asked] = []
        closes = [bars[day][0].open]
        for bar in bars[day]:
            model.on_bar(bar)
            closes.append(bar.close)
            for one in [one for one in asked if one.target == bar.end_ns]:
                _score(scores[one.key], one, bar.close)
            for key, target in wanted.get(bar.end_ns, ()):
                law = model.forecast(bar.end_ns, target)
                if law is not None and len(realised) == FLAT_DAYS:
                    flat = sqrt(float(np.mean(realised)) / 390 * (target - bar.end_ns) / MINUTE)
                    asked.append(Asked(key, target, bar.close, law, flat))
        if len(closes) > 380:
            realised.append(float(np.sum(np.diff(np.log(closes)) ** 2)))
    return scores


def _wanted(session: Session) -> dict[Nanos, list[tuple[str, Nanos]]]:
    wanted: dict[Nanos, list[tuple[str, Nanos]]] = defaultdict(list)
    for target in map(Nanos, range(session.open_ns + 30 * MINUTE, session.close_ns + 1, HOUR)):
        hourly = [(f"hour {h}", h) for h in HOUR_HORIZONS]
        close = [(f"close {h}", h) for h in CLOSE_HORIZONS] if target == session.close_ns else []
        for key, horizon in (*hourly, *close):
            if target - horizon * MINUTE > session.open_ns:
                wanted[Nanos(target - horizon * MINUTE)].append((key, target))
    return wanted


def _score(scores: Scores, one: Asked, fixing: float) -> None:
    quantiles = np.log(one.law.quantiles(LEVELS) / one.level)
    x = log(fixing / one.level)
    scores.u.append(float(one.law.cdf(np.array([fixing]))[0]))
    scores.crps.append(float(2 * np.mean(((x < quantiles) - LEVELS) * (quantiles - x))))
    scores.flat.append(gaussian_crps(x, one.flat_sd))


def nasdaq_bars(folder: Path, first: date, last: date) -> dict[str, list[Bar]]:
    found: dict[str, list[Bar]] = {}
    for year in range(first.year, last.year + 1):
        name = "NQ1_1m_2025H1.parquet" if year == 2025 else f"NQ1_1m_{year}.parquet"
        found |= bars_of(folder / "nq_1m" / name, first, last)
    return found


def nasdaq_model(days: Days, **changes) -> RollingCalibration:
    settings = CalibrationSettings(first_minute_excluded=False, settlement_basis_bp=0.0)
    cache: dict[date, Session | None] = {}

    def session_at(ns: Nanos) -> Session | None:
        day = datetime.fromtimestamp(ns / SECOND, NEW_YORK).date()
        if day not in cache:
            cache[day] = days.session(day)
        return cache[day]

    return RollingCalibration(
        Index.NDX,
        settings,
        session_at,
        events=lambda session: (fomc_event(session),) if session.day in days.fomc else (),
        scale_prior=changes.pop("scale_prior", FUTURE_SCALE_PRIOR),
    )


def main() -> None:
    folder = data_dir()
    assert folder is not None, "no market data"
    first, last = (date.fromisoformat(text) for text in sys.argv[1:3])
    days = Days(folder)
    bars = nasdaq_bars(folder, first - timedelta(days=200), last)
    scores = walk(nasdaq_model(days), days, bars, first.isoformat())
    for key in [f"hour {h}" for h in HOUR_HORIZONS] + [f"close {h}" for h in CLOSE_HORIZONS]:
        print(scores[key].line(key))  # noqa: T201 - a report for people


if __name__ == "__main__":
    main()
