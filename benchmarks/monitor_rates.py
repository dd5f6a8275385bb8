"""How often the record's monitors fail by mistake, how soon they notice a wrong sigma: the table of docs/monitors.md.

Simulated truth. A session has seven fixings; each is approached by the same marks as in the daemon, so that forecasts
of one fixing overlap as they do there. The distribution of the move over h minutes is a Student t of 7 degrees of
freedom whose mixing variable is shared by all marks of the fixing; the published distribution is exactly that one (its
PIT is uniform), times a factor on sigma in the runs about delays. The plain baseline is a Gaussian whose sigma is off
by 20 % (one sd).

    python benchmarks/monitor_rates.py --years 40 --runs 20 --seed 1
"""

import argparse
from collections import Counter, defaultdict
from math import exp, log, sqrt

import numpy as np
from scipy.special import gammaln, ndtr, stdtr, stdtrit

from kalshi_daemon.calibration import watch as module
from kalshi_daemon.calibration.market_record import BRIER_GAIN_MIN, LOG_GAIN_MIN
from kalshi_daemon.calibration.market_record import N_MIN as MARKET_N_MIN
from kalshi_daemon.calibration.monitor import MONITORED_BUCKET, RecordMonitor
from kalshi_daemon.calibration.recalibration import BUCKET_CENTRES_MIN, Recalibration
from kalshi_daemon.calibration.scores import gaussian_crps, gaussian_log_score
from kalshi_daemon.calibration.watch import HALF_LIFE_SESSIONS, ForecastWatch, Scored
from kalshi_daemon.domain.forecast import Standing

NU = 7.0
SCALE = sqrt((NU - 2.0) / NU)
"""Of a t distribution with unit variance."""
FIXINGS = 7
SESSIONS_A_YEAR = 252
HOURLY = [bucket for bucket, centre in enumerate(BUCKET_CENTRES_MIN) if centre <= 60.0]
LONG = [bucket for bucket, centre in enumerate(BUCKET_CENTRES_MIN) if centre > 60.0]
RIVAL_ERROR = 0.2
STRIKE_Z = np.linspace(-2.4, 2.4, 17)
GRID = np.linspace(-30.0, 30.0, 6001)
CDF = stdtr(NU, GRID / SCALE)
LOG_CONSTANT = float(gammaln((NU + 1) / 2) - gammaln(NU / 2)) - 0.5 * log(NU * np.pi) - log(SCALE)
CAPPED = float(np.mean(np.minimum(np.square(SCALE * stdtrit(NU, (np.arange(100_000) + 0.5) / 100_000)), 9.0)))
STEP = GRID[1] - GRID[0]
LOWER = np.concatenate(([0.0], np.cumsum((CDF[1:] ** 2 + CDF[:-1] ** 2) / 2.0) * STEP))
UPPER = np.concatenate(([0.0], np.cumsum(((1 - CDF[::-1][1:]) ** 2 + (1 - CDF[::-1][:-1]) ** 2) / 2.0) * STEP))[::-1]
STRIKES = list(zip((1.0 - stdtr(NU, STRIKE_Z / SCALE)).tolist(), STRIKE_Z.tolist(), strict=True))


def density(z):
    """ln density of the unit variance t."""
    return LOG_CONSTANT - (NU + 1) / 2 * np.log1p(np.square(z / SCALE) / NU)


def session_moves(rng):
    """(bucket, z) of every forecast of a session in units of its true sigma, fixing by fixing, with their overlap."""
    found = []
    for fixing in range(FIXINGS):
        marks = list(HOURLY) + (LONG if fixing == FIXINGS - 1 else [])
        ends = np.array([BUCKET_CENTRES_MIN[bucket] for bucket in marks])
        pieces = rng.standard_normal(len(ends)) * np.sqrt(np.diff(np.concatenate(([0.0], ends))))
        moves = np.cumsum(pieces) / np.sqrt(ends) * sqrt((NU - 2.0) / rng.chisquare(NU))
        found.append(list(zip(marks, moves.tolist(), strict=True)))
    return found


def scored_of(moves, factor, baselines):
    """The published distribution is `factor` times too wide: z / factor is its residual. In units of the true sigma."""
    z = np.array(moves)
    u = z / factor
    crps = factor * (np.interp(u, GRID, LOWER) + np.interp(u, GRID, UPPER) + np.maximum(np.abs(u) - 30.0, 0.0))
    logs, pits = density(u) - log(factor), stdtr(NU, u / SCALE)
    squares = np.minimum(u * u, 9.0) / CAPPED
    columns = zip(
        moves, baselines, u.tolist(), crps.tolist(), logs.tolist(), pits.tolist(), squares.tolist(), strict=True
    )
    return [
        Scored(
            crps=score,
            baseline_crps=gaussian_crps(move, baseline),
            log_gain=log_score - gaussian_log_score(move, baseline),
            pit=min(pit, 1.0),
            square=square,
            strikes=tuple((p, residual >= k) for p, k in STRIKES),
        )
        for move, baseline, residual, score, log_score, pit, square in columns
    ]


def ratios(z, factor, plain):
    u = z / factor
    published = float(density(u)) - log(factor)
    baselines = [gaussian_log_score(z, plain)] + [
        float(density(u / width)) - log(width * factor) for width in (0.6, 1.6)
    ]
    return tuple(exp(min(baseline - published, 13.8)) for baseline in baselines)


class Components:
    """The monitors of one index, as the updater keeps them."""

    def __init__(self):
        self.watch, self.monitor = ForecastWatch(), RecordMonitor()
        self.layer = Recalibration.fresh((1.0,) * len(BUCKET_CENTRES_MIN))

    def next_session(self):
        self.watch.next_session()
        self.monitor.next_session()
        self.layer.next_session()

    def fixing(self, rng, marks, factor):
        baselines = np.exp(rng.normal(0.0, RIVAL_ERROR, len(marks))).tolist()
        found = scored_of([z for _, z in marks], factor, baselines)
        for (bucket, z), baseline, one in zip(marks, baselines, found, strict=True):
            if bucket == MONITORED_BUCKET:
                self.monitor.learn(ratios(z, factor, baseline))
            self.layer.learn(bucket, one.square, one.pit)
            self.watch.learn(bucket, one)

    def failing(self):
        found = self.watch.readings(self.monitor, (self.layer,))
        return {(one.monitor, one.group) for one in found if one.standing is Standing.ALERT}


def false_alarms(years, seed):
    """Alarms begun (crossings out of the limits) and sessions with one, per monitor, under a right distribution."""
    began, days, closed, sessions, extremes = Counter(), Counter(), 0, 0, defaultdict(list)
    for year in range(years):
        rng = np.random.default_rng([seed, year])
        house, before = Components(), set()
        for _ in range(SESSIONS_A_YEAR):
            house.next_session()
            sessions += 1
            for marks in session_moves(rng):
                house.fixing(rng, marks, 1.0)
            today = house.failing()
            began.update(today - before)
            before = today
            days.update(today)
            closed += bool(today)
            for one in house.watch.readings(house.monitor, (house.layer,)):
                if one.value is not None and one.n >= one.n_min:
                    extremes[one.monitor, one.group].append(one.value)
    return began, days, closed, sessions, extremes


def delays(runs, seed, factor, warm=60):
    """Fixings until each monitor fails, and until any does, once the published sigma is `factor` times the truth."""
    found = defaultdict(list)
    for run in range(runs):
        rng = np.random.default_rng([seed, 7, run])
        house = Components()
        for _ in range(warm):
            house.next_session()
            for marks in session_moves(rng):
                house.fixing(rng, marks, 1.0)
        seen, fixings = {}, 0
        for _ in range(60):
            house.next_session()
            for marks in session_moves(rng):
                house.fixing(rng, marks, factor)
                fixings += 1
                for key in house.failing():
                    seen.setdefault(key, fixings)
        for key, at in seen.items():
            found[key].append(at)
        found["any", "all"].append(min(seen.values(), default=10**9))
    return found


def market(years, seed, *, noise_ours, noise_theirs):
    """The market's record: (share of years with an evidence alarm, with a gain alarm, mean log gain per event)."""
    evidence = gain = 0
    total, count = 0.0, 0
    for year in range(years):
        rng = np.random.default_rng([seed, 9, year])
        monitor, weight, summed = RecordMonitor((0.0,)), 0.0, 0.0
        alarmed = failed = False
        for _ in range(SESSIONS_A_YEAR):
            kept = 2.0 ** (-1.0 / HALF_LIFE_SESSIONS)
            weight, summed = kept * weight, kept * summed
            monitor.next_session()
            for _ in range(FIXINGS):
                z = rng.standard_normal()
                strikes = rng.uniform(-0.2, 0.2) + np.arange(-4, 5) * 0.4
                truth = ndtr(-strikes)
                odds = np.log(truth / (1 - truth))
                ours, mid = (
                    np.clip(1 / (1 + np.exp(-(odds + rng.normal(0.0, noise)))), 1e-4, 1 - 1e-4)
                    for noise in (noise_ours, noise_theirs)
                )
                came = z >= strikes
                gains = np.log(np.where(came, ours / mid, (1 - ours) / (1 - mid)))
                near = int(np.argmin(np.abs(mid - 0.5)))
                monitor.learn((float(exp(-gains[near])),))
                alarmed |= monitor.alarmed
                weight, summed = weight + 1.0, summed + float(gains.mean())
                failed |= weight >= MARKET_N_MIN and summed / weight < LOG_GAIN_MIN
                total, count = total + float(gains.mean()), count + 1
        evidence += alarmed
        gain += failed
    return evidence / years, gain / years, total / count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--years", type=int, default=40)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    began, days, closed, sessions, extremes = false_alarms(args.years, args.seed)
    print(f"right distribution, {args.years} years (seed {args.seed}); closed on {closed} of {sessions} sessions")
    print("monitor      group   limits            0.1 % .. 99.9 % seen   alarms/year  sessions closed")
    limits = {(name, group): value for name, groups in module.LIMITS.items() for group, value in groups.items()}
    for key in sorted(extremes, key=str):
        low, high = np.quantile(extremes[key], (0.001, 0.999))
        print(
            f"{key[0]:12} {key[1]:6} {limits.get(key, '')!s:18} {low:8.4f} .. {high:8.4f} "
            f"{began[key] / args.years:12.3f} {days[key] / sessions:14.5f}"
        )
    for factor in (1.5, 1 / 1.5, 1.2, 1 / 1.2):
        found = delays(args.runs, args.seed, factor)
        print(
            f"published sigma {factor:.2f} x the truth: fixings to the alarm, {args.runs} runs: median (90 %), noticed"
        )
        for key, values in sorted(found.items(), key=lambda item: float(np.median(item[1]))):
            known = [value for value in values if value < 10**9]
            if len(known) >= args.runs / 4:
                middle, late = np.quantile(known, (0.5, 0.9))
                print(f"  {key[0]:12} {key[1]:6} {middle:6.0f} ({late:4.0f})  {len(known)} of {args.runs}")
    print(f"market: limits {LOG_GAIN_MIN} nat, {BRIER_GAIN_MIN} Brier; errors in log odds (0.2: 5 cents at even odds)")
    for ours, theirs in (
        (0.0, 0.0),
        (0.0, 0.1),
        (0.0, 0.3),
        (0.1, 0.1),
        (0.1, 0.0),
        (0.2, 0.0),
        (0.4, 0.0),
        (0.8, 0.0),
    ):
        evidence, gain, mean = market(max(10, args.years // 2), args.seed, noise_ours=ours, noise_theirs=theirs)
        text = f"years with an evidence alarm {evidence:.3f}, a gain alarm {gain:.3f}; mean gain {mean:+.4f}"
        print(f"  error of ours {ours:.1f}, of theirs {theirs:.1f}: {text}")


if __name__ == "__main__":
    main()
