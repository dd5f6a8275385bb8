"""Orders and their ends, guards and the time they kept shut, the share of a window that was quoted."""

from typing import Any

import pytest

from kalshi_daemon.digest import scans as scanning
from kalshi_daemon.digest.quoting import quoting
from kalshi_daemon.digest.records import covered, order_record
from kalshi_daemon.digest.scans import ScanDay
from kalshi_daemon.domain.order import Status
from kalshi_daemon.ground.units import MINUTE, SECOND, Nanos
from tests.digest.digest_rig import EVENT, M1, at, look, manifest, order, quote, records_of, scans_of, verdict


def lived(name, start, end, status=Status.CANCELED, **more):
    """An order that rested from `start` to `end`."""
    made = order(name, made=start, status=status, **more)
    history: list[Any] = [(start, "Intended", "intended", {}), (start, "Acked", "resting", {})]
    return order_record(made, [*history, (end, "ReportedCanceled", status.value, {})])


def test_orders_are_counted_by_what_became_of_them():
    orders = (
        lived("a", at(10, 10), at(10, 11), reason="replaced"),
        lived("b", at(10, 10), at(10, 11), reason="edge_lost"),
        lived("c", at(10, 12), at(10, 13), status=Status.FILLED, filled=150),
        order_record(order("d", status=Status.REJECTED, known=False, reason="post_only_cross"), []),
    )
    found = quoting(records_of(orders=orders), ScanDay())
    assert (found.placed, found.filled_orders, found.filled_contracts, found.placed_contracts) == (3, 1, 150, 600)
    assert found.fill_ratio == 0.25
    assert found.ends == {"canceled": 2, "filled": 1}
    assert found.cancelled_why == {"edge_lost": 1, "replaced": 1}
    assert found.not_placed == {"post_only_cross": 1}


def test_a_day_without_orders_has_no_ratio():
    found = quoting(records_of(), ScanDay())
    assert (found.placed, found.fill_ratio, found.windows) == (0, None, ())


def test_the_share_of_a_window_that_was_quoted_counts_no_minute_twice():
    """Open from 10:00 to 10:55; quoted 10:10 to 10:20 by two orders that overlap, and 10:54 to after the end."""
    orders = (
        lived("a", at(10, 10), at(10, 18)),
        lived("b", at(10, 15), at(10, 20)),
        lived("c", at(10, 54), at(10, 58)),
        order_record(order("d", status=Status.REJECTED), []),
    )
    found = quoting(records_of(orders=orders), scans_of(manifest(at(10, 5), look(M1, 0.5))))
    [window] = found.windows
    assert window.window.event == EVENT
    assert (window.open_ns, window.quoted_ns) == (55 * MINUTE, 11 * MINUTE)
    assert window.share == 11 / 55


def test_a_live_order_rests_until_its_expiry_and_not_beyond_now():
    live = order_record(order("a", made=at(10, 10), status=Status.RESTING), [(at(10, 10), "Acked", "resting", {})])
    scans = scans_of(manifest(at(10, 5), look(M1, 0.5)))
    [late] = quoting(records_of(orders=(live,)), scans).windows
    assert late.quoted_ns == 90 * SECOND
    [early] = quoting(records_of(orders=(live,), now=at(10, 10, 30)), scans).windows
    assert (early.quoted_ns, early.open_ns) == (30 * SECOND, Nanos(10 * MINUTE + 30 * SECOND))


def test_guards_are_counted_and_closed_until_the_next_scan_of_the_same_profile_and_window():
    shut = (verdict("feed_age", passed=False, note="old"),)
    forced = (verdict("macro", passed=False, forced=True),)
    refused = quote(M1, verdict("pal", passed=False, measured=1_200, limit=1_000))
    scans = scans_of(
        manifest(at(10, 10), verdicts=shut),
        manifest(at(10, 12), verdicts=shut, profile="size"),
        manifest(at(10, 13), verdicts=forced, quotes=(refused,)),
        manifest(at(10, 15), profile="size"),
        manifest(at(10, 52), verdicts=shut),
    )
    found = {one.guard: one for one in quoting(records_of(), scans).refusals}
    assert found["feed_age"].count.scans == 3
    assert found["feed_age"].closed_ns == 5 * MINUTE + 3 * MINUTE, "10:10 to 10:15 by both, 10:52 to the end of quoting"
    assert found["feed_age"].count.last == "old"
    assert (found["macro"].count.forced, found["macro"].closed_ns) == (1, 0)
    assert (found["pal"].count.quotes, found["pal"].count.scans, found["pal"].closed_ns) == (1, 0, 0)
    assert found["pal"].count.last == "1200 against 1000 dollars"


def test_refusals_of_the_forecasts_record_are_alarms():
    scans = scans_of(manifest(at(10, 10), verdicts=(verdict("forecast_record", passed=False),)))
    assert [one.guard for one in quoting(records_of(), scans).alarms] == ["forecast_record"]


def test_an_order_with_an_unknown_outcome_says_how_long():
    made = order("a", made=at(10, 10), status=Status.CANCELED)
    record = order_record(
        made,
        [
            (at(10, 10), "Intended", "intended", {}),
            (at(10, 10, 3), "OutcomeUnknown", "unknown", {"cause": "time-out"}),
            (at(10, 10, 7), "ReportedResting", "resting", {}),
            (at(10, 11), "CancelSent", "pending_cancel", {"reason": "replaced"}),
            (at(10, 11, 0.25), "CancelAcked", "canceled", {}),
        ],
    )
    [unknown] = record.unknown
    assert unknown.took_ns == 4 * SECOND
    assert (record.rested_ns, record.ended_ns, record.answer_ns) == (at(10, 10, 7), at(10, 11, 0.25), None)
    assert record.cancel_ns == (SECOND // 4,)


def test_an_unknown_outcome_that_stayed_is_not_zero_long():
    record = order_record(order("a", status=Status.UNKNOWN), [(at(10, 10), "OutcomeUnknown", "unknown", {})])
    assert record.unknown[0].took_ns is None
    assert record.ended_ns is None


def test_covered_time():
    assert covered([(0, 10), (5, 20), (30, 40), (40, 40), (90, 80)], (2, 35)) == 18 + 5
    assert covered([], (0, 10)) == 0


def test_manifests_beyond_the_bound_are_counted_and_no_longer_folded(monkeypatch):
    monkeypatch.setattr(scanning, "SCANS_MAX", 1)
    scans = scans_of(manifest(at(10), look(M1, 0.5)), manifest(at(10, 3), look(M1, 0.5)))
    assert (scans.scans, scans.dropped, [one.at_ns for one in scans.fairs[M1]]) == (1, 1, [at(10)])


def _without(found: dict, name: str) -> dict:
    return {key: value for key, value in found.items() if key != name}


_REFUSAL = verdict("pal", passed=False)
_QUOTE = quote(M1, _REFUSAL)
_UNREADABLE = {
    "no time zone": {"generated_at": "2026-11-23T10:00:00"},
    "a strike in words": {"looks": [look(M1, 0.5, low="high")]},
    "no profile": {"profile": {}},
    "a verdict without its answer": {"verdicts": [_REFUSAL, _without(_REFUSAL, "passed")]},
    "a verdict without a name": {"verdicts": [_REFUSAL, _without(_REFUSAL, "guard")]},
    "a refusal that does not say whether it was forced": {"verdicts": [_REFUSAL, _without(_REFUSAL, "forced")]},
    "a verdict that is a word": {"verdicts": [_REFUSAL, "closed"]},
    "a quote's verdict without its answer": {"quotes": [_QUOTE, _QUOTE | {"verdicts": [{"guard": "pal"}]}]},
    "a quote that does not say whether it was accepted": {"quotes": [_QUOTE, _without(_QUOTE, "accepted")]},
    "an index nobody knows": {"inputs": {"index": "DAX", "level": 6_815.0, "sigma": 0.001}},
    "no level": {"inputs": {"index": "SPX", "sigma": 0.001}},
}


@pytest.mark.parametrize("damage", _UNREADABLE.values(), ids=_UNREADABLE)
def test_a_manifest_counts_whole_or_not_at_all(damage):
    whole = manifest(at(10), look(M1, 0.5), verdicts=(_REFUSAL,), quotes=(_QUOTE,))
    broken = whole | damage
    scans = scans_of(broken)
    assert (scans.scans, scans.unreadable, scans.fairs[M1], scans.pays) == (0, 1, [], {})
    assert (scans.windows, scans.guards, scans.peaks) == ({}, {}, {})
    alone, after = scans_of(whole), scans_of(broken, whole)
    assert after.unreadable == 1
    for name in ("plans", "windows", "guards", "fairs", "pays", "peaks"):
        assert getattr(after, name) == getattr(alone, name), name


def test_the_peak_of_a_budget_is_its_first_highest():
    budgets = [(verdict("pal", measured=value, limit=9.0),) for value in (3.0, 7.0, 7.0, 5.0)]
    scans = scans_of(*(manifest(at(10, at_), verdicts=one) for at_, one in enumerate(budgets)))
    assert (scans.peaks["pal"].measured, scans.peaks["pal"].at_ns) == (7.0, at(10, 1))
