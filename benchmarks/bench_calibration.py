"""What the rolling model costs, as ratios against something everybody knows, measured side by side.

tick    one `on_tick` of a second's prices, against one time-decayed EWMA update: a slotted object whose method takes a
        stamp and a value. Everything a tick can start is in the figure: the end of each minute (eight variances, range
        ratio, jump limit), our own forecasts taken and scored at their marks, the first price of the day.
priced  100 strikes of one ladder, `probabilities` of a distribution at hand: what `scipy.special.stdtr` on 100 numbers,
and
        `scipy.stats.t.sf` with location and scale, do for a plain Student t. The ladder is the same at every tick, as
        in a life; a ladder seen for the first time is shown apart.
fresh   the same with the distribution itself made anew: `forecast` (running minute, eight variances, features,
distribution and map of
        the horizon) and `probabilities`. Nothing but the ladder's edges is remembered from one run to the next.
"""

from math import exp2

import numpy as np
from scipy import stats
from scipy.special import stdtr

from benchmarks.side_by_side import Compared, compare
from kalshi_daemon.calibration.predictive import LadderEdges
from kalshi_daemon.calibration.updater import RollingCalibration
from kalshi_daemon.domain.contract import Contract, StrikeType
from kalshi_daemon.domain.index import Channel, Index, Tick
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.units import MINUTE, POINT, SECOND, Level, Nanos
from kalshi_daemon.settings.model import CalibrationSettings

OPEN = Nanos(1_763_994_600 * SECOND)
DAY = Session("2025-11-24", OPEN, Nanos(OPEN + 390 * MINUTE), half_day=False)
SECONDS = 12_000
STRIKES = 100
HALF_LIFE = 60 * SECOND
TICK_MAX = 10.0
GOALS = {"stdtr": 1.5, "t.sf": 0.4}


class Ewma:
    """The bare update: forget by the time that has passed, take the new value in."""

    __slots__ = ("at_ns", "value")

    def __init__(self) -> None:
        self.at_ns, self.value = OPEN, 0.0

    def update(self, at_ns: int, value: float) -> None:
        kept = exp2((self.at_ns - at_ns) / HALF_LIFE)
        self.value = kept * self.value + (1.0 - kept) * value
        self.at_ns = at_ns


def ticks() -> list[Tick]:
    values = 6_800.0 * np.exp(np.cumsum(np.random.default_rng(1).normal(0.0, 5e-5, SECONDS)))
    stamps = [Nanos(OPEN + (60 + n) * SECOND) for n in range(SECONDS)]
    return [Tick(Index.SPX, Channel.VALUE, v, at, at) for v, at in zip(values.tolist(), stamps, strict=True)]


def fed(prices: list[Tick]) -> RollingCalibration:
    model = RollingCalibration(Index.SPX, CalibrationSettings(), lambda _ns: DAY)
    on_tick = model.on_tick
    for tick in prices:
        on_tick(tick)
    return model


def smoothed(prices: list[Tick]) -> Ewma:
    state = Ewma()
    update = state.update
    for tick in prices:
        update(tick.event_ns, tick.value)
    return state


def ladder_around(level: float, target_ns: Nanos) -> tuple[Contract, ...]:
    return tuple(
        Contract(
            f"T{n}", "E", "KXINXU", Index.SPX, StrikeType.GREATER_OR_EQUAL, Level(int(strike * POINT)), None, target_ns
        )
        for n, strike in enumerate(np.linspace(level * 0.985, level * 1.015, STRIKES))
    )


def bench_tick(prices: list[Tick]) -> Compared:
    found = compare(lambda: fed(prices), lambda: smoothed(prices), rounds=15, runs=1)
    return Compared(found.one_us / SECONDS, found.other_us / SECONDS, found.ratio)


def bench_priced(prices: list[Tick]) -> dict[str, Compared]:
    model = fed(prices)
    last, target = prices[-1], Nanos(OPEN + 270 * MINUTE)
    ladder = ladder_around(last.value, target)
    distribution = model.forecast(last.event_ns, target)

    def fresh() -> None:
        model._view = None  # noqa: SLF001 - as after a fresh tick
        model.forecast(last.event_ns, target).probabilities(ladder)

    z = np.linspace(-4.0, 4.0, STRIKES)
    strikes = np.linspace(last.value * 0.985, last.value * 1.015, STRIKES)

    def table() -> object:
        return stdtr(8.0, z)

    def survival() -> object:
        return stats.t.sf(strikes, 8.0, last.value, last.value * distribution.sigma)

    return {
        "priced / stdtr": compare(lambda: distribution.probabilities(ladder), table),
        "priced / t.sf": compare(lambda: distribution.probabilities(ladder), survival),
        "fresh / stdtr": compare(fresh, table),
        "fresh / t.sf": compare(fresh, survival),
        "unseen ladder / stdtr": compare(lambda: LadderEdges.of(ladder), table),
    }


def judged(ratio: float, goal: float) -> str:
    return f", goal {goal:g}{'' if ratio <= goal else ', MISSED'}"


def main() -> None:
    prices = ticks()
    tick = bench_tick(prices)
    verdict = judged(tick.ratio, TICK_MAX)
    print(f"tick / EWMA update: {tick.ratio:.1f}{verdict} ({tick.one_us:.2f} us, {tick.other_us:.2f} us)")
    for name, found in bench_priced(prices).items():
        goal = GOALS[name.rpartition("/")[2].strip()]
        wanted = "" if name.startswith("unseen") else judged(found.ratio, goal)
        print(f"{STRIKES} strikes, {name}: {found.ratio:.2f}{wanted} ({found.one_us:.1f} us, {found.other_us:.1f} us)")


if __name__ == "__main__":
    main()
