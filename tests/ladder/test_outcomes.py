"""Every word of a scan has its meaning in one table, and every refusal its numbers with the limit."""

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings

from kalshi_daemon.domain.contract import MarketStatus
from kalshi_daemon.ground.units import HOUR, SECOND, Nanos, Price
from kalshi_daemon.ladder import ideal, selection, two_sided
from kalshi_daemon.ladder.outcomes import OUTCOMES, PULLS
from kalshi_daemon.ladder.selection import propose
from kalshi_daemon.settings.model import PricingSettings
from kalshi_daemon.trading.policy import edge, judging, reservation
from tests.ladder.scan_samples import NOW, TARGET, above, market, scan, view
from tests.ladder.test_selection_invariants import scans

GREEDY = PricingSettings(book_weight=0.0, vol_error=0.0, k_stale=0.0, base_edge=0.6)
T6850 = above(6850).market_ticker


def look_of(inputs):
    return next(look for look in propose(inputs).looks if look.market_ticker == T6850)


def one(bid=4500, ask=5200, **changes):
    return scan({6850: 0.5}, {6850: (bid, ask)}, **changes)


CASES = {
    "mid_jump": (
        one(last_mids={T6850: Price(4_200)}),
        "mid 0.4850, at the last look 0.4200: moved 0.0650, limit 0.0500",
    ),
    "one_sided": (one(ask=None), "others bid 0.4500, ask none; both are needed"),
    "tail": (one(model={T6850: 0.001}), "fair 0.0010, model 0.0010, limit 0.0400 to 0.9600"),
    "no_forecast": (one(model={}), "probability none, needed 0 to 1"),
    "stale_book": (
        one(views={T6850: view(T6850, 4_500, 5_200, recv=Nanos(NOW - 75 * SECOND))}),
        "last frame of its own 75.0 s ago, limit 60.0 s",
    ),
    "no_edge": (one(pricing=GREEDY), "required 0.6000; joining the others' bid 0.4500 earns 0.0500, by the model"),
}  # fmt: skip


@pytest.mark.parametrize(("outcome", "says"), [(name, case[1]) for name, case in CASES.items()], ids=CASES)
def test_a_refusal_says_what_was_measured_and_what_is_allowed(outcome, says):
    look = look_of(CASES[outcome][0])
    assert look.outcome == outcome
    assert says in look.detail


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"status": MarketStatus.CLOSED}, "status closed, needed active"),
        ({"open_ns": Nanos(NOW + 90 * SECOND)}, "opens in 90.0 s"),
        ({"close_ns": Nanos(NOW - 2 * SECOND)}, "closed 2.0 s ago"),
    ],
)
def test_a_market_that_is_not_traded_says_since_or_until_when(changed, says):
    listed = replace(market(above(6850)), **changed)
    look = look_of(replace(one(), markets=(listed,)))
    assert (look.outcome, look.detail) == ("market_inactive", says)


def test_a_candidate_without_a_bin_says_its_score_and_the_bins():
    strikes = [6840 + 5 * step for step in range(6)]
    fairs = {strike: 0.7 - 0.05 * step for step, strike in enumerate(strikes)}
    plan = propose(scan(fairs, dict.fromkeys(strikes, (3_000, 7_500))))
    crowded = [look for look in plan.looks if look.outcome == "not_in_top_bins"]
    assert crowded
    for look in crowded:
        assert re.search(r"score -?\d\.\d{4}, the least of the quotes taken has -?\d\.\d{4}; ", look.detail)
        assert "0 kept and 4 new, limit 4 bins" in look.detail


@settings(deadline=None, max_examples=200)
@given(inputs=scans())
def test_every_outcome_is_in_the_table_and_every_refusal_has_numbers(inputs):
    plan = propose(inputs)
    for look in plan.looks:
        assert look.outcome in OUTCOMES, look.outcome
        assert re.search(r"\d|none", look.detail), look
        if look.outcome in {"stale_book", "mid_jump", "one_sided", "no_edge", "not_in_top_bins"}:
            assert "limit" in look.detail or "needed" in look.detail or "required" in look.detail, look
    assert {reason for _name, reason in plan.cancel} <= PULLS.keys()


def _words(module) -> set[str]:
    """String literals of the module that look like an outcome: they stand where a word is returned, noted or passed."""
    tree = ast.parse(Path(module.__file__).read_text())
    words = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Return, ast.Call, ast.Tuple, ast.Assign, ast.IfExp)):
            for child in ast.walk(node):
                if isinstance(child, ast.Constant) and isinstance(child.value, str):
                    words.add(child.value)
    return {word for word in words if re.fullmatch(r"[a-z]+(_[a-z]+)*", word)}


def test_the_tables_hold_what_the_code_says_and_nothing_else():
    said = set[str]().union(*map(_words, (selection, ideal, two_sided, edge, judging, reservation)))
    strangers = said - OUTCOMES.keys() - PULLS.keys()
    assert strangers <= {"candidate", "nan", "none", "vol_error"}, (
        "a new outcome needs its meaning in ladder/outcomes.py"
    )
    assert OUTCOMES.keys() | PULLS.keys() <= said, "a word that nothing says any more"


def test_the_sample_market_is_inside_its_hours():
    assert market(above(6850)).open_ns < NOW < TARGET < NOW + HOUR
