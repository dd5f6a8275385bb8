"""`sweep` on the command line: what lands, what is said, and one line for what is wrong."""

import json

import pytest

from kalshi_daemon.cli.main import main
from tests.sweep.tiny import result


@pytest.fixture
def no_cluster(monkeypatch):
    """Everything is played at once, in this process."""
    cluster = pytest.importorskip("kalshi_daemon.backtest.sweep.cluster", reason="the extra `sweep` is not installed")

    def play_all(jobs, where, tell, work):
        progress = cluster.Progress(len(jobs), workers=where.workers, dashboard="http://127.0.0.1:1/status")
        for path, job in jobs.items():
            edge = job.settings.pricing.rescan_s_min * (1 + job.world.seed)
            work.keep(path, result(job.name, edge, warm=job.warm))
            progress.played[path.name] = job.name
            progress.done += 1
        tell(progress)
        return progress

    monkeypatch.setattr(cluster, "play_all", play_all)


def test_every_variant_plays_every_session_and_is_compared_with_the_first(no_cluster, tmp_path, capsys):
    arguments = ["--regime", "usual", "--regime", "noise", "--hours", "20", "--vary", "pricing.rescan_s_min=5,8"]
    assert main(["sweep", *arguments, "--out", str(tmp_path), "--plots", "--json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert [(one["regime"], one["variant"]) for one in found["cells"]] == [
        (regime, f"pricing.rescan_s_min={value}") for regime in ("usual", "noise") for value in (5, 8)
    ]
    assert found["sessions"] == len(list(tmp_path.glob("*.json"))) == 12
    assert [one["regime"] for one in found["comparisons"]] == ["usual", "noise"]
    assert all(one["p_adjusted"] >= one["p"] for one in found["comparisons"])
    assert "Holm" in found["method"]
    assert "dashboard: http://127.0.0.1:1/status" in said.err
    assert (tmp_path / "sweep.svg").read_text().startswith("<svg")
    assert main(["sweep", *arguments, "--out", str(tmp_path)]) == 0
    assert "Differences" in capsys.readouterr().out


@pytest.mark.parametrize(("options", "memory"), [([], "warm"), (["--cold"], "cold")])
def test_made_up_sessions_begin_with_a_memory_unless_cold(options, memory, no_cluster, tmp_path, capsys):
    assert main(["sweep", "--hours", "1", "--out", str(tmp_path), *options, "--json"]) == 0
    assert [one["memory"] for one in json.loads(capsys.readouterr().out)["cells"]] == [memory]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--hours", "0"], 2, "--hours 0 is not between"),
        (["--regime", "calm"], 2, "--regime calm: is none of efficient"),
        (["--vary", "pricing.x"], 2, "is not KEY=V1,V2"),
        (["--vary", "pricing.nope=1,2"], 78, "unknown key pricing.nope"),
        (["--vary", "pricing.rescan_s_min=5,5"], 78, "one of them twice"),
        (["--workers", "0"], 2, "--workers 0"),
        (["--cold", "--days", "2024-04-19", "--data", "d"], 2, "--cold is of made-up sessions"),
        (["--scheduler", "localhost"], 2, "is not tcp://HOST:PORT"),
        (["--mode", "live"], 2, "there is no other"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_place(arguments, code, words, tmp_path, capsys):
    assert main(["sweep", "--out", str(tmp_path / "out"), *arguments]) == code
    err = capsys.readouterr().err
    assert words in err
    assert len(err.splitlines()) == 1
