"""`backtest` on the command line: one JSON object at the end, and one line for what is wrong."""

import json

import pyarrow.parquet as pq
import pytest

from kalshi_daemon.backtest import runner
from kalshi_daemon.backtest.results import SessionResult, WindowRow
from kalshi_daemon.cli.main import main
from tests.backtest.test_bar_days import write_bars

KEYS = {
    "windows", "hours", "fills", "contracts", "edge_dollars_per_hour", "edge_cents", "believed_cents",
    "markout_30s_cents", "sd_per_hour", "worst_hour", "worst_case_max", "quoting_share", "cpu_s", "events",
}  # fmt: skip


@pytest.fixture
def no_session(monkeypatch):
    def played(job):
        row = WindowRow(job.name, "KXINXU-26NOV23H1500", 1, 2.0, 0.05, 0.1, 0.02, 2.0, 100, 80, 3.0)
        return SessionResult(job.name, 1.0, (row,), 0.5, books_equal=True, cpu_s=1.0, events=10, warm=job.warm)

    monkeypatch.setattr(runner, "play_job", played)


def test_the_last_word_is_one_json_object_with_the_figures(no_session, capsys):
    assert main(["backtest", "--regime", "usual", "--hours", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) >= KEYS
    assert (found["edge_cents"], found["hours"]) == (2.5, 1.0)


@pytest.mark.parametrize(("options", "memory"), [([], "warm"), (["--cold"], "cold")])
def test_made_up_sessions_begin_with_a_memory_unless_cold(options, memory, no_session, capsys):
    assert main(["backtest", "--hours", "1", *options, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["memory"] == memory


def test_against_another_policy_the_base_has_the_same_keys(no_session, capsys):
    assert main(["backtest", "--hours", "1", "--policy", "edge", "--against", "edge", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["base"]) >= KEYS
    assert (found["ratio"], found["difference"], found["t"]) == (1.0, 0.0, None)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--hours", "0"], 2, "--hours 0 is not above 0"),
        (["--regime", "calm"], 2, "efficient"),
        (["--workers", "0"], 2, "--workers 0"),
        (["--first-seed", "-1"], 2, "--first-seed -1"),
        (["--set", "x"], 2, "is not KEY=VALUE"),
        (["--mode", "live"], 2, "a backtest is simulated"),
        (["--set", "pricing.nope=1"], 78, "unknown key pricing.nope"),
        (["--policy", "nothing"], 78, "'nothing' is no policy"),
        (["--against", "nothing"], 78, "'nothing' is no policy"),
        (["--set", "mode=live"], 2, "what is played here is simulated"),
        (["--regime", ""], 2, "--regime : is none of"),
        (["--books", "b", "--regime", "usual"], 2, "--books brings its own days and traders"),
        (["--days", "2024-04-19"], 2, "--days and --data belong together"),
        (["--days", "2024-04-20..2024-04-19"], 2, "ends before it begins"),
        (["--days", "2024-04-19", "--data", "d", "--hours", "2"], 2, "days are played whole"),
        (["--cold", "--books", "b"], 2, "--cold is of made-up sessions"),
        (["--cold", "--days", "2024-04-19", "--data", "d"], 2, "--cold is of made-up sessions"),
        (["--queue-model", "l3-fifo"], 2, "--queue-model is of recorded books"),
        (["--queue-model", "best"], 2, "risk-adverse"),
        (["--report"], 2, "--report is written to --out"),
        (["--against-set", "pricing.nope=1"], 78, "unknown key pricing.nope"),
        (["--books", "/nowhere/books"], 78, "/nowhere/books: no such folder"),
        (["--days", "2024-04-19", "--data", "/nowhere/bars"], 78, "/nowhere/bars: no such folder"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_place(arguments, code, words, capsys):
    assert main(["backtest", *arguments]) == code
    err = capsys.readouterr().err
    assert words in err
    assert len(err.splitlines()) == 1


def test_two_settings_are_compared_on_the_same_sessions(no_session, capsys):
    assert main(["backtest", "--hours", "1", "--against-set", "pricing.book_weight=0.9", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["base"]) >= KEYS
    assert found["difference"] == 0.0


def test_what_is_done_is_kept_as_tables_and_as_a_page(no_session, capsys, tmp_path):
    out = tmp_path / "out"
    arguments = ["backtest", "--hours", "13", "--against", "edge", "--out", str(out), "--report", "--json"]
    assert main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert pq.read_table(out / "windows.parquet")["run"].to_pylist() == ["ours", "ours", "base", "base"]
    days = pq.read_table(out / "days.parquet").to_pylist()
    assert [(row["session"], row["edge_dollars"], row["contracts"]) for row in days[:2]] == [
        ("efficient-1", 0.05, 2.0),
        ("efficient-2", 0.05, 2.0),
    ]
    assert found["tables"] == {name: str(out / f"{name}.parquet") for name in ("windows", "days")}
    assert found["report"] == str(out / "report.html")
    assert "<svg" in (out / "report.html").read_text()


def test_an_interrupted_run_keeps_what_is_done_and_goes_on_there(no_session, monkeypatch, capsys, tmp_path):
    def interrupted(job):
        if job.name == "usual-2":
            raise KeyboardInterrupt
        return play(job)

    play = runner.play_job
    arguments = ["backtest", "--regime", "usual", "--hours", "13", "--out", str(tmp_path), "--json"]
    monkeypatch.setattr(runner, "play_job", interrupted)
    assert main(arguments) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"kalshi-daemon: interrupted, 1 of 2 sessions kept in {tmp_path}: run it again to go on\n"
    assert pq.read_table(tmp_path / "windows.parquet").num_rows == 1
    played = []

    def counted(job):
        played.append(job.name)
        return play(job)

    monkeypatch.setattr(runner, "play_job", counted)
    assert main(arguments) == 0
    assert played == ["usual-2"]
    assert json.loads(capsys.readouterr().out)["sessions"] == 2


def test_days_without_bars_are_named_in_one_line(no_session, capsys, tmp_path):
    write_bars(tmp_path / "SPX-2024.parquet", "2024-04-19", "2024-04-22")
    arguments = ["backtest", "--days", "2024-04-18..2024-04-22", "--data", str(tmp_path), "--json"]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["sessions"] == 2
    assert err == f"kalshi-daemon: {tmp_path}: days without bars, left out: 2024-04-18 (no bars)\n"
    assert main(["backtest", "--days", "2024-05-01..2024-05-02", "--data", str(tmp_path)]) == 78
    assert "no bars of any of these days: 2024-05-01 (no bars), 2024-05-02 (no bars)" in capsys.readouterr().err
