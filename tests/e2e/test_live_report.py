"""The report of a session that was lived, against what its log and its monitors' files say."""

import json

import pytest

from tests.e2e.quick import SLICE

pytestmark = pytest.mark.e2e

MONITORS = ("crps_ratio", "log_gain", "pit_ks", "cover90", "cover99", "rms_z", "evidence")


def test_the_report_of_a_session_says_what_its_log_and_its_monitors_said(processes):
    span = ("--from", "14:51", "--until", "15:03", "--speed", "200", "--seed", "3")
    daemon = processes.daemon(*span, state="lived", env=SLICE)
    assert daemon.wait(100.0) == 0, daemon.tail()
    done = processes.command("calibration-report", "--live", "--state-dir", "lived", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    state = processes.folder / "lived" / "sim"
    for index in ("SPX", "NDX"):
        report = said[index]
        readings = {(one["monitor"], one["group"]): one for one in report["readings"]}
        for name in MONITORS:
            file = json.loads((state / "reports" / "_artifacts" / "monitors" / f"record_{name}.json").read_text())
            for key, figure in file["metrics"].items():
                which, group = key.split(".")
                if which == index:
                    assert readings[name, group]["value"] == figure["value"], (index, name, group)
                    assert readings[name, group]["n"] == figure["n"]
        hours = [row["n"] for row in report["rows"] if row["target"] == "hour"]
        near, hour = readings["rms_z", "near"]["n"], readings["rms_z", "hour"]["n"]
        assert sum(hours) == report["live"] + report["again"] == near + hour > 0
        assert report["live"] > 0, "those of 15:00 that were made from 14:51 on"
        assert report["again"] > 0, "history gave the day up to then"
        logged = daemon.events("forecast_record.market_compared", index=index)[-1]
        assert report["market"]["spans"]
        for gains in report["market"]["spans"]:
            for name in ("log_gain", "brier_gain"):
                assert gains[name] == pytest.approx(logged[f"market_{name}_{gains['name']}"], abs=1.1e-5)
        assert report["market_evidence"][-1]["value"] == pytest.approx(logged["market_evidence_all"], abs=1e-5)
        page = (state / "reports" / "calibration" / f"{index}.html").read_text()
        assert page.startswith("<!doctype html>")
        assert "Recalibration maps" in page


def test_before_the_first_fixing_there_is_nothing_to_report(processes, tmp_path):
    done = processes.command("calibration-report", "--live", "--state-dir", str(tmp_path))
    assert done.returncode == 4
    assert done.stdout == ""
    assert "no forecast of SPX and NDX has come due" in done.stderr
    assert done.stderr.count("\n") == 1
