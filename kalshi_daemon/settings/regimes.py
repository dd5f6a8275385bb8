"""Regimes of the simulated market that are configured; the shipped ones stand in `simulator.traders.regimes`.

`[sim.regimes.NAME]` makes a regime, or changes a shipped one of that name: keys that are given stand instead of those
of its `base`.
"""

from typing import Annotated, Final, Literal

from pydantic import Field

from kalshi_daemon.settings.section import Section

REGIMES_MAX: Final = 50

type RegimeName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")]


class RegimeSettings(Section):
    """Who trades in the simulated market, and how. Rates are per event; a key left out is as in the base.

    Makers of a configured regime notice their fills, also where those of its base do not.
    """

    base: Literal["efficient", "usual", "busy", "harsh", "toxic", "noise"] = "efficient"
    """The shipped regime that keys left out are taken from; of a shipped name itself, when this is left out too."""
    makers: int = Field(4, ge=0, le=50)
    refresh_s_min: float = Field(5.0, ge=1.0, le=3_600.0)
    """A maker looks at its quotes this often, at least and at most."""
    refresh_s_max: float = Field(12.0, ge=1.0, le=3_600.0)
    half_spread_cents_min: float = Field(0.8, ge=0.0, le=50.0)
    """Before a maker rounds outwards, and without its allowance for old index values."""
    half_spread_cents_max: float = Field(1.4, ge=0.0, le=50.0)
    maker_contracts_min: int = Field(50, ge=1, le=100_000)
    maker_contracts_max: int = Field(280, ge=1, le=100_000)
    vol_error: float = Field(0.03, ge=0.0, le=2.0)
    """Standard deviation of the logarithm of a maker's volatility about the true one."""
    notice_s_max: float = Field(3.0, ge=0.0, le=600.0)
    """A maker notices its fill after half a second to this."""
    pull_s_max: float = Field(4.0, ge=0.0, le=3_600.0)
    """It then leaves that side alone for a second to this."""
    noise_per_minute: float = Field(14.0, gt=0.0, le=10_000.0)
    noise_error_cents: float = Field(3.0, ge=0.0, le=50.0)
    """Scale of the Laplace error of an uninformed taker's opinion."""
    noise_contracts_median: int = Field(11, ge=1, le=100_000)
    yes_bias_cents: float = Field(0.2, ge=-50.0, le=50.0)
    """By how much uninformed takers think YES worth more than it is."""
    longshot_bias_cents: float = Field(0.3, ge=-50.0, le=50.0)
    """By how much more they think a contract worth that hardly ever pays, and less one that nearly always does."""
    informed_per_minute: float = Field(3.5, gt=0.0, le=10_000.0)
    informed_delay_s_min: float = Field(0.3, ge=-600.0, le=600.0)
    """How old the index value is that an informed taker acts on; below 0: known before it is printed."""
    informed_delay_s_max: float = Field(2.0, ge=-600.0, le=600.0)
    informed_contracts_max: int = Field(80, ge=1, le=100_000)
