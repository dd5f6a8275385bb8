"""The judge of `make kills` on records written by hand: it must find what it is there to find."""

import pytest

from kalshi_daemon.domain.order import Status
from tests.kills.__main__ import KILLS_PER_WINDOW, kept, result, shares
from tests.kills.driver import LEASE_S, Tally
from tests.kills.judge import DaemonRun, Verdict, accepted_twice, fill_differences, orphans, twins, unowned
from tests.kills.record import Book, Entry, Rest, trades_of

INTENDED, RESTING, LEAVING = Status.INTENDED, Status.RESTING, Status.PENDING_CANCEL
CANCELED, FILLED = Status.CANCELED, Status.FILLED


def rest(name="a", created=10, ended=None):
    return Rest(name, "T", "bid", created, ended)


def book(*entries):
    return Book({entry.client_order_id: entry for entry in entries}, {})


def entry(name="a", *steps, profile="wide", side="bid"):
    return Entry(name, profile, "T", side, steps or ((10, INTENDED), (11, RESTING)))


@pytest.mark.parametrize(
    ("lives", "ended", "longest"),
    [
        ([DaemonRun(0, 100)], 60, 0),
        ([DaemonRun(0, 20)], 60, 40),  # nobody after the kill
        ([DaemonRun(0, 20), DaemonRun(35, 100)], 60, 15),  # found again
        ([DaemonRun(0, 20), DaemonRun(None, 40), DaemonRun(50, 100)], 60, 30),  # killed while starting: still nobody's
        ([DaemonRun(0, 20), DaemonRun(None, 40)], 60, 40),
        ([DaemonRun(0, 20), DaemonRun(25, 30), DaemonRun(42, 100)], 60, 12),  # the longest of two
        ([DaemonRun(0, 20), DaemonRun(70, 100)], 60, 40),  # it was gone before the next was ready
        ([DaemonRun(12, 100)], 60, 2),
        ([DaemonRun(0, 100)], None, 0),
    ],
)
def test_an_order_is_nobodys_from_a_kill_to_the_next_ready(lives, ended, longest):
    assert unowned(rest(ended=ended), lives, book(entry()), 90) == longest


def test_an_order_that_no_journal_has_is_nobodys_all_its_life():
    assert unowned(rest(ended=60), [DaemonRun(0, 100)], book(), 90) == 50


def test_an_order_wrongly_thought_gone_is_nobodys_from_then_on():
    known = entry("a", (10, INTENDED), (11, RESTING), (30, CANCELED))
    assert unowned(rest(ended=60), [DaemonRun(0, 100)], book(known), 90) == 30
    revived = entry("a", (10, INTENDED), (11, RESTING), (30, CANCELED), (45, RESTING))
    assert unowned(rest(ended=60), [DaemonRun(0, 100)], book(revived), 90) == 15


def test_a_second_order_of_a_bin_beside_a_resting_one_is_a_twin():
    first = entry("a")
    second = entry("b", (20, INTENDED), (21, RESTING))
    both = [rest("a", ended=60), rest("b", created=21)]
    assert len(twins(both, book(first, second), 90)) == 1
    assert twins([rest("a", ended=20), both[1]], book(first, second), 90) == ()
    assert twins(both, book(first, entry("b", (20, INTENDED), profile="size")), 90) == ()
    assert twins(both, book(first, entry("b", (20, INTENDED), side="ask")), 90) == ()


def test_one_that_is_being_cancelled_is_no_twin_but_one_whose_cancel_was_refused_is():
    second = entry("b", (20, INTENDED), (21, RESTING))
    both = [rest("a", ended=60), rest("b", created=21)]
    leaving = entry("a", (10, INTENDED), (11, RESTING), (19, LEAVING))
    assert twins(both, book(leaving, second), 90) == ()
    refused = entry("a", (10, INTENDED), (11, RESTING), (15, LEAVING), (17, RESTING))
    assert len(twins(both, book(refused, second), 90)) == 1
    thought_gone = entry("a", (10, INTENDED), (11, RESTING), (19, CANCELED))
    assert len(twins(both, book(thought_gone, second), 90)) == 1


def test_used_ids_strangers_and_what_is_left_are_counted():
    assert len(accepted_twice([rest("a"), rest("a", 20), rest("b")])) == 1
    assert len(orphans([rest("a", ended=60), rest("b", ended=60), rest("c")], book(entry("a"), entry("c")))) == 2


def test_fills_must_be_the_same_ones_with_the_same_numbers():
    trade = ("o", "bid", 4_200, 100)
    assert fill_differences({"t": trade}, {"t": trade}) == ()
    assert len(fill_differences({"t": trade, "u": trade}, {"t": trade, "v": trade})) == 2
    assert len(fill_differences({"t": trade}, {"t": ("o", "bid", 4_200, 200)})) == 1


def test_the_exchanges_fills_are_read_in_our_units():
    said = {
        "trade_id": "t",
        "order_id": "o",
        "book_side": "ask",
        "yes_price_dollars": "0.4250",
        "count_fp": "1.50",
    }
    assert trades_of([said]) == {"t": ("o", "ask", 4_250, 150)}


def test_unanswered_orders_and_live_ones_are_what_the_journal_says_last():
    dead = book(
        entry("a", (1, INTENDED)),
        entry("b", (1, INTENDED), (2, RESTING)),
        entry("c", (1, INTENDED), (2, Status.UNKNOWN)),
        entry("d", (1, INTENDED), (2, RESTING), (3, FILLED)),
    )
    assert dead.unanswered == 2
    assert dead.live == {"a", "b", "c"}


@pytest.mark.parametrize("kills", [1, 5, 25, 26, 200, 203])
def test_kills_are_shared_among_windows(kills):
    found = shares(kills)
    assert sum(found) == kills
    assert max(found) - min(found) <= 1
    assert max(found) <= KILLS_PER_WINDOW


def test_one_finding_of_any_kind_fails_the_run():
    def holds(figures, kills=5):
        return kept(figures, kills)

    def figures(verdict, *problems, s_max=LEASE_S):
        tally = Tally(1, kills=5, problems=list(problems))
        tally.verdict = Verdict(int(s_max * 1e9), "a", *verdict)
        return result([Tally(2), tally], 1.0)

    assert holds(figures(((), (), ())))
    assert holds(figures(((), (), ()), s_max=LEASE_S + 1))
    assert not holds(figures(((), (), ()), s_max=LEASE_S + 1.1))
    assert not holds(figures((("x",), (), ())))
    assert not holds(figures(((), ("x",), ())))
    assert not holds(figures(((), (), ("x",))))
    assert not holds(figures(((), (), ()), "the books"))
    assert figures((("x",), ("y",), ()))["kills"] == 5
    assert not holds(figures(((), (), ())), kills=6)
