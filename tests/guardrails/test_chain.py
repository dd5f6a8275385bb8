"""The chain as a whole: order, fail closed, the narrow override, what pulls, and budgets that span profiles."""

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.events import Balance
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.domain.verdict import Judgement, RefusalEffect, Verdict
from kalshi_daemon.domain.window import Phase, WindowStatus
from kalshi_daemon.ground.units import HOUR, MINUTE, SECOND, Dollars, Nanos, Price, lots
from kalshi_daemon.guardrails.chain import Chain
from kalshi_daemon.guardrails.guard import Scope, WindowContext
from kalshi_daemon.settings.model import GuardSettings, Settings
from kalshi_daemon.state import DaemonState
from kalshi_daemon.windows.releases import Release
from tests.guardrails.guard_rig import (
    CLOSE,
    DAY,
    NOW,
    SIZE,
    TICKERS,
    WIDE,
    WINDOW,
    chain_of,
    healthy,
    hold,
    order_of,
    plan_of,
    quote_of,
    rest,
    window_of,
)
from tests.support.instruments import KXINX, KXNASDAQ100U

WINDOW_ORDER = [
    "armed",
    "kill_switch",
    "latch",
    "order_group",
    "disk_free",
    "exchange_status",
    "window_phase",
    "session_calendar",
    "feed_age",
    "index_plausible",
    "feed_frozen",
    "clock_skew",
    "calibration",
    "forecast_record",
    "market_record",
    "macro",
    "reconciled",
    "fee_schedule",
    "daily_loss",
    "weekly_loss",
    "balance",
]
QUOTE_ORDER = [
    "market_status",
    "price_grid",
    "book_sanity",
    "maker_only",
    "lots_per_quote",
    "unique_bins",
    "min_ev",
    "impact_cap",
    "pal",
    "joint_tail",
    "daily_loss",
    "weekly_loss",
    "balance",
]


def release_now(now_ns: Nanos, before_ns: Nanos, after_ns: Nanos) -> Release:
    return Release(now_ns, "FOMC_STATEMENT", DAY)


def failing() -> DaemonState:
    """Nothing known, nothing measured: the state of a process that has just started."""
    return DaemonState()


def test_guards_are_asked_in_their_fixed_order_and_all_of_them():
    judgement = chain_of().judge_plan(failing(), plan_of(), NOW)
    assert [verdict.guard for verdict in judgement.plan_verdicts] == WINDOW_ORDER
    assert [verdict.guard for verdict in judgement.quotes[0].verdicts] == QUOTE_ORDER


def test_a_fresh_process_is_refused_by_every_guard_that_needs_to_know_something():
    verdicts = chain_of().judge_window(failing(), WIDE, WINDOW, NOW)
    passed = {verdict.guard for verdict in verdicts if verdict.passed}
    # The latch is open by nature, the calendar and the release table know the day without being told.
    assert passed == {"latch", "session_calendar", "macro"}


def test_a_closed_window_accepts_nothing_and_still_shows_the_quotes_numbers():
    state = healthy()
    state.kill_switch = True
    judgement = chain_of().judge_plan(state, plan_of(), NOW)
    assert judgement.accepted == ()
    assert [verdict.guard for verdict in judgement.closed] == ["kill_switch"]
    assert all(verdict.passed for verdict in judgement.quotes[0].verdicts)
    assert not judgement.quotes[0].accepted


@pytest.mark.parametrize("state", [healthy, failing])
@pytest.mark.parametrize("ask_first", [(), ("latch",), ("calibration", "macro"), ("nobody",)])
def test_a_window_is_open_when_no_guard_refuses_whoever_is_asked_first(state, ask_first):
    chain = chain_of()
    verdicts = chain.judge_window(state(), WIDE, WINDOW, NOW)
    assert chain.at(state(), NOW).window_open(WIDE, WINDOW, ask_first) == all(one.allows for one in verdicts)


def test_a_plan_without_quotes_is_judged_too():
    judgement = chain_of().judge_plan(healthy(), replace(plan_of(), quotes=()), NOW)
    assert judgement == Judgement(judgement.plan_verdicts, (), ())
    assert judgement.closed == ()


def test_a_profile_is_not_asked_about_a_series_it_does_not_quote():
    with pytest.raises(AssertionError, match="close does not quote KXINXU"):
        chain_of().judge_window(healthy(), CLOSE, WINDOW, NOW)


# --- fail closed


@dataclass(frozen=True, slots=True)
class Broken:
    """A guard with a bug."""

    name: ClassVar[str] = "broken"
    scope: ClassVar[Scope] = Scope.WINDOW
    pulls: ClassVar[bool] = True

    def judge_window(self, state: DaemonState, context: WindowContext, now: Nanos) -> Verdict:
        raise ZeroDivisionError("division by zero")

    def judge_quote(self, *_args: object) -> Verdict:
        raise KeyError("market")


@dataclass(frozen=True, slots=True)
class Harmless(Broken):
    """A guard with a bug that could only ever hold."""

    name: ClassVar[str] = "harmless"
    pulls: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Impostor:
    """A guard that answers in another's name."""

    name: ClassVar[str] = "impostor"
    scope: ClassVar[Scope] = Scope.ACCOUNT
    pulls: ClassVar[bool] = False

    def judge_window(self, state: DaemonState, context: WindowContext, now: Nanos) -> Verdict:
        return Verdict("armed", passed=True, measured="yes", limit="yes")


def test_one_guard_that_refuses_shuts_the_window_whoever_is_asked_first():
    whole = chain_of().window_guards
    for guard in whole:
        chain = Chain((*whole, Broken()), ())
        assert not chain.at(healthy(), NOW).window_open(WIDE, WINDOW, (guard.name,))


def test_a_guard_that_raises_is_a_refusal_that_names_it():
    whole = chain_of()
    chain = Chain((*whole.window_guards, Broken(), Harmless()), (*whole.quote_guards, Broken()))
    judgement = chain.judge_plan(healthy(), plan_of(), NOW)
    broken, harmless = judgement.plan_verdicts[-2:]
    assert (broken.guard, broken.passed, broken.measured, broken.closing) == ("broken", False, None, RefusalEffect.PULL)
    assert broken.note == "guard failed: ZeroDivisionError: division by zero"
    assert harmless.closing is RefusalEffect.HOLD
    assert judgement.quotes[0].verdicts[-1].note == "guard failed: KeyError: 'market'"
    assert judgement.accepted == ()
    assert chain.judge_resting(healthy(), "wide", WINDOW, NOW)[-1].guard == "broken"


def test_a_quote_guard_that_raises_refuses_the_quote_alone():
    whole = chain_of()
    judgement = Chain(whole.window_guards, (*whole.quote_guards, Broken())).judge_plan(healthy(), plan_of(), NOW)
    assert judgement.closed == ()
    assert judgement.accepted == ()


def test_a_verdict_under_another_name_is_a_refusal():
    verdict = Chain((Impostor(),), ()).judge_window(healthy(), WIDE, WINDOW, NOW)[0]
    assert (verdict.guard, verdict.passed) == ("impostor", False)


def test_a_state_that_cannot_be_summed_up_closes_the_budgets_and_raises_nothing():
    state = healthy()
    state.ledger.positions = None  # type: ignore[assignment]  # a corrupted state
    judgement = chain_of().judge_plan(state, plan_of(), NOW)
    assert {verdict.guard for verdict in judgement.closed} == {"daily_loss", "weekly_loss", "balance"}
    assert all("guard failed" in verdict.note for verdict in judgement.closed)


# --- the override


def test_defect_15_force_gate_pass_touches_the_macro_guard_and_nothing_else():
    everything_wrong = failing()
    chain = chain_of(release_near=release_now, session_of=lambda _ns: None)
    before = chain.judge_plan(everything_wrong, plan_of(), NOW)
    everything_wrong.force_gate_pass = True
    after = chain.judge_plan(everything_wrong, plan_of(), NOW)
    changed = [
        old.guard
        for old, new in zip(
            (*before.plan_verdicts, *before.quotes[0].verdicts),
            (*after.plan_verdicts, *after.quotes[0].verdicts),
            strict=True,
        )
        if old != new
    ]
    assert changed == ["macro"]
    assert [verdict.guard for verdict in after.forced] == ["macro"]
    assert after.accepted == ()


def test_with_macro_alone_closed_the_override_lets_quotes_through_and_says_so():
    state = healthy()
    chain = chain_of(release_near=release_now)
    assert chain.judge_plan(state, plan_of(), NOW).accepted == ()
    state.force_gate_pass = True
    judgement = chain.judge_plan(state, plan_of(), NOW)
    assert judgement.accepted == (quote_of(),)
    assert [(verdict.guard, verdict.passed) for verdict in judgement.forced] == [("macro", False)]


def test_the_override_accepts_nothing_while_any_other_window_guard_is_closed():
    chain = chain_of(release_near=release_now)
    state = healthy()
    state.force_gate_pass = True
    assert chain.judge_plan(state, plan_of(), NOW).accepted
    state.latch.closed = True
    assert chain.judge_plan(state, plan_of(), NOW).accepted == ()


def test_a_macro_guard_that_breaks_is_not_forced():
    state = healthy()
    state.force_gate_pass = True

    def gone(*_args: object) -> Release:
        raise OSError("calendar unreadable")

    judgement = chain_of(release_near=gone).judge_plan(state, plan_of(), NOW)
    assert [verdict.guard for verdict in judgement.closed] == ["macro"]
    assert judgement.forced == ()


# --- what pulls


def test_resting_quotes_are_looked_at_by_the_guards_that_may_pull():
    verdicts = chain_of().judge_resting(healthy(), "wide", WINDOW, NOW)
    assert [verdict.guard for verdict in verdicts] == [
        name for name in WINDOW_ORDER if name not in {"armed", "latch", "disk_free", "balance"}
    ]
    assert all(verdict.allows for verdict in verdicts)


def test_a_stale_feed_in_the_hold_phase_pulls_and_the_phase_itself_does_not():
    state = healthy()
    now = Nanos(WINDOW.new_until_ns + MINUTE)
    state.windows[WINDOW.event_ticker] = WindowStatus(WINDOW, Phase.HOLD)
    verdicts = {v.guard: v for v in chain_of().judge_resting(state, "wide", WINDOW, now)}
    assert (verdicts["window_phase"].allows, verdicts["window_phase"].closing) == (False, RefusalEffect.HOLD)
    assert verdicts["feed_age"].closing is RefusalEffect.PULL


@given(
    feed_age=st.integers(0, 20) | st.none(),
    checked=st.integers(0, 400) | st.none(),
    skew=st.integers(-4_000, 4_000) | st.none(),
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
@settings(max_examples=60, deadline=None)
def test_a_guard_that_never_pulls_never_says_pull(feed_age, checked, skew, flags):
    state = healthy()
    state.armed, state.kill_switch, state.latch.closed = flags
    last = state.index[Index.SPX].last
    assert last is not None
    state.index[Index.SPX].last = None if feed_age is None else replace(last, event_ns=Nanos(NOW - feed_age * SECOND))
    state.reconciliation.checked_ns = None if checked is None else Nanos(NOW - checked * SECOND)
    if skew is None:
        state.skew.clear()
    else:
        state.skew["kalshi"].offset_ns = Nanos(skew * 1_000_000)
    chain = chain_of()
    pulls = {guard.name: guard.pulls for guard in (*chain.window_guards, *chain.quote_guards)}
    judgement = chain.judge_plan(state, plan_of(), NOW)
    for verdict in (*judgement.plan_verdicts, *judgement.quotes[0].verdicts):
        assert pulls[verdict.guard] or verdict.closing is RefusalEffect.HOLD
        assert verdict.passed is False or verdict.measured is not None


# --- budgets over everything


def test_defect_13_two_profiles_and_three_series_share_one_budget():
    state = healthy()
    nasdaq, close = window_of(KXNASDAQ100U), window_of(KXINX)
    rest(
        state,
        order_of(TICKERS[1], profile="wide", count=lots(30), price=Price(5_000)),
        order_of(TICKERS[2], profile="size", count=lots(30), price=Price(5_000)),
        order_of(f"{nasdaq.event_ticker}-T6800", profile="size", count=lots(30), price=Price(5_000)),
        order_of(f"{close.event_ticker}-T6800", profile="close", count=lots(9), price=Price(5_000)),
    )
    # 15 + 15 + 15 + 4.50 dollars rest; each profile of the predecessor would have seen only its own part.
    chain = chain_of(Settings(guards=GuardSettings(joint_tail_dollars=60.0)))
    judgement = chain.judge_plan(state, plan_of(quote_of(), quote_of(TICKERS[3])), NOW)
    daily = [{v.guard: v for v in one.verdicts}["daily_loss"] for one in judgement.quotes]
    assert [verdict.measured for verdict in daily] == [49.92, 50.34]
    assert [one.accepted for one in judgement.quotes] == [True, False]
    other = quote_of(f"{close.event_ticker}-T6805", window=close, profile="close")
    judgement = chain.judge_plan(state, plan_of(other, profile=CLOSE, window=close), NOW)
    assert judgement.accepted == (other,)


def test_defect_13_nothing_is_counted_twice_either():
    state = healthy()
    rest(state, order_of(TICKERS[1], profile="size", count=lots(40), price=Price(5_000)))
    for profile in (WIDE, SIZE):
        verdicts = {v.guard: v for v in chain_of().judge_window(state, profile, WINDOW, NOW)}
        assert verdicts["daily_loss"].measured == 20.0


def test_defect_13_a_second_scan_starts_where_the_first_one_ended():
    chain, state = chain_of(Settings(guards=GuardSettings(daily_loss_dollars=1.0))), healthy()
    first = chain.judge_plan(state, plan_of(quote_of(), quote_of(TICKERS[1]), quote_of(TICKERS[2])), NOW)
    assert len(first.accepted) == 2
    rest(state, *(order_of(q.market_ticker, price=q.price, count=q.count) for q in first.accepted))
    assert chain.judge_plan(state, plan_of(quote_of(TICKERS[3])), NOW).accepted == ()


def test_defect_14_expected_profit_never_enlarges_a_budget():
    state = healthy()
    hold(state, TICKERS[1], 100, -50 * 10_000)
    sure_thing = quote_of(fair=0.99, model_fair=0.99, ev=Price(5_700))
    judgement = chain_of().judge_plan(state, plan_of(sure_thing), NOW)
    assert {v.guard: v for v in judgement.quotes[0].verdicts}["daily_loss"].measured == 50.42
    assert judgement.accepted == ()


def test_defect_14_the_budget_is_fed_by_settled_losses():
    state = healthy()
    state.ledger.realized_today = Dollars(-49 * 10_000)
    assert chain_of().judge_plan(state, plan_of(), NOW).accepted == (quote_of(),)
    state.ledger.realized_today = Dollars(-50 * 10_000)
    assert chain_of().judge_plan(state, plan_of(), NOW).accepted == ()


QUOTES = st.builds(
    lambda at, bid, price, n: quote_of(
        TICKERS[at],
        side=Side.BID if bid else Side.ASK,
        price=Price(price * 100),
        count=lots(n),
        fair=min(0.99, price / 100 + 0.05) if bid else max(0.01, price / 100 - 0.05),
    ),
    st.integers(0, len(TICKERS) - 1),
    st.booleans(),
    st.integers(1, 99),
    st.integers(1, 2),
)
POSITIONS = st.lists(
    st.tuples(st.integers(0, len(TICKERS) - 1), st.integers(-20, 20), st.integers(-100_000, 0)), max_size=5
)
MONOTONE = ("maker_only", "unique_bins", "pal", "joint_tail", "daily_loss", "weekly_loss", "balance")


@given(before=st.lists(QUOTES, max_size=5), extra=QUOTES, last=QUOTES, positions=POSITIONS, rested=st.booleans())
@settings(max_examples=120, deadline=None)
def test_one_more_quote_never_makes_a_guard_more_permissive(before, extra, last, positions, rested):
    def verdicts(also: bool) -> dict[str, Verdict]:
        state = healthy()
        state.balance = Balance(Dollars(3 * 10_000), Dollars(0), NOW)
        for at, contracts, cash in positions:
            hold(state, TICKERS[at], contracts, cash)
        if rested:  # as orders at the exchange rather than as quotes of the same plan
            given_quotes = [*before, *([extra] if also else [])]
            for n, quote in enumerate(given_quotes):
                rest(
                    state,
                    order_of(
                        quote.market_ticker,
                        client_order_id=f"o{n}",
                        side=quote.side,
                        price=quote.price,
                        count=quote.count,
                    ),
                )
            plan = plan_of(last, profile=SIZE)
        else:
            plan = plan_of(*before, *([extra] if also else []), last, profile=SIZE)
        limits = GuardSettings(daily_loss_dollars=4.0, weekly_loss_dollars=6.0, pal_hourly_dollars=1.5)
        judged = chain_of(Settings(guards=limits)).judge_plan(state, plan, NOW).quotes[-1]
        return {verdict.guard: verdict for verdict in judged.verdicts}

    without, with_extra = verdicts(also=False), verdicts(also=True)
    for guard in MONOTONE:
        assert without[guard].passed or not with_extra[guard].passed, guard


@given(quotes=st.lists(QUOTES, min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_what_is_accepted_together_would_be_accepted_as_resting(quotes):
    limits = Settings(guards=GuardSettings(daily_loss_dollars=2.0))
    state = healthy()
    for ticker in TICKERS:
        state.venue.books[ticker].replace({Price(100): lots(9)}, {Price(9_900): lots(9)}, NOW, NOW)
    wide = replace(WIDE, lots=2, impact_cap=Price(9_900))
    judgement = chain_of(limits).judge_plan(state, plan_of(*quotes, profile=wide), NOW)
    rest(
        state,
        *(
            order_of(q.market_ticker, client_order_id=f"o{n}", side=q.side, price=q.price, count=q.count)
            for n, q in enumerate(judgement.accepted)
        ),
    )
    # What the quotes were promised still holds once they rest: nothing has to be pulled at once.
    assert all(verdict.allows for verdict in chain_of(limits).judge_resting(state, "wide", WINDOW, NOW))


def test_judging_changes_nothing_and_gives_the_same_answer_twice():
    state = healthy()
    hold(state, TICKERS[2], 2, -8_000)
    rest(state, order_of(TICKERS[1]))
    before = deepcopy((state.orders, state.ledger, state.counters, state.windows, state.skew))
    plan = plan_of(quote_of(), quote_of(TICKERS[3]))
    chain = chain_of()
    assert chain.judge_plan(state, plan, NOW) == chain.judge_plan(state, plan, NOW)
    assert before == (state.orders, state.ledger, state.counters, state.windows, state.skew)


def test_a_window_far_in_the_past_is_refused_by_phase_and_calendar():
    verdicts = {v.guard: v for v in chain_of().judge_window(healthy(), WIDE, WINDOW, Nanos(NOW + 24 * HOUR))}
    assert not verdicts["window_phase"].passed
    assert not verdicts["session_calendar"].passed


def test_names_are_unique_and_in_order():
    assert chain_of().names == tuple(dict.fromkeys([*WINDOW_ORDER, *QUOTE_ORDER]))
