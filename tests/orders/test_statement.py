"""Days, series and profits, worked by hand; and the totals are the ledger's own figures whatever the fills were."""

from datetime import date, time, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.order import Fill
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.new_york import eastern_ns
from kalshi_daemon.ground.units import Count, Dollars, Nanos, Price, lots
from kalshi_daemon.orders.booked import BookedFill, Inherited, Result
from kalshi_daemon.orders.ledger import FLAT, Ledger
from kalshi_daemon.orders.statement import Span, Total, make_statement

MONDAY = date(2026, 11, 23)
TUESDAY = MONDAY + timedelta(days=1)


def at(day, hour, minute=0):
    return eastern_ns(day, time(hour, minute))


def fill(seq, market, when, side=Side.BID, price=4_000, count=100, fee=0, series="KXINXU"):
    made = Fill(
        f"t{seq}", f"x{seq}", market, side, Price(price), Count(count), Dollars(fee), is_taker=False, event_ns=when
    )
    return BookedFill(made, f"{series}-E", series)


def test_a_worked_week():
    fills = [
        fill(1, "A", at(MONDAY, 23, 59), fee=12),
        fill(2, "A", at(TUESDAY, 0, 0), price=5_000),
        fill(3, "B", at(MONDAY, 10), Side.ASK, 7_000, 200, series="KXNASDAQ100U"),
        fill(4, "C", at(MONDAY, 11), count=300),
        fill(5, "D", at(MONDAY, 12)),
        fill(6, "D", at(MONDAY, 13), Side.ASK, 4_500),
    ]
    results = {
        "A": Result("yes", at(TUESDAY, 10)),
        "B": Result("yes", at(MONDAY, 16), Dollars(0)),
        "D": Result(FLAT, at(MONDAY, 16)),
        "unheld": Result("yes", at(MONDAY, 16)),
    }
    found = make_statement(fills, [], results, {"x1": "wide"}, Span())
    assert [line.booked.fill.trade_id for line in found.fills] == ["t3", "t4", "t5", "t6", "t1", "t2"]
    assert [(line.profile, line.cash) for line in found.fills[-2:]] == [("wide", -4_012), ("", -5_000)]
    assert [(line.market_ticker, line.paid, line.profit) for line in found.settled] == [
        ("B", -20_000, 14_000 - 20_000),  # sold two YES at 70 cents, each pays a dollar
        ("D", 0, 500),
        ("A", 20_000, 20_000 - 9_012),
    ]
    (open_one,) = found.positions
    assert (open_one.market_ticker, open_one.count, open_one.profit, open_one.day) == ("C", 300, None, None)
    assert found.totals == (
        Total(MONDAY, "KXINXU", 4, Count(600), Dollars(12), 1, Dollars(500)),
        Total(MONDAY, "KXNASDAQ100U", 1, lots(2), Dollars(0), 1, Dollars(-6_000)),
        Total(TUESDAY, "KXINXU", 1, lots(1), Dollars(0), 1, Dollars(10_988)),
    )
    assert (found.profit, found.fees, found.contracts) == (5_488, 12, 900)


def test_a_span_cuts_lines_and_totals_but_not_the_cost_of_what_settles_in_it():
    fills = [fill(1, "A", at(MONDAY, 10)), fill(2, "A", at(TUESDAY, 9)), fill(3, "C", at(MONDAY, 10))]
    results = {"A": Result("no", at(TUESDAY, 10))}
    tuesday = make_statement(fills, [], results, {}, Span(TUESDAY, TUESDAY))
    assert [line.booked.fill.trade_id for line in tuesday.fills] == ["t2"]
    assert tuesday.profit == -8_000, "Monday's fill was paid for too"
    assert [line.market_ticker for line in tuesday.positions] == ["C"], "positions are as of now"
    monday = make_statement(fills, [], results, {}, Span(last=MONDAY))
    assert (len(monday.fills), monday.settled, monday.profit) == (2, (), 0)
    assert make_statement(fills, [], results, {}, Span(date(2027, 1, 1))).totals == ()


def test_what_was_inherited_is_taken_at_its_worst_and_a_result_without_a_value_stays_open():
    held = [Inherited("A", "E", "KXINXU", lots(2)), Inherited("V", "E", "KXINXU", lots(1))]
    results = {"A": Result("yes", at(MONDAY, 16)), "V": Result("void", at(MONDAY, 16))}
    found = make_statement([], held, results, {}, Span())
    assert [(line.market_ticker, line.profit) for line in found.settled] == [("A", 0)]
    assert [line.market_ticker for line in found.positions] == ["V"]
    results["V"] = Result("void", at(MONDAY, 16), Dollars(4_000))
    assert make_statement([], held, results, {}, Span()).profit == -6_000


MARKETS = {"A": "KXINXU", "B": "KXINXU", "C": "KXNASDAQ100U"}
one_fill = st.tuples(
    st.sampled_from(sorted(MARKETS)),
    st.integers(0, 70),
    st.sampled_from(Side),
    st.integers(1, 9_999),
    st.integers(1, 900),
    st.integers(0, 99),
)


@given(
    st.lists(one_fill, max_size=12),
    st.dictionaries(st.sampled_from(sorted(MARKETS)), st.tuples(st.sampled_from(["yes", "no"]), st.integers(0, 70))),
)
@settings(max_examples=80, deadline=None)
def test_totals_are_the_ledgers_figures_and_days_add_up(made, ended):
    hour = 3_600 * 10**9
    fills = [
        fill(n, market, Nanos(at(MONDAY, 0) + hours * hour), side, price, count, fee, MARKETS[market])
        for n, (market, hours, side, price, count, fee) in enumerate(made)
    ]
    results = {market: Result(word, Nanos(at(MONDAY, 0) + hours * hour)) for market, (word, hours) in ended.items()}
    ledger = Ledger()
    for booked in fills:
        ledger.add_fill(booked)
    for market, result in results.items():
        ledger.set_result(market, result)
    whole = make_statement(fills, [], results, {}, Span())
    assert whole.profit == ledger.realized(Nanos(0))
    assert whole.fees == ledger.state(Nanos(0)).fees_total
    days = [make_statement(fills, [], results, {}, Span(d, d)) for d in (MONDAY + timedelta(days=n) for n in range(4))]
    assert sum(day.profit for day in days) == whole.profit
    assert tuple(total for day in days for total in day.totals) == whole.totals
    assert sum(line.profit or 0 for line in whole.settled) == whole.profit


def test_a_correction_stands_on_its_own_day_beside_the_first_entry():
    fills = [fill(1, "A", at(MONDAY, 11), count=200)]
    results = {"A": Result("yes", at(MONDAY, 12), Dollars(20_000))}
    corrections = {"A": [Result("no", at(TUESDAY, 9), Dollars(0)), Result("yes", at(TUESDAY, 10), Dollars(20_000))]}
    found = make_statement(fills, [], results, {}, Span(), corrections)
    (line,) = found.settled
    assert (line.result, line.day, line.paid, line.profit) == ("yes", MONDAY, 20_000, 12_000)
    assert [(one.previous_result, one.result, one.day, one.profit) for one in found.corrections] == [
        ("yes", "no", TUESDAY, -20_000),
        ("no", "yes", TUESDAY, 20_000),
    ]
    assert found.profit == 12_000
    tuesday = make_statement(fills, [], results, {}, Span(TUESDAY, TUESDAY), {"A": corrections["A"][:1]})
    assert tuesday.totals == (Total(TUESDAY, "KXINXU", 0, Count(0), Dollars(0), 0, Dollars(-20_000)),)
