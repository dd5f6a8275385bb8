"""A made-up session of all indices with the stylised facts of docs/reference/model.md 5.

Built by minutes, then bridged to seconds:

    r_minute = day vol x sqrt(seasonal share) x exp(30-min log-vol deviation) x t innovation

* log daily vol: sd 0.47 around a median of 60 bp (SPX); any other is its `volatility` of the table times that;
* seasonal shares: squared minute returns by 30-minute bucket (means of the fitted session curve);
* 30-minute log-vol deviation: AR(1), sd 0.24, autocorrelation 0.33, shared by both indices;
* innovations: bivariate t with nu = 8.6, unit variance, correlation 0.9; a third index has its own draws, with that
  correlation to the first where they are of one group, else none;
* overnight gap: t with 3 degrees of freedom, median absolute 36 bp, which has sd 81 bp (measured: 80 and 36);
* the first minute is stale: the 09:30 print holds only part of the gap and drifts to the rest within the minute.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.instruments import SHIPPED_INSTRUMENTS, IndexRow, Instruments
from kalshi_daemon.domain.window import Session
from kalshi_daemon.simulator.feed.index_path import (
    AFTER_HOURS_S,
    IndexPath,
    PathLaw,
    Values,
    as_published,
    late_prints,
    session_seconds,
)

LEVEL_SPREAD: Final = 0.005
"""Of the level in the table, by which the previous close is shifted, and with it where the strikes fall."""
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
GAP_VOLATILITY: Final = 1.35
"""Of the index that GAP_MEDIAN was measured on (NDX)."""
GAP_MEDIAN: Final = 36e-4
GAP_NU: Final = 3.0
_T3_QUARTILE: Final = 0.7649
"""The 75 % point of the t distribution with 3 degrees of freedom: the median of its absolute value."""
OPEN_SHARE: Final = (0.1, 0.5)
"""Part of the gap that the 09:30:00 print already holds."""
OPEN_SETTLES_S: Final = 60


def synthesize_session(
    session: Session, seed: int, table: Instruments = SHIPPED_INSTRUMENTS, log_day_vol: float | None = None
) -> dict[Index, IndexPath]:
    """The paths of one session. The same (session day, seed) gives the same paths; other days differ.

    A row that is added changes nothing of those before it. log_day_vol: logarithm of the day's volatility over its
    median, instead of the one that would be drawn.
    """
    rng = _rng_of(session, seed)
    seconds = session_seconds(session)
    assert seconds % 60 == 0, "sessions are whole minutes"
    drawn = _log_day_vol(rng)
    minute_sd = _minute_sd(rng, drawn if log_day_vol is None else log_day_vol, seconds // 60)
    innovations = _joint_t(rng, seconds // 60)
    gap = float(rng.standard_t(GAP_NU)) * GAP_MEDIAN / _T3_QUARTILE
    own_gap = float(rng.standard_t(GAP_NU)) * GAP_MEDIAN / _T3_QUARTILE
    noise = _pair(rng.standard_normal((2, seconds)), CORRELATION)
    opened = float(rng.uniform(*OPEN_SHARE))
    paths: dict[Index, IndexPath] = {}
    draws = _Draws(minute_sd, opened, rng)
    first, *others = table.rows.values()
    for row in (first, *others[:1]):
        place = len(paths)
        overnight = gap if place == 0 else CORRELATION * gap + np.sqrt(1 - CORRELATION**2) * own_gap
        paths[row.index] = _path(row, session, draws, innovations[place], noise[place], overnight)
    for row in others[1:]:
        own = np.random.default_rng([seed, int(session.day.replace("-", "")), len(paths)])
        rho = CORRELATION if row.correlation_group and row.correlation_group == first.correlation_group else 0.0
        alone = own.standard_normal(seconds // 60) * np.sqrt(
            (INNOVATION_NU - 2) / own.chisquare(INNOVATION_NU, seconds // 60)
        )
        shaken = _pair(np.stack((innovations[0], alone)), rho)[1]
        hiss = _pair(np.stack((noise[0], own.standard_normal(seconds))), rho)[1]
        overnight = rho * gap + np.sqrt(1 - rho**2) * float(own.standard_t(GAP_NU)) * GAP_MEDIAN / _T3_QUARTILE
        paths[row.index] = _path(row, session, _Draws(minute_sd, opened, own), shaken, hiss, overnight)
    return paths


def log_day_vol_of(session: Session, seed: int) -> float:
    """The logarithm of the day's volatility over its median, as `synthesize_session` draws it."""
    return _log_day_vol(_rng_of(session, seed))


def _rng_of(session: Session, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, int(session.day.replace("-", ""))])


def _log_day_vol(rng: np.random.Generator) -> float:
    """Its first draw."""
    return float(rng.normal(0.0, LOG_DAY_VOL_SD))


@dataclass(frozen=True, slots=True)
class _Draws:
    """What the paths of a session share, and where the rest of one comes from."""

    minute_sd: Values
    opened: float
    rng: np.random.Generator


def _path(
    row: IndexRow, session: Session, draws: _Draws, innovations: Values, noise: Values, overnight: float
) -> IndexPath:
    """overnight: the gap, as large as one of an index of GAP_VOLATILITY."""
    beta, minute_sd, rng = row.volatility, draws.minute_sd, draws.rng
    steps = bridge_minutes(beta * minute_sd * innovations, beta * minute_sd, noise)
    previous = row.level * (1 + float(rng.uniform(-LEVEL_SPREAD, LEVEL_SPREAD)))
    opening = _opening(draws.opened, session_seconds(session))
    logs = np.concatenate(([0.0], np.cumsum(steps))) + beta / GAP_VOLATILITY * overnight * opening
    values = previous * np.exp(logs)
    values = np.concatenate((values, late_prints(float(values[-1]), rng, AFTER_HOURS_S)))
    law = PathLaw((beta * minute_sd) ** 2, beta / GAP_VOLATILITY * overnight * (1.0 - opening[: OPEN_SETTLES_S + 1]))
    return IndexPath(row.index, session, round(previous, 2), as_published(row, values), law)


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


def _minute_sd(rng: np.random.Generator, log_day_vol: float, minutes: int) -> Values:
    day = DAY_VOL_MEDIAN * np.exp(log_day_vol)
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
