"""`calibrate` reads nothing it may not, writes what the daemon reads back, and refuses what scores worse."""

import json
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from kalshi_daemon.bars.sessions import read_sample
from kalshi_daemon.calibration.constants_file import SHIPPED, document_of, read_constants
from kalshi_daemon.cli.main import main
from kalshi_daemon.cli.score import DAYS
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.errors import ConfigurationError, ExitCode
from kalshi_daemon.research import calibrate
from kalshi_daemon.research.calibrate import Fit, Verdict, fit, held_back
from kalshi_daemon.research.selection import NAMES, selection_of
from tests.research.synthetic import write_days

UNTIL = date(2024, 5, 15)
HELD_BACK = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("bars")
    write_days(path / "ES_x.parquet", date(2024, 1, 2), date(2024, 5, 24))
    return path


@pytest.fixture(scope="module")
def sample(folder):
    return read_sample(folder, Index.SPX).until(UNTIL)


@pytest.fixture(scope="module", autouse=True)
def short():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibrate, "DAYS_MIN", 40)
        patch.setattr(calibrate, "BURN_IN_DAYS", 10)
        yield


@pytest.fixture(scope="module")
def fitted(sample) -> Fit:
    return fit(held_back(sample, HELD_BACK)[0], SHIPPED, "mine")


def command(folder, *more: str) -> list[str]:
    span = ["--data", str(folder), "--index", "SPX", "--until", str(UNTIL), "--hold-out", str(HELD_BACK), "--json"]
    return ["calibrate", *span, *more]


def test_a_flat_market_gets_a_flat_curve(fitted):
    found = fitted.constants
    assert found.fitted_until == "2024-04-17"
    assert np.std(found.diurnal) < 0.2 < np.std(SHIPPED.diurnal)
    assert found.half_day == (), "no half days, nothing measured"
    assert all(0.5 < step[2] < 2.0 for effect in found.events.values() for step in effect.steps)


def test_one_that_scores_better_is_written_with_where_it_comes_from(folder, fitted, tmp_path, capsys, monkeypatch):
    names = []

    def known(part, _reference, name):
        names.append((part.days[-1].session.day, name))
        return replace(fitted, constants=replace(fitted.constants, name=name))

    monkeypatch.setattr(calibrate, "fit", known)
    out = tmp_path / "mine.json"
    code = main(command(folder, "--out", str(out), "--name", "mine"))
    said = json.loads(capsys.readouterr().out)
    assert (code, said["accepted"]) == (ExitCode.OK, True)
    assert names == [("2024-04-17", "candidate"), (str(UNTIL), "mine")], "judged on what it had not seen, then refitted"
    assert said["held_back"]["first"] == "2024-04-18"
    assert said["held_back"]["log_gain"] > 0.003, "the shipped curve is not this market's"
    written = read_constants(out)
    assert document_of(replace(written, provenance={})) == document_of(fitted.constants)
    told = written.provenance
    assert told["files"] == ["ES_x.parquet"]
    assert told["span"] == ["2024-01-02", str(UNTIL)]
    assert (told["sessions"], told["bars"]) == (94, 94 * 390)
    assert str(tmp_path) not in out.read_text()
    assert str(folder) not in out.read_text()


def test_one_that_scores_worse_is_refused_and_nothing_is_written(folder, fitted, tmp_path, capsys, monkeypatch):
    bad = replace(SHIPPED, variance=replace(SHIPPED.variance, intercept=(1.5, 0.0, 0.0)))
    monkeypatch.setattr(calibrate, "fit", lambda *_args: replace(fitted, constants=bad))
    out = tmp_path / "mine.json"
    assert main(command(folder, "--out", str(out))) == ExitCode.REFUSED
    said = json.loads(capsys.readouterr().out)
    assert said["accepted"] is False
    assert said["held_back"]["log_gain"] < -0.003, "what the online scale cannot mend"
    assert not out.exists()


def test_a_fit_that_holds_nothing_back_says_so(folder, fitted, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(calibrate, "fit", lambda *_args: fitted)
    out = tmp_path / "mine.json"
    assert main(command(folder, "--out", str(out), "--hold-out", "0")) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["held_back"] is None
    assert read_constants(out).provenance["held_back"] is None


def test_the_fit_does_not_know_later_days(sample, fitted):
    changed = tuple(replace(day, close=day.close * 1.5, high=day.high * 1.5) for day in sample.days[-HELD_BACK:])
    earlier, first, _ = held_back(replace(sample, days=(*sample.days[:-HELD_BACK], *changed)), HELD_BACK)
    assert earlier.days[-1].session.day < first.isoformat()
    assert document_of(fit(earlier, SHIPPED, "mine").constants) == document_of(fitted.constants)


@pytest.mark.parametrize(
    ("gain", "ratio", "worse"),
    [
        (0.001, 1.0, False),
        (0.0, 1.0, False),
        (-1e-6, 0.9, True),
        (0.001, 1.001, True),
        (float("nan"), 1.0, True),
        (0.1, float("nan"), True),
    ],
)
def test_worse_is_a_lower_log_score_or_a_clearly_higher_crps(gain, ratio, worse):
    assert Verdict("a", "b", 10, gain, 0.1, ratio, ()).worse is worse


def test_too_little_and_the_wrong_bars_are_refused(sample, tmp_path, monkeypatch):
    with pytest.raises(ConfigurationError, match="hold-out"):
        held_back(sample, 70)
    monkeypatch.setattr(calibrate, "DAYS_MIN", 500)
    with pytest.raises(ConfigurationError, match="500"):
        fit(sample, SHIPPED, "x")
    five = write_days(tmp_path / "ES_5m.parquet", date(2024, 1, 2), date(2024, 1, 9), seconds=300)
    with pytest.raises(ConfigurationError, match="minute bars"):
        fit(read_sample(five, Index.SPX), SHIPPED, "x")
    with pytest.raises(ConfigurationError, match="no bars so early"):
        sample.until(date(2020, 1, 1))


def test_score_refuses_constants_that_are_none_by_place(folder, tmp_path, capsys):
    path = tmp_path / "none.json"
    path.write_text('{"format": 1}')
    span = ["--data", str(folder), "--index", "SPX", "--from", "2024-05-01", "--to", "2024-05-03"]
    assert main(["score", *span, "--constants", str(path)]) == ExitCode.CONFIG
    assert f"{path}: name" in capsys.readouterr().err


def test_the_command_lists_the_days_that_can_be_chosen():
    assert DAYS == NAMES


def test_days_of_releases_are_found(sample):
    sessions = {day.session.day: day.session for day in sample.days}
    chosen = {name: {day for day, one in sessions.items() if selection_of(name).wanted(one)} for name in NAMES}
    assert chosen["fomc"] == {"2024-01-31", "2024-03-20", "2024-05-01"}
    assert chosen["fomc-minutes"] == {"2024-01-03", "2024-02-21", "2024-04-10"}
    assert chosen["cpi"] == {"2024-01-11", "2024-02-13", "2024-03-12", "2024-04-10", "2024-05-15"}
    assert "2024-04-05" in chosen["nfp"]
    assert chosen["half"] == set()
    assert len(chosen["regular"]) == len(sessions)
    with pytest.raises(KeyError):
        selection_of("tuesdays")
