"""`backtest` on the command line: one JSON object at the end, and one line for what is wrong."""

import json

import pytest

from kalshi_daemon.backtest import runner
from kalshi_daemon.backtest.results import SessionResult, WindowRow
from kalshi_daemon.cli.main import main

KEYS = {
    "windows", "hours", "fills", "contracts", "edge_dollars_per_hour", "edge_cents", "believed_cents",
    "markout_30s_cents", "sd_per_hour", "worst_hour", "worst_case_max", "quoting_share", "cpu_s", "events",
}  # fmt: skip


@pytest.fixture
def no_session(monkeypatch):
    def played(job):
        row = WindowRow(job.name, "KXINXU-26NOV23H1500", 1, 2.0, 0.05, 0.1, 0.02, 2.0, 100, 80, 3.0)
        return SessionResult(job.name, 1.0, (row,), 0.5, books_equal=True, cpu_s=1.0, events=10)

    monkeypatch.setattr(runner, "play_job", played)


def test_the_last_word_is_one_json_object_with_the_figures(no_session, capsys):
    assert main(["backtest", "--regime", "usual", "--hours", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) >= KEYS
    assert (found["edge_cents"], found["hours"]) == (2.5, 1.0)


def test_against_another_policy_the_base_has_the_same_keys(no_session, capsys):
    assert main(["backtest", "--hours", "1", "--policy", "edge", "--against", "edge", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["base"]) >= KEYS
    assert (found["ratio"], found["difference"], found["t"]) == (1.0, 0.0, None)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--hours", "0"], 2, "--hours 0 is not between"),
        (["--regime", "calm"], 2, "efficient"),
        (["--workers", "0"], 2, "--workers 0"),
        (["--first-seed", "-1"], 2, "--first-seed -1"),
        (["--set", "x"], 2, "is not KEY=VALUE"),
        (["--mode", "live"], 2, "a backtest is simulated"),
        (["--set", "pricing.nope=1"], 78, "unknown key pricing.nope"),
        (["--policy", "nothing"], 78, "'nothing' is no policy"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_place(arguments, code, words, capsys):
    assert main(["backtest", *arguments]) == code
    err = capsys.readouterr().err
    assert words in err
    assert len(err.splitlines()) == 1
