"""Blend and required edge, against the formula worked by hand."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import Dollars, Price
from kalshi_daemon.ladder.fair import believable_mid, blend, clamp, edge, required_edge
from kalshi_daemon.settings.model import PricingSettings
from tests.ladder.scan_samples import view

PRICING = PricingSettings()
PHI_0 = 1 / math.sqrt(2 * math.pi)


def need(probability, *, between=False, tau_s=900.0, delay_s=2.0, calibration_error=0.0, pricing=PRICING):
    return required_edge(
        probability,
        between=between,
        tau_s=tau_s,
        delay_s=delay_s,
        calibration_error=calibration_error,
        pricing=pricing,
    )


def test_at_the_money_only_staleness_and_the_base_count():
    assert need(0.5) == pytest.approx(1.5 * PHI_0 * math.sqrt(3 / 900) + 0.005)


def test_the_terms_add_in_quadrature():
    # p = 0.8413447 is d = 1: phi = .2419707, vol = .2419707 * .15, s = .02 * 2 sqrt(p q)
    p, phi = 0.8413447460685429, 0.24197072451914337
    stale, vol, s = 1.5 * phi * math.sqrt(3 / 900), phi * 0.15, 0.02 * 2 * math.sqrt(p * (1 - p))
    want = math.sqrt(stale**2 + vol**2 + s**2) + 0.005
    assert need(p, calibration_error=0.02) == pytest.approx(want, rel=1e-9)


def test_a_bin_around_the_middle_needs_room_for_the_vol_error_that_an_even_threshold_does_not():
    quiet = PricingSettings(k_stale=0.0, base_edge=0.0)
    c = 0.6744897501960817  # quantile of .75
    phi = math.exp(-c * c / 2) * PHI_0
    assert need(0.5, pricing=quiet) == pytest.approx(0.0, abs=1e-9)
    assert need(0.5, between=True, pricing=quiet) == pytest.approx(0.15 * 2 * c * phi, rel=1e-9)


def test_no_price_pays_at_the_fixing_or_with_a_tick_from_the_future():
    assert math.isinf(need(0.5, tau_s=0.0))
    assert math.isinf(need(0.5, delay_s=-0.1))


@given(p=st.floats(0.0, 1.0), tau=st.floats(1, 7200), delay=st.floats(0, 60), between=st.booleans())
@settings(max_examples=150, deadline=None)
def test_the_edge_is_finite_symmetric_and_grows_with_delay_and_nearness(p, tau, delay, between):
    here = need(p, tau_s=tau, delay_s=delay, between=between)
    assert PRICING.base_edge <= here < 100
    assert need(p, tau_s=tau, delay_s=delay + 1, between=between) >= here
    assert need(p, tau_s=tau * 2, delay_s=delay, between=between) <= here
    if not between:
        assert need(1.0 - p, tau_s=tau, delay_s=delay) == pytest.approx(here, abs=1e-6)
    else:
        assert here >= need(p, tau_s=tau, delay_s=delay)


@given(model=st.floats(0.0, 1.0), mid=st.floats(0.001, 0.999), weight=st.floats(0.0, 1.0))
@settings(max_examples=150, deadline=None)
def test_a_blend_lies_between_its_parts(model, mid, weight):
    mixed = blend(model, mid, weight)
    assert min(model, mid) - 1e-6 <= mixed <= max(model, mid) + 1e-6
    assert blend(1.0 - model, 1.0 - mid, weight) == pytest.approx(1.0 - mixed, abs=1e-6)


def test_blend_worked_by_hand():
    # logit .2 = -1.386294, logit .5 = 0: the half-way log odds are -0.693147, p = 1/3
    assert blend(0.2, 0.5, 0.5) == pytest.approx(1 / 3)
    assert blend(0.2, 0.5, 0.0) == 0.2
    assert blend(0.2, None, 0.5) == 0.2
    assert blend(0.2, 0.5, 1.0) == pytest.approx(0.5)


@pytest.mark.parametrize("nonsense", [float("nan"), 1.1, -0.5, float("inf")])
def test_what_is_no_probability_is_refused(nonsense):
    with pytest.raises(ValueError, match="not a probability"):
        clamp(nonsense)


@pytest.mark.parametrize(
    ("bid", "ask", "synced", "mid"),
    [
        (4000, 4600, True, 0.43),
        (4000, 4700, True, None),  # too wide to believe
        (4000, None, True, None),
        (None, 4600, True, None),
        (None, None, True, None),
        (4000, 4600, False, None),
        (4600, 4600, True, None),
        (4700, 4600, True, None),
    ],
)
def test_defect_09_only_a_tight_two_sided_whole_book_has_a_believable_mid(bid, ask, synced, mid):
    seen = believable_mid(view("M", bid, ask, synced=synced), PRICING)
    assert seen == (None if mid is None else pytest.approx(mid))


def test_edges_of_both_sides_are_mirrored():
    assert edge(Side.BID, Price(4_000), 0.45, Dollars(44), 1.0) == pytest.approx(0.0456)
    assert edge(Side.ASK, Price(6_000), 0.55, Dollars(88), 2.0) == pytest.approx(0.0456)
