"""The fold over the log and the percentiles of what was recorded."""

from typing import Any

import orjson
import pytest

from kalshi_daemon.digest import service as folding
from kalshi_daemon.digest.records import OrderRecord, order_record
from kalshi_daemon.digest.scans import ScanDay
from kalshi_daemon.digest.service import ServiceLog, delay, service
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.order import Status
from kalshi_daemon.ground.units import MINUTE, SECOND, Nanos
from tests.digest.digest_rig import M1, at, log_line, look, manifest, order, records_of, scans_of, tape


def folded(*lines: bytes, scans: ScanDay | None = None) -> ServiceLog:
    log = ServiceLog(scans or ScanDay())
    for line in lines:
        log.add(orjson.loads(line))
    return log


def test_runs_restarts_and_why_they_ended():
    log = folded(
        log_line(at(9, 25), "daemon.starting"),
        log_line(at(9, 26), "daemon.ready"),
        log_line(at(10), "stop.asked", reason="SIGTERM"),
        log_line(at(10, 0, 1), "session.summary", stop_reason="SIGTERM"),
        log_line(at(10, 5), "daemon.starting", run_id="r2"),
        log_line(at(10, 6), "daemon.ready", run_id="r2"),
        log_line(at(11), "scan.done", run_id="r2"),
    )
    first, second = log.runs.values()
    assert (first.ready, first.finished, first.stop_reason) == (True, True, "SIGTERM")
    assert (second.finished, second.stop_reason) == (False, "")
    assert service(records_of(), ScanDay(), log).up_ns == 35 * MINUTE + SECOND + 55 * MINUTE


def test_reconnects_are_not_first_connects_and_time_down_is_between_end_and_opening():
    log = folded(
        log_line(at(9, 30), "feed.session_opened", session=1),
        log_line(at(10), "feed.session_ended", "warning", cause="1006"),
        log_line(at(10, 0, 2), "feed.session_ended", "warning", cause="no answer"),
        log_line(at(10, 0, 5), "feed.session_opened", session=2),
        log_line(at(10, 30), "kalshi_stream.session_opened", connection=1),
        log_line(at(11), "feed.session_opened", session=1, run_id="r2"),
    )
    assert (log.feed.opened, log.feed.reconnects, log.feed.down_ns) == (3, 1, 5 * SECOND)
    assert folded(log_line(at(10), "kalshi_stream.session_opened", connection=4)).stream.reconnects == 1, "older run"
    assert dict(log.feed.ends) == {"1006": 1, "no answer": 1}
    assert (log.stream.opened, log.stream.reconnects, log.stream.down_ns) == (1, 0, 0)


def test_cutoffs_and_the_tightest_of_them():
    log = folded(
        log_line(at(10, 57), "window.cutoff_verified", window="W1", early_ms=8_800),
        log_line(at(11, 57), "window.cutoff_verified", window="W2", early_ms=-40),
        log_line(at(12, 57), "window.cutoff_unverified", "error", window="W3", remaining=1),
        log_line(at(16), "stop.unverified", "error"),
    )
    assert (log.cutoffs_verified, log.early_ms, log.cutoffs_unverified) == (2, (-40, "W2"), ["W3"])
    assert log.stops_unverified == 1
    assert log.levels == {"window.cutoff_unverified": 1, "stop.unverified": 1}


def test_rate_limits_are_found_by_the_errors_own_words_wherever_they_stand():
    log = folded(
        log_line(at(10), "kalshi.read_retried", cause="get_orders: rate limited (cost 10 tokens)"),
        log_line(at(10), "order.refused", "warning", reason="rate_limited", detail="create: rate limited (cost 10)"),
        log_line(at(10), "order.ask_failed", "warning", problem="get_orders: rate limited (cost 10 tokens)"),
        log_line(at(10), "order.ask_failed", "warning", problem="timed out"),
    )
    assert log.rate_limited == 3


def test_the_time_of_a_scan_is_from_its_manifest_to_its_line():
    scans = scans_of(manifest(at(10), look(M1, 0.5), plan_id="r1-1"))
    log = folded(
        log_line(at(10, 0, 0.4), "scan.done", plan_id="r1-1"),
        log_line(at(10), "scan.done", plan_id="r1-9"),
        scans=scans,
    )
    assert log.scan_ns == [400_000_000]


def test_lines_that_are_not_ours_are_counted_and_nothing_else():
    log = ServiceLog(ScanDay())
    for line in ({}, {"ts": "yesterday", "event": "x", "run_id": "r"}, {"ts": None, "event": "x", "run_id": "r"}):
        log.add(line)
    assert (log.unreadable, log.lines, log.runs) == (3, 0, {})


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], (0, None, None, None)), ([7], (1, 7, 7, 7)), (range(1, 101), (100, 50, 99, 100)), ([3, 1], (2, 1, 3, 3))],
)
def test_percentiles_are_of_the_nearest_rank(values, expected):
    found = delay(values)
    assert (found.n, found.p50, found.p99, found.most) == expected


def test_ticks_minutes_without_any_and_their_delay():
    """Open from 10:00 to 11:00; ticks in the first minute and the last one, and one outside."""
    scans = scans_of(manifest(at(10, 5), look(M1, 0.5)))
    records = records_of(tapes={Index.SPX: tape((at(9), 1.0), (at(10, 0, 30), 1.0), (at(10, 59, 59), 1.0))})
    [ticks] = service(records, scans, ServiceLog(scans)).ticks
    assert (ticks.ticks, ticks.silent_minutes, ticks.delay.p50) == (2, 58, 100_000_000)
    [blind] = service(records, ScanDay(), ServiceLog(ScanDay())).ticks
    assert (blind.ticks, blind.silent_minutes) == (3, None)


def test_unknown_outcomes_longest_first_and_unresolved_before_all():
    def lost(name: str, seconds: int | None) -> OrderRecord:
        answer: list[Any] = (
            [] if seconds is None else [(Nanos(at(10) + seconds * SECOND), "ReportedResting", "resting", {})]
        )
        return order_record(order(name, status=Status.UNKNOWN), [(at(10), "OutcomeUnknown", "unknown", {}), *answer])

    records = records_of(orders=(lost("a", 2), lost("b", None), lost("c", 9)))
    found = service(records, ScanDay(), ServiceLog(ScanDay())).unknown
    assert [one.client_order_id for one in found] == ["kd-b", "kd-c", "kd-a"]


def test_the_lag_of_the_stream_counts_only_while_it_is_up():
    log = folded(
        log_line(at(10), "kalshi_stream.measured", up=True, lag_ms_max=600),
        log_line(at(10, 1), "kalshi_stream.measured", up=False, lag_ms_max=90_000),
        log_line(at(10, 2), "kalshi_stream.measured", up=True),
        log_line(at(10, 57), "window.cutoff_verified", window="W"),
    )
    found = service(records_of(), ScanDay(), log)
    assert (found.stream_lag_ms.n, found.stream_lag_ms.most) == (1, 600)
    assert (log.cutoffs_verified, log.early_ms) == (1, None)


def test_a_log_full_of_runs_and_causes_stays_bounded(monkeypatch):
    monkeypatch.setattr(folding, "RUNS_MAX", 2)
    monkeypatch.setattr(folding, "NAMES_MAX", 2)
    lines = [log_line(at(10, 0, n), "feed.session_ended", "warning", run_id=f"r{n}", cause=f"c{n}") for n in range(5)]
    lines += [log_line(at(11, 0, n), "feed.session_opened", run_id=f"r{n}", session=2) for n in range(5)]
    lines += [log_line(at(12, 0, n), "feed.session_ended", "warning", run_id="r0", cause="c0") for n in range(2)]
    lines += [log_line(at(13), "feed.session_opened", run_id="r0", session=3)]
    log = folded(*lines, log_line(at(14), "daemon.ready", run_id="r4"))
    assert set(log.runs) == {"r0", "r1"}
    assert log.feed.ends == {"c0": 3, "c1": 1, "(others)": 3}
    assert (len(log.feed.down), log.feed.reconnects) == (2, 6)
    assert log.levels == {"feed.session_ended": 7}
