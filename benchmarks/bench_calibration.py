"""What the rolling model costs, as ratios against something everybody knows, measured side by side.

tick      one `on_tick` (minute ends included) against one exponentially weighted update of a float
forecast  one `forecast` after a fresh tick, in microseconds
ladder    100 strikes priced against one `scipy.special.stdtr` call on 100 numbers
"""

from time import perf_counter

import numpy as np
from scipy.special import stdtr

from kalshi_daemon.calibration.updater import RollingCalibration
from kalshi_daemon.domain.contract import Contract, StrikeType
from kalshi_daemon.domain.index import Channel, Index, Tick
from kalshi_daemon.domain.window import Session
from kalshi_daemon.settings import CalibrationSettings
from kalshi_daemon.units import MINUTE, POINT, SECOND, Level, Nanos

OPEN = Nanos(1_763_994_600 * SECOND)
DAY = Session("2025-11-24", OPEN, Nanos(OPEN + 390 * MINUTE), half_day=False)
SECONDS = 12_000


def ewma(values: list[float]) -> float:
    state, kept = 0.0, 0.97
    for value in values:
        state = kept * state + (1.0 - kept) * value * value
    return state


def best(action, repeats: int = 5) -> float:
    """Seconds of the fastest of a few runs."""
    times = []
    for _ in range(repeats):
        start = perf_counter()
        action()
        times.append(perf_counter() - start)
    return min(times)


def main() -> None:
    rng = np.random.default_rng(1)
    values = (6_800.0 * np.exp(np.cumsum(rng.normal(0.0, 5e-5, SECONDS)))).tolist()
    ticks = [
        Tick(Index.SPX, Channel.VALUE, value, Nanos(OPEN + (60 + n) * SECOND), Nanos(OPEN + (60 + n) * SECOND))
        for n, value in enumerate(values)
    ]
    models: list[RollingCalibration] = []

    def feed() -> None:
        models.append(RollingCalibration(Index.SPX, CalibrationSettings(), lambda _ns: DAY))
        on_tick = models[-1].on_tick
        for tick in ticks:
            on_tick(tick)

    tick_s = best(feed) / SECONDS
    bare_s = best(lambda: ewma(values)) / SECONDS
    print(f"tick / bare EWMA update: {tick_s / bare_s:.1f} ({1e6 * tick_s:.2f} us against {1e6 * bare_s:.2f} us)")

    model, now, target = models[-1], ticks[-1].event_ns, Nanos(OPEN + 270 * MINUTE)

    def look() -> None:
        for _ in range(500):
            model._view = None  # noqa: SLF001 - as after a fresh tick
            model.forecast(now, target)

    print(f"forecast after a fresh tick: {1e6 * best(look) / 500:.0f} us")
    law = model.forecast(now, target)
    assert law is not None
    strikes = np.linspace(law.level * 0.985, law.level * 1.015, 100)
    ladder = tuple(
        Contract(
            f"T{n}", "E", "KXINXU", Index.SPX, StrikeType.GREATER_OR_EQUAL, Level(int(strike * POINT)), None, target
        )
        for n, strike in enumerate(strikes)
    )
    z = np.linspace(-4.0, 4.0, 100)
    priced_s = best(lambda: [law.probabilities(ladder) for _ in range(200)]) / 200
    stdtr_s = best(lambda: [stdtr(8.0, z) for _ in range(200)]) / 200
    print(
        f"100 strikes / stdtr of 100: {priced_s / stdtr_s:.1f} ({1e6 * priced_s:.0f} us against {1e6 * stdtr_s:.0f} us)"
    )


if __name__ == "__main__":
    main()
