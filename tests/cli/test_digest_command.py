import contextlib
import json

import pytest

from kalshi_daemon.cli.main import main
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.operations.logging import log_path
from kalshi_daemon.orders.booked import Result
from kalshi_daemon.orders.journal import Journal, journal_path
from tests.digest.digest_rig import EVENT, M1, at, fill, log_line, look, manifest, order, write_manifest


@pytest.fixture
def day(elsewhere):
    root = elsewhere / "state" / "sim"
    with contextlib.closing(Journal.open(journal_path(root), Nanos(0))) as journal:
        journal.record_intents([order("A")])
        journal.add_fill(fill("A", M1, at(10, 12), count=2, fee=50), Nanos(1))
        journal.add_result(M1, EVENT, Result("no", at(11, 2)), Nanos(1))
    write_manifest(root, manifest(at(10, 9), look(M1, 0.45)), "100900")
    log = log_path(root)
    log.parent.mkdir()
    log.write_bytes(log_line(at(9, 30), "daemon.ready"))
    return root


def test_tables_for_people(day, capsys):
    assert main(["digest"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Mon 2026-11-23, mode sim\n")
    lines = {line.split("  ")[0]: line.split("  ", 1)[1].strip() for line in out.splitlines() if "  " in line}
    assert lines["profit of settled markets"] == "-0.8050"
    assert lines["fills"] == "1, 2.00 contracts"
    assert lines["maker share"] == "100.0%"
    assert lines["edge at settlement"] == "-0.4000 per contract, -0.8000 in all"
    assert "Service" in out
    assert "Worst fills" in out


def test_json_for_programs(day, capsys):
    assert main(["digest", "--json", "--date", "2026-11-23", "--skip-slo"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["money"]["profit_dollars"] == "-0.8050"
    assert found["fills"]["fees_dollars"] == "0.0050"
    assert found["service"] is None


def test_markdown_for_files(day, capsys, elsewhere):
    assert main(["digest", "--out", "page.md", "--json"]) == 0
    json.loads(capsys.readouterr().out)
    page = (elsewhere / "page.md").read_text()
    assert page.startswith("# Digest of Monday 2026-11-23, mode sim\n")
    assert "| KXINXU | -0.8050 | 0.0050 | 1 | 2.00 | 1 |" in page


def test_today_is_the_last_simulated_day_in_mode_sim(day, capsys):
    assert main(["digest", "--json", "--date", "today"]) == 0
    assert json.loads(capsys.readouterr().out)["date"] == "2026-11-23"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--date", "2026-11-20"], "nothing of 2026-11-20"),
        (["--mode", "demo"], "no journal"),
        (["--mode", "demo", "--date", "today"], "no journal"),
    ],
)
def test_nothing_of_that_day_is_4(day, capsys, argv, words):
    assert main(["digest", *argv]) == 4
    assert words in capsys.readouterr().err


def test_a_day_that_is_none_is_a_wrong_command_line(day, capsys):
    assert main(["digest", "--date", "monday"]) == 2
    assert "monday" in capsys.readouterr().err
