"""Ours against the mids: kept at fixed instants, scored once the contracts are determined, never twice."""

import json
from dataclasses import replace
from math import log

import numpy as np
import pytest

from kalshi_daemon.calibration.market_record import (
    N_MIN,
    PATIENCE,
    PENDING_MAX,
    MarketRecord,
    pairs_of,
)
from kalshi_daemon.calibration.monitor import THRESHOLD
from kalshi_daemon.domain.forecast import Standing
from kalshi_daemon.domain.quote import Look
from kalshi_daemon.ground.units import DAY, HOUR, MINUTE, Nanos, Price
from tests.guardrails.guard_rig import TARGET, WINDOW, healthy, plan_of

TICKERS = tuple(f"{WINDOW.event_ticker}-T{strike}" for strike in (6_800, 6_810))


def look(ticker: str, model: float, bid: int | None, ask: int | None, outcome: str = "no_edge") -> Look:
    prices = [None if price is None else Price(price) for price in (bid, ask)]
    return Look(ticker, model, model, prices[0], prices[1], outcome)


LOOKS = (look(TICKERS[0], 0.7, 5_900, 6_100), look(TICKERS[1], 0.3, 4_000, 4_200))


def seen(minutes: float = 45.0, looks: tuple[Look, ...] = LOOKS, number: int = 0, target_ns: Nanos = TARGET):
    """A scan of the number'th event, `minutes` before its fixing."""
    window = replace(WINDOW, event_ticker=f"{WINDOW.event_ticker}.{number}", target_ns=target_ns)
    return plan_of(window=window, made_ns=Nanos(round(target_ns - minutes * MINUTE)), looks=looks)


def markets(*results: str):
    known = healthy().venue.markets
    found = {}
    for ticker, result in zip(TICKERS, results, strict=False):
        found[ticker] = replace(next(iter(known.values())), result=result)
    return found


def value(record: MarketRecord, name: str, group: str = "early"):
    (found,) = (one for one in record.readings() if (one.monitor, one.group) == (name, group))
    return found


def test_the_gain_of_a_worked_case():
    record = MarketRecord()
    record.note(seen())
    assert record.resolve(markets("yes", "no"), TARGET) == 1
    # Mids .60 and .41: we said .70 for what came and .30 for what did not.
    assert value(record, "market_log_gain").value == pytest.approx((log(0.7 / 0.6) + log(0.7 / 0.59)) / 2)
    brier = ((0.16 - 0.09) + (0.41**2 - 0.09)) / 2
    assert value(record, "market_brier_gain").value == pytest.approx(brier)
    assert value(record, "market_log_gain").n == 1.0
    assert value(record, "market_evidence", "all").value == pytest.approx(0.59 / 0.7), "the mid nearest even odds"


def test_only_the_first_scan_of_each_span_is_kept():
    record = MarketRecord()
    better = tuple(replace(one, model_fair=0.99) for one in LOOKS)
    for minutes, looks in ((61.0, better), (50.0, LOOKS), (45.0, better), (35.0, better), (7.0, better)):
        record.note(seen(minutes, looks))
    (pending,) = record.pending.values()
    assert list(pending.marks) == ["early"]
    assert [pair.model for pair in pending.marks["early"]] == [0.3, 0.7]
    record.note(seen(25.0))
    record.note(seen(10.0))
    assert list(pending.marks) == ["early", "middle", "late"]


@pytest.mark.parametrize(
    "bad",
    [
        look("X", 0.5, None, 5_000),
        look("X", 0.5, 5_000, None),
        look("X", 0.5, 3_000, 4_001),
        look("X", 0.5, 5_000, 5_000),
        look("X", float("nan"), 4_900, 5_000),
        look("X", 0.5, 4_900, 5_000, "stale_book"),
    ],
)
def test_a_book_without_an_opinion_is_not_compared(bad):
    assert list(pairs_of((bad,))) == []
    record = MarketRecord()
    record.note(seen(looks=(bad,)))
    assert record.pending == {}


def test_nothing_is_scored_before_every_contract_is_determined_and_waiting_ends():
    record = MarketRecord()
    record.note(seen())
    assert record.resolve(markets("yes", "no"), Nanos(TARGET - 1)) == 0
    unfinished: tuple[dict, ...] = (markets("yes", ""), markets("yes"), {})
    for partial in unfinished:
        assert record.resolve(partial, Nanos(TARGET + HOUR)) == 0
    assert len(record.pending) == 1
    assert record.resolve({}, Nanos(TARGET + PATIENCE + 1)) == 0
    assert (record.pending, record.given_up) == ({}, 1)


def test_the_close_and_its_hour_are_one_piece_of_evidence():
    record = MarketRecord()
    record.note(seen(number=1))
    record.note(seen(number=2))
    assert record.resolve(markets("yes", "no"), TARGET) == 2
    assert record.monitor.seen == 1
    assert value(record, "market_log_gain").n == 2.0


def test_waiting_is_bounded():
    record = MarketRecord()
    for number in range(PENDING_MAX + 5):
        record.note(seen(number=number))
    assert len(record.pending) == PENDING_MAX
    assert record.given_up == 5


def play(record: MarketRecord, events: int, *, error_ours: float, error_theirs: float, seed: int = 3) -> MarketRecord:
    """Events with a true probability; both sides see it with an error in log odds."""
    rng = np.random.default_rng(seed)
    for number in range(events):
        target = Nanos(TARGET + number * HOUR)
        truth = rng.uniform(0.2, 0.8)
        odds = log(truth / (1 - truth)) + rng.normal(size=2) * (error_ours, error_theirs)
        ours, mid = 1.0 / (1.0 + np.exp(-odds))
        cents = round(float(np.clip(mid, 0.02, 0.98)) * 10_000)
        looks = (look(TICKERS[0], float(ours), cents - 100, cents + 100),)
        record.note(seen(45.0, looks, number, target))
        record.resolve(markets("yes" if rng.uniform() < truth else "no"), target)
    return record


def test_a_market_that_knows_more_closes_the_guard_and_one_that_knows_less_does_not():
    worse = play(MarketRecord(), 400, error_ours=1.2, error_theirs=0.0)
    assert value(worse, "market_evidence", "all").standing is Standing.ALERT
    assert value(worse, "market_log_gain").standing is Standing.ALERT
    better = play(MarketRecord(), 400, error_ours=0.0, error_theirs=0.5)
    assert {one.standing for one in better.readings()} == {Standing.OK, Standing.LEARNING}
    assert (value(better, "market_log_gain").value or 0.0) > 0.0


def test_few_events_close_nothing():
    record = play(MarketRecord(), int(N_MIN) - 1, error_ours=1.5, error_theirs=0.0, seed=1)
    assert value(record, "market_log_gain").standing is Standing.LEARNING


def test_a_new_session_fades_the_gains_and_ends_an_alarm():
    record = play(MarketRecord(), 10, error_ours=0.1, error_theirs=0.1)
    record.monitor.learn((2 * THRESHOLD,))
    later = seen(target_ns=Nanos(TARGET + DAY))
    record.note(replace(later, window=replace(later.window, session="2026-11-24")))
    assert value(record, "market_log_gain").n < 10.0
    assert value(record, "market_evidence", "all").standing is Standing.OK


def test_a_snapshot_comes_back_exactly():
    record = play(MarketRecord(), 12, error_ours=0.3, error_theirs=0.2)
    again = MarketRecord.restored(json.loads(json.dumps(record.snapshot())))
    assert again.readings() == record.readings()
    assert again.snapshot() == record.snapshot()


def test_events_that_wait_outlive_a_restart():
    record = MarketRecord()
    record.note(seen(50.0, number=1))
    record.note(seen(10.0, number=1))
    record.note(seen(50.0, number=2))
    again = MarketRecord.restored(json.loads(json.dumps(record.snapshot())))
    assert again.pending == record.pending
    for one in (record, again):
        assert one.resolve(markets("yes", "no"), TARGET) == 2
    assert again.snapshot() == record.snapshot()


def test_a_snapshot_without_events_that_wait_is_one_of_before_they_were_kept():
    document = play(MarketRecord(), 3, error_ours=0.3, error_theirs=0.2).snapshot()
    del document["pending"]
    assert MarketRecord.restored(document).pending == {}


@pytest.mark.parametrize(
    "change",
    [
        {"target_ns": None},
        {"session": None},
        {"marks": {}},
        {"marks": {"early": []}},
        {"marks": {"early": [["a", 0.5, 1.5]]}},
        {"marks": 3},
    ],
)
def test_a_broken_event_that_waits_is_refused(change):
    record = MarketRecord()
    record.note(seen())
    document = record.snapshot()
    document["pending"][0] |= change
    with pytest.raises(ValueError, match="record against the market"):
        MarketRecord.restored(document)


def test_who_listens_hears_of_every_event_that_is_scored():
    heard = []
    record = MarketRecord(on_resolved=lambda event, one, settled: heard.append((event, one.session, settled)))
    record.note(seen())
    record.resolve({}, Nanos(TARGET + PATIENCE + 1))
    assert heard == [], "given up, not scored"
    record.note(seen())
    record.resolve(markets("yes", "no"), TARGET)
    ((event, day, settled),) = heard
    assert day == WINDOW.session
    assert {len(pairs) for pairs in settled.values()} == {2}
    assert {came for _, _, came in settled["early"]} == {True, False}
    assert event == seen().window.event_ticker


@pytest.mark.parametrize(
    "change",
    [{"gains": {}}, {"evidence": []}, {"evidence": [float("nan")]}, {"gains": None}, {"seen": "many"}],
)
def test_a_broken_snapshot_is_refused(change):
    document = MarketRecord().snapshot() | change
    with pytest.raises(ValueError, match="record against the market"):
        MarketRecord.restored(document)
    with pytest.raises(ValueError, match="record against the market"):
        MarketRecord.restored({})
