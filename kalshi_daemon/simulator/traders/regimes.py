"""Named markets: who trades in the simulated exchange, and how hard. docs/laboratory.md says what each stands for."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.settings.regimes import RegimeSettings
from kalshi_daemon.simulator.traders.traders import TraderMix

_SIZES_MAX: Final = 45
"""The largest uninformed order over the median one."""
_FITTED: Final = TraderMix(
    makers=4,
    refresh_s=(5.0, 12.0),
    delay_s=(0.5, 2.0),
    half_spread=(0.008, 0.014),
    requote_cents=1,
    maker_lots=(50, 281),
    noise_per_minute=14.0,
    noise_lots=(11, 500),
    noise_lots_spread=1.7,
    informed_per_minute=3.5,
    vol_error=0.03,
    stale_width=3.0,
    notice_s=(0.5, 3.0),
    pull_s=(1.0, 4.0),
    improve_share=0.03,
    replace_share=0.03,
    yes_bias=0.002,
    longshot_bias=0.003,
    informed_delay_s=(0.3, 2.0),
    informed_lots=(5, 81),
)
REGIMES: Final[Mapping[str, TraderMix]] = {
    "efficient": _FITTED,
    "usual": TraderMix(),
    "busy": TraderMix(noise_per_minute=40.0, informed_per_minute=15.0),
    "harsh": replace(
        _FITTED,
        half_spread=(0.030, 0.060),
        maker_lots=(10, 60),
        noise_per_minute=3.0,
        noise_lots=(10, 100),
        noise_lots_spread=0.5,
        informed_per_minute=30.0,
        informed_delay_s=(0.0, 0.5),
        vol_error=0.1,
        yes_bias=0.0,
        longshot_bias=0.0,
    ),
    "toxic": replace(
        _FITTED,
        half_spread=(0.020, 0.040),
        maker_lots=(10, 60),
        noise_per_minute=1.0,
        informed_per_minute=60.0,
        informed_delay_s=(-20.0, -5.0),
        vol_error=0.1,
        yes_bias=0.0,
        longshot_bias=0.0,
    ),
    "noise": replace(_FITTED, informed_per_minute=0.01),
}
"""`usual` and `busy` are the simulator's own crowd, whose makers never notice their fills."""


def regime(name: str, configured: Mapping[str, RegimeSettings] | None = None) -> TraderMix:
    """The crowd of a regime, shipped or configured. Raises ConfigurationError: no such name, a least above its most."""
    rows = configured or {}
    row = rows.get(name)
    if row is not None:
        own = name in REGIMES and "base" not in row.model_fields_set
        return _Change(f"sim.regimes.{name}", row).of(REGIMES[name if own else row.base])
    if name not in REGIMES:
        known = ", ".join([*REGIMES, *(one for one in rows if one not in REGIMES)])
        raise ConfigurationError("--regime", f"{name!r} is no regime", f"one of: {known}")
    return REGIMES[name]


class _Change:
    """What a row of the configuration makes of a crowd: every key that it gives stands instead."""

    def __init__(self, where: str, row: RegimeSettings) -> None:
        self._where = where
        self._given = {key: getattr(row, key) for key in row.model_fields_set}

    def of(self, mix: TraderMix) -> TraderMix:
        notice, informed = mix.notice_s or _FITTED.notice_s or (0.0, 0.0), mix.informed_lots
        pull = mix.pull_s if mix.notice_s else _FITTED.pull_s
        most = self._count("informed_contracts_max", informed[1] - 1)
        return replace(
            mix,
            makers=self._count("makers", mix.makers),
            refresh_s=self._pair("refresh_s", mix.refresh_s),
            half_spread=self._pair("half_spread_cents", mix.half_spread, 100),
            maker_lots=self._counts("maker_contracts", mix.maker_lots),
            vol_error=self._number("vol_error", mix.vol_error),
            notice_s=self._until("notice_s_max", notice),
            pull_s=self._until("pull_s_max", pull),
            noise_per_minute=self._number("noise_per_minute", mix.noise_per_minute),
            noise_error=self._number("noise_error_cents", mix.noise_error, 100),
            **self._sizes(mix),
            yes_bias=self._number("yes_bias_cents", mix.yes_bias, 100),
            longshot_bias=self._number("longshot_bias_cents", mix.longshot_bias, 100),
            informed_per_minute=self._number("informed_per_minute", mix.informed_per_minute),
            informed_delay_s=self._pair("informed_delay_s", mix.informed_delay_s),
            informed_lots=(min(informed[0], most), most + 1),
        )

    def _number(self, key: str, was: float, per: float = 1.0) -> float:
        return round(float(self._given[key]) / per, 9) if key in self._given else was

    def _count(self, key: str, was: int) -> int:
        return int(self._given.get(key, was))

    def _pair(self, key: str, was: tuple[float, float], per: float = 1.0) -> tuple[float, float]:
        low, high = self._number(f"{key}_min", was[0], per), self._number(f"{key}_max", was[1], per)
        if low > high:
            problem = f"{low * per:g} is above {key}_max, {high * per:g}"
            raise ConfigurationError(f"{self._where}.{key}_min", problem, "a smaller least, or a larger most")
        return low, high

    def _counts(self, key: str, was: tuple[int, int]) -> tuple[int, int]:
        low, high = self._pair(key, (was[0], was[1] - 1))
        return int(low), int(high) + 1

    def _until(self, key: str, was: tuple[float, float]) -> tuple[float, float]:
        most = self._number(key, was[1])
        return min(was[0], most), most

    def _sizes(self, mix: TraderMix) -> dict[str, Any]:
        """Of uninformed orders: a median that is given makes them log-normal."""
        median = self._given.get("noise_contracts_median")
        if median is None:
            return {}
        most = max(_FITTED.noise_lots[1], _SIZES_MAX * median)
        return {"noise_lots": (median, most), "noise_lots_spread": mix.noise_lots_spread or _FITTED.noise_lots_spread}
