"""A made-up session of both indices with the stylised facts of docs/reference/model.md 5.

Built by minutes, then bridged to seconds:

    r_minute = day vol x sqrt(seasonal share) x exp(30-min log-vol deviation) x t innovation

* log daily vol: sd 0.47 around a median of 60 bp (SPX); NDX is NDX_BETA times that;
* seasonal shares: squared minute returns by 30-minute bucket (means of the fitted session curve);
* 30-minute log-vol deviation: AR(1), sd 0.24, autocorrelation 0.33, shared by both indices;
* innovations: bivariate t with nu = 8.6, unit variance, correlation 0.9;
* overnight gap: t with 3 degrees of freedom, median absolute 36 bp, which has sd 81 bp (measured: 80 and 36);
* the first minute is stale: the 09:30 print holds only part of the gap and drifts to the rest within the minute.
"""

from typing import Final

import numpy as np

from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.window import Session
from kalshi_daemon.simulator.feed.index_path import (
    AFTER_HOURS_S,
    IndexPath,
    Values,
    as_published,
    late_prints,
    session_seconds,
)

LEVELS: Final = {Index.SPX: 6_850.0, Index.NDX: 25_200.0}
"""Previous closes, before LEVEL_SPREAD shifts where the strikes fall."""
LEVEL_SPREAD: Final = 0.005
MINUTES_A_DAY: Final = 390
BUCKET_MINUTES: Final = 30
BUCKET_SHARES: Final = (2.662, 1.673, 1.31, 1.061, 0.905, 0.724, 0.625, 0.584, 0.544, 0.631, 0.615, 0.648, 1.018)
"""Mean squared minute return of each half hour of a full session, relative to the session's mean."""
DAY_VOL_MEDIAN: Final = 0.006
LOG_DAY_VOL_SD: Final = 0.47
LOG_VOL_DEVIATION_SD: Final = 0.24
LOG_VOL_DEVIATION_AUTOCORRELATION: Final = 0.33
INNOVATION_NU: Final = 8.6
CORRELATION: Final = 0.9
NDX_BETA: Final = 1.35
GAP_MEDIAN: Final = 36e-4
GAP_NU: Final = 3.0
_T3_QUARTILE: Final = 0.7649
"""The 75 % point of the t distribution with 3 degrees of freedom: the median of its absolute value."""
OPEN_SHARE: Final = (0.1, 0.5)
"""Part of the gap that the 09:30:00 print already holds."""
OPEN_SETTLES_S: Final = 60


def synthesize_session(session: Session, seed: int) -> dict[Index, IndexPath]:
    """Both paths of one session. The same (session day, seed) gives the same paths; other days differ."""
    rng = np.random.default_rng([seed, int(session.day.replace("-", ""))])
    seconds = session_seconds(session)
    assert seconds % 60 == 0, "sessions are whole minutes"
    minute_sd = _minute_sd(rng, seconds // 60)
    innovations = _joint_t(rng, seconds // 60)
    gap = float(rng.standard_t(GAP_NU)) * GAP_MEDIAN / _T3_QUARTILE
    own_gap = float(rng.standard_t(GAP_NU)) * GAP_MEDIAN / _T3_QUARTILE
    noise = _pair(rng.standard_normal((2, seconds)), CORRELATION)
    opened = float(rng.uniform(*OPEN_SHARE))
    paths: dict[Index, IndexPath] = {}
    for row, index in enumerate((Index.SPX, Index.NDX)):
        beta = NDX_BETA if index is Index.NDX else 1.0
        steps = bridge_minutes(beta * minute_sd * innovations[row], beta * minute_sd, noise[row])
        overnight = beta / NDX_BETA * (gap if row == 0 else CORRELATION * gap + np.sqrt(1 - CORRELATION**2) * own_gap)
        previous = LEVELS[index] * (1 + float(rng.uniform(-LEVEL_SPREAD, LEVEL_SPREAD)))
        logs = np.concatenate(([0.0], np.cumsum(steps))) + overnight * _opening(opened, seconds)
        values = previous * np.exp(logs)
        values = np.concatenate((values, late_prints(float(values[-1]), rng, AFTER_HOURS_S)))
        paths[index] = IndexPath(index, session, round(previous, 2), as_published(index, values))
    return paths


def minute_shares(minutes: int) -> Values:
    """Share of a full day's variance in each minute of a session of `minutes`.

    A half day takes the first half hours of a full one and ends with its closing half hour (not measured).
    """
    buckets = -(-minutes // BUCKET_MINUTES)
    chosen = np.array((*BUCKET_SHARES[: buckets - 1], BUCKET_SHARES[-1]))
    shares: Values = np.repeat(chosen, BUCKET_MINUTES)[-minutes:] / MINUTES_A_DAY
    return shares


def bridge_minutes(minute_returns: Values, minute_sd: Values, noise: Values) -> Values:
    """Second-by-second log returns whose sums are the minute returns: Gaussian steps with each minute's sum put right.

    noise: standard normals, one a second.
    """
    steps = noise.reshape(-1, 60) * (minute_sd / np.sqrt(60))[:, None]
    steps += ((minute_returns - steps.sum(axis=1)) / 60)[:, None]
    flat: Values = steps.ravel()
    return flat


def _minute_sd(rng: np.random.Generator, minutes: int) -> Values:
    day = DAY_VOL_MEDIAN * np.exp(rng.normal(0.0, LOG_DAY_VOL_SD))
    rho = LOG_VOL_DEVIATION_AUTOCORRELATION
    deviation = np.empty(-(-minutes // BUCKET_MINUTES))
    level = rng.standard_normal()
    for bucket in range(len(deviation)):
        deviation[bucket] = LOG_VOL_DEVIATION_SD * level
        level = rho * level + np.sqrt(1 - rho**2) * rng.standard_normal()
    wobble = np.repeat(np.exp(deviation), BUCKET_MINUTES)[:minutes]
    sd: Values = day * np.sqrt(minute_shares(minutes)) * wobble
    return sd


def _joint_t(rng: np.random.Generator, count: int) -> Values:
    """(2, count) t variates of unit variance: correlated normals over one chi-square, so that jumps are shared."""
    normals = _pair(rng.standard_normal((2, count)), CORRELATION)
    scale = np.sqrt((INNOVATION_NU - 2) / rng.chisquare(INNOVATION_NU, count))
    joint: Values = normals * scale
    return joint


def _pair(normals: Values, correlation: float) -> Values:
    return np.stack((normals[0], correlation * normals[0] + np.sqrt(1 - correlation**2) * normals[1]))


def _opening(opened: float, seconds: int) -> Values:
    """Part of the gap that the published index holds at each second: `opened` at the bell, all of it after a minute."""
    held = np.ones(seconds + 1)
    held[: OPEN_SETTLES_S + 1] = opened + (1 - opened) * np.linspace(0.0, 1.0, OPEN_SETTLES_S + 1) ** 0.5
    return held
