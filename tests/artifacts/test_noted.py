"""Fingerprints of decisions: equal for equal content, and never an error."""

from dataclasses import dataclass

import pytest

from kalshi_daemon.artifacts.noted import fingerprint


@dataclass(frozen=True)
class Seen:
    price: float
    names: frozenset[str]


def test_equal_content_has_one_fingerprint_and_the_last_bit_of_a_number_another():
    one, same = Seen(0.1 + 0.2, frozenset("abcdef")), Seen(0.1 + 0.2, frozenset("fedcba"))
    assert fingerprint([one]) == fingerprint([same])
    assert fingerprint([one]) != fingerprint([Seen(0.3, one.names)])


@pytest.mark.parametrize("value", [{(1, 2): 3}, {1 << 70}, "\ud800", [[float("nan")]]], ids=repr)
def test_what_json_has_no_form_for_costs_no_scan(value):
    assert len(fingerprint(value)) == 16


def test_what_holds_itself_costs_no_scan():
    circle: list[object] = []
    circle.append(circle)
    assert len(fingerprint(circle)) == 16
