"""A log of before 0.1.0 is read by its old event names; CHANGELOG lists what digest knows."""

import re
from pathlib import Path

import orjson

from kalshi_daemon.digest.renamed_events import RENAMED, event_name
from kalshi_daemon.digest.scans import ScanDay
from kalshi_daemon.digest.service import ServiceLog
from tests.digest.digest_rig import at, log_line

ROOT = Path(__file__).resolve().parents[2]


def test_a_log_of_before_is_summed_up_like_one_of_today():
    def folded(cutoff: str, stop: str, streams: str) -> tuple[list[str], int, list[int], dict[str, int]]:
        log = ServiceLog(ScanDay())
        log.add(orjson.loads(log_line(at(12, 57), cutoff, "error", window="W3", remaining=1)))
        log.add(orjson.loads(log_line(at(16), stop, "error")))
        log.add(orjson.loads(log_line(at(16), streams, up=True, lag_ms_max=31)))
        return log.cutoffs_unverified, log.stops_unverified, log.stream_lag_ms, dict(log.levels)

    before = folded("window.cutoff_UNVERIFIED", "shutdown.cancel_all.UNVERIFIED", "venue.streams")
    assert before == (["W3"], 1, [31], {"window.cutoff_unverified": 1, "stop.unverified": 1})
    assert before == folded("window.cutoff_unverified", "stop.unverified", "kalshi_stream.measured")


def test_the_changelog_lists_each_renamed_event():
    table = (ROOT / "CHANGELOG.md").read_text().split("\nLog events (")[1].split("\nLog fields:")[0]
    assert dict(re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|$", table, re.MULTILINE)) == dict(RENAMED)


def test_old_names_lead_to_events_that_exist_and_are_used_for_nothing_else():
    events = re.findall(r"^\| `([a-z_.]+)` \|", (ROOT / "docs" / "log-events.md").read_text(), re.MULTILINE)
    assert set(RENAMED.values()) <= set(events)
    assert not set(RENAMED) & set(events)
    assert all(event_name(one) == one for one in events)
