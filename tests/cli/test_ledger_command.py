import contextlib
import csv
import json
from datetime import date, time

import pytest

from kalshi_daemon.cli.ledger import CSV_COLUMNS
from kalshi_daemon.cli.main import main
from kalshi_daemon.domain.order import Fill, Order, Settlement, Status
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.new_york import eastern_ns
from kalshi_daemon.ground.units import Count, Dollars, Nanos, Price, lots
from kalshi_daemon.orders.booked import BookedFill, Inherited, Result
from kalshi_daemon.orders.journal import Journal, journal_path

MONDAY, TUESDAY = date(2026, 11, 23), date(2026, 11, 24)
EVENT = "KXINXU-26NOV23H1000"
MARKETS = [f"{EVENT}-T{6800 + 5 * n}" for n in range(3)]


def at(day, hour, minute=0):
    return eastern_ns(day, time(hour, minute))


def order(seq, market):
    return Order(
        f"kd-00000000000000aa-{seq}", market, EVENT, "KXINXU", "wide", Side.BID, Price(4_200), lots(2), Status.RESTING,
        Nanos(1), Nanos(1), order_id=f"x{seq}",
    )  # fmt: skip


def booked(seq, market, when, price=4_200):
    made = Fill(
        f"t{seq}", f"x{seq}", market, Side.BID, Price(price), lots(2), Dollars(5), is_taker=False, event_ns=when
    )
    return BookedFill(made, EVENT, "KXINXU")


@pytest.fixture
def book(elsewhere):
    """Bought in three markets on Monday: one won on Monday, one lost on Tuesday, one is open. And a stranger's fill."""
    path = journal_path(elsewhere / "state" / "sim")
    with contextlib.closing(Journal.open(path, Nanos(0))) as found:
        found.record_intents([order(seq, market) for seq, market in enumerate(MARKETS)])
        for seq, market in enumerate(MARKETS):
            found.add_fill(booked(seq, market, at(MONDAY, 9, 40 + seq)), Nanos(1))
        found.add_result(MARKETS[0], EVENT, Result("yes", at(MONDAY, 10, 2)), Nanos(1))
        found.add_settlement(
            Settlement(MARKETS[1], EVENT, "no", lots(2), Count(0), Dollars(0), Dollars(5), at(TUESDAY, 10)), Nanos(1)
        )
        yield found


def shown(capsys, *argv):
    assert main(["ledger", "--json", *argv]) == 0
    return json.loads(capsys.readouterr().out)


def test_shows_fills_settlements_positions_and_totals(book, capsys):
    assert main(["ledger"]) == 0
    fills, settled, positions, totals = capsys.readouterr().out.split("\n\n")
    assert fills.splitlines()[0] == "fills, the first day to the last, mode sim"
    assert fills.splitlines()[2].split() == [
        "2026-11-23", "09:40:00", MARKETS[0], "wide", "bid", "0.4200", "2.00", "0.0005", "-0.8405",
    ]  # fmt: skip
    assert settled.splitlines()[2].split()[-3:] == ["yes", "2.0000", "1.1595"]
    assert settled.splitlines()[3].split()[-3:] == ["no", "0.0000", "-0.8405"]
    assert positions.splitlines()[2].split() == [MARKETS[2], "2.00", "-0.8405", "0.0005"]
    monday, tuesday, note = totals.splitlines()[2:]
    assert monday.split() == ["2026-11-23", "KXINXU", "3", "6.00", "0.0015", "1", "1.1595"]
    assert tuesday.split() == ["2026-11-24", "KXINXU", "0", "0.00", "0.0000", "1", "-0.8405"]
    assert note == "3 fills, 6.00 contracts, fees $0.0015, 2 markets settled, profit $0.3190; 1 open"


def test_days_are_new_york_days_and_both_ends_count(book, capsys):
    tuesday = shown(capsys, "--from", "2026-11-24")
    assert (tuesday["fills"], tuesday["profit_dollars"]) == ([], "-0.8405")
    monday = shown(capsys, "--to", "2026-11-23")
    assert (len(monday["fills"]), monday["profit_dollars"], monday["to"]) == (3, "1.1595", "2026-11-23")
    assert shown(capsys, "--from", "2026-11-23", "--to", "2026-11-24")["profit_dollars"] == "0.3190"


def test_csv_has_every_line_once_and_adds_up(book, elsewhere, capsys):
    target = elsewhere / "out" / "ledger.csv"
    found = shown(capsys, "--csv", str(target))
    with target.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert [row["kind"] for row in rows] == ["fill"] * 3 + ["settlement"] * 2 + ["position"]
    assert sum(float(row["profit_dollars"]) for row in rows if row["kind"] == "settlement") == pytest.approx(0.3190)
    assert [row["trade_id"] for row in rows if row["kind"] == "fill"] == [line["trade_id"] for line in found["fills"]]
    assert (rows[-1]["result"], rows[-1]["profit_dollars"], rows[-1]["day"]) == ("", "", "")
    assert main(["ledger", "--csv", str(target), "--from", "2027-01-01"]) == 0
    assert len(target.read_text().splitlines()) == 2, "replaced: the heading and what is open now"


def test_scope_own_leaves_strangers_out_and_account_counts_them(book, capsys, monkeypatch):
    book.add_fill(booked(9, MARKETS[2], at(MONDAY, 11)), Nanos(1))
    book.inherit([Inherited(f"{EVENT}-T9000", EVENT, "KXINXU", lots(1))])
    everything = shown(capsys)
    assert [line["profile"] for line in everything["fills"]] == ["wide", "wide", "wide", ""]
    assert [line["count"] for line in everything["positions"]] == ["4.00", "1.00"]
    monkeypatch.setenv("KALSHI_DAEMON_ORDERS__SCOPE", "own")
    own = shown(capsys)
    assert [line["trade_id"] for line in own["fills"]] == ["t0", "t1", "t2"]
    assert [line["count"] for line in own["positions"]] == ["2.00"]


def test_no_journal_is_4_a_wrong_span_2_and_a_csv_that_cannot_be_written_78(elsewhere, capsys):
    assert main(["ledger"]) == 4
    path = journal_path(elsewhere / "state" / "sim")
    Journal.open(path, Nanos(0)).close()
    assert main(["ledger", "--from", "2026-11-24", "--to", "2026-11-23"]) == 2
    (elsewhere / "taken").touch()
    assert main(["ledger", "--csv", "taken/x.csv"]) == 78
    assert capsys.readouterr().err.count("\n") == 3
    assert main(["ledger"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("0 open")


def test_a_correction_has_its_own_line_and_everything_still_adds_up(book, elsewhere, capsys):
    listed = Settlement(MARKETS[0], EVENT, "no", lots(2), Count(0), Dollars(0), Dollars(5), at(MONDAY, 10, 2))
    book.add_correction(listed, Result("yes", at(MONDAY, 10, 2)), at(TUESDAY, 11))
    assert main(["ledger"]) == 0
    _fills, settled, corrections, _positions, totals = capsys.readouterr().out.split("\n\n")
    assert settled.splitlines()[2].split()[-3:] == ["yes", "2.0000", "1.1595"], "the first entry stays"
    assert corrections.splitlines()[2].split() == [
        "2026-11-24", "11:00:00", MARKETS[0], "2.00", "no", "yes", "-2.0000",
    ]  # fmt: skip
    assert totals.splitlines()[-1].endswith("2 markets settled, 1 corrected, profit $-1.6810; 1 open")
    target = elsewhere / "ledger.csv"
    found = shown(capsys, "--csv", str(target))
    assert found["corrections"][0]["previous_result"] == "yes"
    with target.open(newline="") as file:
        rows = list(csv.DictReader(file))
    money = [float(row["profit_dollars"]) for row in rows if row["kind"] in {"settlement", "correction"}]
    assert sum(money) == pytest.approx(-1.6810)
