"""Named markets: who trades in the simulated exchange, and how hard. `usual` is the simulator's own crowd."""

from collections.abc import Mapping
from typing import Final

from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.simulator.traders.traders import TraderMix

REGIMES: Final[Mapping[str, TraderMix]] = {
    "efficient": TraderMix(
        half_spread=(0.010, 0.020), noise_per_minute=8.0, informed_per_minute=20.0, maker_lots=(40, 160)
    ),
    "usual": TraderMix(),
    "busy": TraderMix(noise_per_minute=40.0, informed_per_minute=15.0),
    "harsh": TraderMix(half_spread=(0.03, 0.06), noise_per_minute=3.0, noise_lots=(10, 11), informed_per_minute=30.0),
    "toxic": TraderMix(noise_per_minute=1.0, informed_per_minute=60.0, half_spread=(0.02, 0.04)),
    "noise": TraderMix(noise_per_minute=12.0, informed_per_minute=0.01),
}
"""docs/laboratory.md says what each stands for, and what was measured in it."""


def regime(name: str) -> TraderMix:
    """The crowd of a regime. Raises ConfigurationError for a name that is none."""
    found = REGIMES.get(name)
    if found is None:
        raise ConfigurationError("--regime", f"{name!r} is no regime", f"one of: {', '.join(REGIMES)}")
    return found
