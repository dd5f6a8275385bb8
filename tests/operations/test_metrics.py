"""The status in Prometheus' words, the rules over them, and the dashboard that draws them."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from kalshi_daemon.ground.units import Count, Dollars, Nanos
from kalshi_daemon.operations.metrics import exposition, registry_of
from kalshi_daemon.operations.status import BudgetStanding, ClosedGuard, DaemonStatus, IndexStanding, status_of
from kalshi_daemon.state import DaemonState
from tests.operations.test_alert_rules import CALM
from tests.operations.test_status import NOW, STARTING

MONITORING = Path(__file__).resolve().parents[2] / "deploy" / "monitoring"
RULES = {
    rule["alert"]: rule
    for group in yaml.safe_load((MONITORING / "prometheus-rules.yml").read_text())["groups"]
    for rule in group["rules"]
}
FINE = replace(CALM, session_open=True, stream_up=True)
Samples = dict[str, list[tuple[dict[str, str], float]]]


def samples_of(status: DaemonStatus, **more: float) -> Samples:
    found: Samples = {"up": [({"job": "kalshi-daemon"}, more.get("up", 1.0))]}
    for family in text_string_to_metric_families(exposition(registry_of(lambda: status)).decode()):
        for sample in family.samples:
            labels = dict(sample.labels) | ({"job": "kalshi-daemon"} if sample.name.startswith("process_") else {})
            found.setdefault(sample.name, []).append((labels, sample.value))
    if "memory" in more:
        found["process_resident_memory_bytes"] = [({"job": "kalshi-daemon"}, more["memory"])]
    return found


TERM = re.compile(
    r"(?P<name>[a-z_]+)(?:\{(?P<label>\w+)(?P<how>=|=~|!~)\"(?P<word>[^\"]*)\"\})? (?P<sign>[<>=]=?) (?P<limit>\S+)"
)
SIGNS = {">": float.__gt__, "<": float.__lt__, ">=": float.__ge__, "==": float.__eq__}
MATCHES = {
    "=": lambda word, value: word == value,
    "=~": lambda word, value: re.fullmatch(word, value) is not None,
    "!~": lambda word, value: re.fullmatch(word, value) is None,
}


def fires(expression: str, samples: Samples) -> bool:
    """PromQL as far as our rules use it: comparisons of one series with a number, joined by `and on()`."""
    for part in expression.split(" and on() "):
        term = TERM.fullmatch(part)
        assert term, part
        assert term["name"] in samples, f"{term['name']} is not served"
        seen = samples[term["name"]]
        if term["label"]:
            seen = [
                s for s in seen if MATCHES[term["how"]](term["word"].replace("\\\\", "\\"), s[0].get(term["label"], ""))
            ]
            assert seen, f"{part} looks at nothing"
        if not any(SIGNS[term["sign"]](value, float(term["limit"])) for _labels, value in seen):
            return False
    return True


def spent(ratio: float) -> DaemonStatus:
    return replace(
        FINE, budgets={"daily_loss": BudgetStanding(Dollars(0), Dollars(round(ratio * 500_000)), Dollars(500_000))}
    )


CLOSED = ClosedGuard("feed_age", 9_000, 2_500, "ms", "hold", "", ("KXINXU-26NOV23H1100",), Nanos(0))
DRIVEN = {
    "KalshiDaemonDown": samples_of(FINE, up=0.0),
    "KalshiDaemonStalled": samples_of(replace(FINE, facts=replace(FINE.facts, progress_age_ms=31_000))),
    "KalshiDaemonBooksDisagree": samples_of(replace(FINE, reconciled=False)),
    "KalshiDaemonOrderGroupHalted": samples_of(replace(FINE, halted={"wide": "21 contracts"})),
    "KalshiDaemonBudgetSpent": samples_of(spent(1.0)),
    "KalshiDaemonBudgetNearlySpent": samples_of(spent(0.81)),
    "KalshiDaemonGuardClosed": samples_of(replace(FINE, closed=(CLOSED,))),
    "KalshiDaemonKillSwitch": samples_of(replace(FINE, kill_switch=True)),
    "KalshiDaemonIndexSilent": samples_of(replace(FINE, ages=dict(FINE.ages) | {"index.SPX": 61_000})),
    "KalshiDaemonStreamDown": samples_of(replace(FINE, stream_up=False)),
    "KalshiDaemonOrdersQuarantined": samples_of(replace(FINE, quarantined=1)),
    "KalshiDaemonDiskLow": samples_of(replace(FINE, disk_free_bytes=900_000_000)),
    "KalshiDaemonMemory": samples_of(FINE, memory=9e8),
}


def test_every_rule_is_driven():
    assert set(DRIVEN) == set(RULES)


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_rule_fires_when_it_should_and_rests_while_all_is_well(name):
    expression = RULES[name]["expr"]
    assert not fires(expression, samples_of(FINE, memory=3e8))
    assert fires(expression, DRIVEN[name])
    assert RULES[name]["labels"]["severity"] in {"warning", "critical"}
    assert RULES[name]["annotations"]["summary"]


def test_the_operators_wish_is_no_closed_guard():
    for guard in ("armed", "kill_switch", "latch"):
        status = replace(FINE, closed=(replace(CLOSED, guard=guard),))
        assert not fires(RULES["KalshiDaemonGuardClosed"]["expr"], samples_of(status))


def test_promtool_finds_the_rules_well_formed():
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    subprocess.run([promtool, "check", "rules", str(MONITORING / "prometheus-rules.yml")], check=True)


def test_the_dashboard_draws_what_is_served_and_says_so_in_grafanas_form():
    board = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    assert {"title", "uid", "schemaVersion", "panels", "templating", "time"} <= set(board)
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"]) >= 10
    served = samples_of(FINE)
    for panel in board["panels"]:
        assert {"title", "type", "gridPos", "datasource", "targets", "fieldConfig"} <= set(panel)
        place = panel["gridPos"]
        assert 0 <= place["x"] <= 24 - place["w"]
        assert panel["datasource"]["uid"] == "${datasource}"
        for target in panel["targets"]:
            names = re.findall(r"(?:kalshi_daemon|process)_[a-z_]+", target["expr"])
            assert names
            assert set(names) <= set(served), panel["title"]


def test_what_is_unknown_has_no_sample():
    found = samples_of(status_of(DaemonState(), NOW, STARTING))
    for name in ("progress_age_seconds", "index_value", "budget_used_ratio", "disk_free_bytes"):
        assert f"kalshi_daemon_{name}" not in found
    assert found["kalshi_daemon_ready"] == [({}, 0.0)]


def test_figures_are_the_statuses_own():
    status = replace(
        FINE,
        pnl_today=Dollars(-12_345),
        contracts_held=Count(250),
        indices={"SPX": IndexStanding(6_870.5, 400, withheld=False)},
    )
    found = samples_of(status)
    assert ({"span": "day"}, -1.2345) in found["kalshi_daemon_pnl_dollars"]
    assert found["kalshi_daemon_contracts_held"] == [({}, 2.5)]
    assert found["kalshi_daemon_index_value"] == [({"index": "SPX"}, 6_870.5)]
    assert found["kalshi_daemon_scans_total"] == [({}, float(status.scans))]
    assert found["kalshi_daemon_info"] == [({"version": "0.1.0", "mode": "live"}, 1.0)]
