"""Fair value of a contract and the edge a quote must have (docs/reference/model.md 7.2, 7.3).

Probabilities and dollars are floats here, and only here: prices become integers in `ladder.ideal`.
"""

import math
from statistics import NormalDist
from typing import Final

from kalshi_daemon.domain.book_view import BookView
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import PRICE_ONE, Dollars, Price
from kalshi_daemon.settings.model import PricingSettings

_NORMAL: Final = NormalDist()
_MIN: Final = 1e-9
"""Probabilities are kept this far from 0 and 1: beyond, log odds only carry rounding."""


def clamp(probability: float) -> float:
    """A probability inside the open interval. Raises ValueError when it is not a number or far outside."""
    if not -_MIN <= probability <= 1.0 + _MIN:  # also False for nan
        raise ValueError(f"not a probability: {probability}")
    return min(max(probability, _MIN), 1.0 - _MIN)


def blend(model: float, mid: float | None, weight: float) -> float:
    """Model probability and book mid mixed in log odds: logit p = (1-w) logit model + w logit mid.

    Source: docs/reference/model.md 7.3.

    weight: of the mid, 0..1. mid None leaves the model alone.
    """
    if mid is None or weight <= 0.0:
        return clamp(model)
    model, mid = clamp(model), clamp(mid)
    odds = (1.0 - weight) * math.log(model / (1.0 - model)) + weight * math.log(mid / (1.0 - mid))
    return 1.0 / (1.0 + math.exp(-odds))


def believable_mid(view: BookView, pricing: PricingSettings) -> float | None:
    """The others' mid as a probability when the book is two-sided, uncrossed and tight enough, else None."""
    if not view.synced or view.best_bid is None or view.best_ask is None:
        return None
    width = (view.best_ask - view.best_bid) / PRICE_ONE
    if not 0.0 < width <= pricing.book_width_max + _MIN:
        return None
    return (view.best_bid + view.best_ask) / (2 * PRICE_ONE)


def required_edge(
    probability: float,
    *,
    between: bool,
    tau_s: float,
    delay_s: float,
    calibration_error: float,
    pricing: PricingSettings,
) -> float:
    """Least distance from fair in dollars per contract, without the fee (docs/reference/model.md 7.2).

    w = sqrt((k1 phi(d) sqrt((D+1)/tau))^2 + (k2 v eta)^2 + (k3 s)^2) + w0

    d is the normal quantile of the probability; D = `delay_s` (tick age + order delay); tau = `tau_s` seconds to the
    fixing; eta the relative vol error; v = |d| phi(d) how much the probability moves per unit of log vol. A bin gains
    from a smaller vol when it holds the middle, which its probability alone does not show, so for `between` v is the
    larger of the tail's and the centred bin's 2c phi(c), c = quantile((1+p)/2): no bin of that probability has more.
    s = calibration_error x 2 sqrt(p(1-p)): the error is given for p = 1/2 and falls as a binomial's.
    Infinite at or after the fixing, or for a negative delay (a tick from the future): such a quote never pays.
    """
    if tau_s <= 0.0 or delay_s < 0.0:
        return math.inf
    p = clamp(probability)
    d = _NORMAL.inv_cdf(p)
    slope = _density(d)
    vol_slope = abs(d) * slope
    if between:
        half = _NORMAL.inv_cdf(min(0.5 + p / 2.0, 1.0 - _MIN / 2.0))
        vol_slope = max(vol_slope, 2.0 * half * _density(half))
    stale = pricing.k_stale * slope * math.sqrt((delay_s + 1.0) / tau_s)
    vol = pricing.k_vol * vol_slope * pricing.vol_error
    calibration = pricing.k_calibration * calibration_error * 2.0 * math.sqrt(p * (1.0 - p))
    return math.sqrt(stale * stale + vol * vol + calibration * calibration) + pricing.base_edge


def edge(side: Side, price: Price, fair: float, fee: Dollars, contracts: float) -> float:
    """Expected profit in dollars per contract of a fill at `price`: bid fair - price - fee, ask price - fair - fee.

    fee: of `contracts` contracts together, in 1/10 000 dollar.
    """
    return side.sign * (fair - price / PRICE_ONE) - fee / contracts / PRICE_ONE


def _density(d: float) -> float:
    return math.exp(-0.5 * d * d) / math.sqrt(2.0 * math.pi)
