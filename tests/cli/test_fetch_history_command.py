"""`fetch-history` on the command line: a line an event, a sum at the end, and one line for what is wrong."""

import contextlib
import json

import pytest

from kalshi_daemon.cli import fetch_history
from kalshi_daemon.cli.main import main
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import HOUR, Nanos
from tests.research.history.past_kit import EVENT, TARGET, a_past


@pytest.fixture
def exchange(monkeypatch):
    """An exchange on loopback instead of the configured one, two hours after the fixing it knows."""

    @contextlib.asynccontextmanager
    async def opened(_settings):
        async with a_past() as past:
            yield past.client, ManualClock(Nanos(TARGET + 2 * HOUR))

    monkeypatch.setattr(fetch_history, "open_past", opened)


def fetch(tmp_path, *more):
    days = ["--from", "2026-11-23", "--to", "2026-11-23"]
    state = ["--mode", "demo", "--state-dir", str(tmp_path)]
    return main(["fetch-history", *state, *days, *more])


def test_a_line_an_event_and_a_sum_at_the_end(exchange, tmp_path, capsys):
    assert fetch(tmp_path, "--series", "KXINXU", "--what", "markets", "--what", "trades") == 0
    *events, done = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["ticker"], one["outcome"]) for one in events] == [
        (EVENT, "written"),
        ("KXINXU-26NOV23H1100", "empty"),
        ("KXINXU-26NOV23H1200", "empty"),
    ]
    assert (events[0]["markets"], events[0]["trades"]) == (11, 7)
    assert done["event"] == "fetch_history.done"
    assert done["series"]["KXINXU"]["empty"] == 2
    folder = tmp_path / "demo" / "data" / "history" / "kind=trades" / "series=KXINXU" / "year=2026" / "month=11"
    assert [path.name for path in folder.iterdir()] == [f"{EVENT}.parquet"]


def test_without_a_key_the_vendor_s_bars_are_left_out_and_it_is_said(exchange, tmp_path, capsys):
    assert fetch(tmp_path, "--series", "KXINXU") == 0
    assert "minute bars left out: index_feed.api_key: no key" in capsys.readouterr().err


def test_nothing_found_is_exit_code_4(exchange, tmp_path):
    assert fetch(tmp_path, "--series", "KXNASDAQ100U", "--what", "trades") == 4


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--series", "KXNONE"], 2, "--series KXNONE: none of KXINXU"),
        (["--what", "books"], 2, "invalid choice: 'books'"),
        (["--period", "5"], 2, "invalid choice: 5"),
        (["--what", "bars"], 78, "index_feed.api_key: no key (set it, or leave out --what bars)"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_place(arguments, code, words, exchange, tmp_path, capsys):
    assert fetch(tmp_path, *arguments) == code
    err = capsys.readouterr().err
    assert words in err
    assert len(err.splitlines()) == 1


def test_a_span_that_ends_before_it_begins_or_holds_no_session(tmp_path, capsys):
    for first, last, words in (
        ("2026-11-24", "2026-11-23", "is not a span of days"),
        ("2026-11-21", "2026-11-22", "no session from 2026-11-21 to 2026-11-22"),
    ):
        state = ["--mode", "demo", "--state-dir", str(tmp_path)]
        assert main(["fetch-history", *state, "--from", first, "--to", last]) == 2
        assert words in capsys.readouterr().err
