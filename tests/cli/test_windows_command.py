import json

from kalshi_daemon.cli.main import main


def lines(capsys, *argv: str) -> list[str]:
    assert main(["windows", *argv]) == 0
    out: str = capsys.readouterr().out
    return [" ".join(line.split()) for line in out.splitlines()]


def test_thanksgiving_week_by_hand(capsys):
    found = lines(capsys, "--from", "2026-11-25", "--to", "2026-11-28")
    assert found == [
        "date session series opens quoting ends cancel start cutoff fixing",
        "Wed 2026-11-25 09:30-16:00 EST KXINXU KXNASDAQ100U 09:35:00 09:55:00 09:57:50 09:58:00 10:00:00",
        "KXINXU KXNASDAQ100U 10:00:00 10:55:00 10:57:50 10:58:00 11:00:00",
        "KXINXU KXNASDAQ100U 11:00:00 11:55:00 11:57:50 11:58:00 12:00:00",
        "KXINXU KXNASDAQ100U 12:00:00 12:55:00 12:57:50 12:58:00 13:00:00",
        "KXINXU KXNASDAQ100U 13:00:00 13:55:00 13:57:50 13:58:00 14:00:00",
        "KXINXU KXNASDAQ100U 14:00:00 14:55:00 14:57:50 14:58:00 15:00:00",
        "KXINXU KXNASDAQ100U KXINX KXNASDAQ100 15:00:00 15:55:00 15:57:50 15:58:00 16:00:00",
        "Thu 2026-11-26 holiday",
        "Fri 2026-11-27 09:30-13:00 EST half day KXINXU KXNASDAQ100U 09:35:00 09:55:00 09:57:50 09:58:00 10:00:00",
        "KXINXU KXNASDAQ100U 10:00:00 10:55:00 10:57:50 10:58:00 11:00:00",
        "KXINXU KXNASDAQ100U 11:00:00 11:55:00 11:57:50 11:58:00 12:00:00",
        "KXINXU KXNASDAQ100U KXINX KXNASDAQ100 12:00:00 12:55:00 12:57:50 12:58:00 13:00:00",
    ]


def test_json_carries_instants_with_their_offset_across_a_clock_change(capsys):
    assert main(["windows", "--json", "--from", "2026-10-30", "--to", "2026-11-02"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["from"], data["to"], data["holidays"]) == ("2026-10-30", "2026-11-02", [])
    friday, monday = data["sessions"]
    assert friday["opens"] == "2026-10-30T09:30:00-04:00"
    assert monday["opens"] == "2026-11-02T09:30:00-05:00"
    assert monday["half_day"] is False
    assert monday["windows"][0] == {
        "series": "KXINXU",
        "event_ticker": "KXINXU-26NOV02H1000",
        "opens": "2026-11-02T09:35:00-05:00",
        "new_until": "2026-11-02T09:55:00-05:00",
        "cancel_at": "2026-11-02T09:57:50-05:00",
        "gone_by": "2026-11-02T09:58:00-05:00",
        "fixing": "2026-11-02T10:00:00-05:00",
    }
    assert len(monday["windows"]) == 16


def test_a_week_end_says_so(capsys):
    assert lines(capsys, "--from", "2026-11-28", "--to", "2026-11-29")[-1] == "no weekday in this span"


def test_without_a_span_it_shows_a_week_from_today(capsys):
    assert main(["windows", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["from"] < data["to"]


def test_with_all_profiles_off_a_session_has_no_window(capsys, monkeypatch):
    for profile in ("WIDE", "SIZE", "CLOSE"):
        monkeypatch.setenv(f"KALSHI_DAEMON_PROFILES__{profile}__ENABLED", "false")
    found = lines(capsys, "--from", "2026-11-25", "--to", "2026-11-25")
    assert found[-1] == "Wed 2026-11-25 09:30-16:00 EST none"
