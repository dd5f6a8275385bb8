"""The day in the document: equal to state and model, bounded, null for what is not known."""

from dataclasses import replace

import numpy as np
import orjson
import pytest

from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.domain.window import Phase, WindowStatus
from kalshi_daemon.ground.clock import iso_utc
from kalshi_daemon.ground.units import Count, Nanos, format_price, lots
from kalshi_daemon.operations import status_day
from kalshi_daemon.operations.status_day import FILLED_MAX, STRIKES_MAX, day_document
from kalshi_daemon.state import DaemonState
from tests.guardrails import guard_rig
from tests.operations import page_rig
from tests.operations.page_rig import LEVELS, NOW, SeenModel, a_day
from tests.operations.test_page import NOWHERE

EVENT = "KXINXU-26NOV23H1200"


def test_before_anything_is_known_everything_is_null_or_empty():
    found = day_document(DaemonState(), NOW)
    assert found == {
        "session": None,
        "paths": {"SPX": None, "NDX": None},
        "fans": {"SPX": [], "NDX": []},
        "ladders": {},
        "filled": [],
        "calibration": {"SPX": None, "NDX": None},
    }


def test_a_bug_costs_the_day_alone_and_is_said_once(monkeypatch):
    said = []
    monkeypatch.setattr(
        status_day.log, "exception", lambda event, **fields: said.append((event, fields)), raising=False
    )
    monkeypatch.setattr(status_day, "_fan", lambda *_args: 1 // 0)
    day = page_rig.Day(a_day(), NOWHERE)
    for _ in range(3):
        found = day.document()
        assert found["quoting"] is True
        assert (found["day_problem"], found["ladders"]) == ("ZeroDivisionError", {})
    assert said == [("status.day_failed", {"error": "ZeroDivisionError"})]
    monkeypatch.undo()
    assert day.document()["day_problem"] is None
    assert day.document().keys() == found.keys(), "the same names, whatever happens"


def test_it_is_plain_json_without_numbers_that_json_has_no_words_for():
    found = day_document(a_day(), NOW)
    assert orjson.loads(orjson.dumps(found)) == found


def test_the_session_tells_a_half_day():
    assert day_document(a_day(), NOW)["session"]["half_day"] is False
    half = day_document(a_day(page_rig.HALF_DAY), NOW)["session"]
    assert (half["half_day"], half["closes"]) == (True, "2026-11-23T18:00:00.000000Z")


def test_the_path_is_the_minutes_seen_with_holes_as_null():
    found = day_document(a_day(), NOW)["paths"]["SPX"]
    assert found["from"] == iso_utc(guard_rig.SESSION.open_ns)
    minutes = SeenModel(Index.SPX, LEVELS[Index.SPX]).minutes().prices
    assert len(found["minutes"]) == 121
    assert [at for at, price in enumerate(found["minutes"]) if price is None] == [40, 41, 42, 43]
    assert found["minutes"][120] == round(float(minutes[120]), 2) == LEVELS[Index.SPX]


def test_the_fan_is_the_forecast_at_each_fixing_ahead():
    state = a_day()
    found = day_document(state, NOW)["fans"]["NDX"]
    ahead = sorted({one.window.target_ns for one in state.windows.values() if one.window.target_ns > NOW})
    assert [one["fixing"] for one in found] == [iso_utc(at) for at in ahead]
    model = SeenModel(Index.NDX, LEVELS[Index.NDX]).forecast(NOW, ahead[0])
    assert model is not None
    assert found[0]["levels"] == [round(float(one), 2) for one in model.quantiles(np.array(status_day.QUANTILES))]
    assert found[0]["levels"] == sorted(found[0]["levels"])


def test_a_ladder_is_model_book_quotes_position_and_decision():
    state = a_day()
    found = day_document(state, NOW)["ladders"][EVENT]
    assert list(day_document(state, NOW)["ladders"]) == [EVENT, "KXNASDAQ100U-26NOV23H1200"]
    rows = {row["market"]: row for row in found["rows"]}
    lows = [float(row["pays_from"]) for row in found["rows"]]
    assert lows == sorted(lows)
    for ticker, row in rows.items():
        view = state.others_view(state.venue.books[ticker])
        assert row["bid"] == (None if view.best_bid is None else format_price(view.best_bid)), ticker
        assert row["ask"] == (None if view.best_ask is None else format_price(view.best_ask)), ticker
        assert row["model_low"] <= row["model"] <= row["model_high"]
        own = [one for one in state.live_orders() if one.market_ticker == ticker]
        assert [one["price"] for one in row["quotes"]] == [format_price(one.price) for one in own]
    (held,) = [row for row in rows.values() if row["position"] is not None]
    assert held["position"] == "2.00"
    decided = [row["decisions"]["wide"] for row in found["rows"]]
    assert {one["outcome"] for one in decided} == {"no_edge", "kept", "quoted"}
    (refused,) = [one for one in decided if one["refused_by"]]
    assert refused["refused_by"] == "maker_only", "its price crosses the book of the rig"
    assert found["scans"] == {"wide": {"at": iso_utc(NOW), "trigger": "timer"}}


def test_a_window_guard_that_refused_the_scan_is_named_where_a_quote_was_wanted():
    state = a_day()
    state.venue.status = None
    plan, _ = state.decisions["wide", EVENT]
    state.decisions["wide", EVENT] = plan, guard_rig.chain_of().judge_plan(state, plan, NOW)
    rows = day_document(state, NOW)["ladders"][EVENT]["rows"]
    assert {row["decisions"]["wide"]["refused_by"] for row in rows} == {"", "exchange_status"}


def test_without_a_model_a_book_or_a_value_it_says_null():
    state = a_day()
    del state.calibration[Index.SPX]
    state.venue.books.clear()
    rows = day_document(state, NOW)["ladders"][EVENT]["rows"]
    assert {(row["model"], row["bid"], row["ask"], row["bid_size"]) for row in rows} == {(None, None, None, None)}
    assert not any(row["book_believed"] for row in rows)
    state.index[Index.SPX].last = None
    found = day_document(state, NOW)["ladders"][EVENT]
    assert found["level"] is None
    ours = {one.market_ticker for one in state.live_orders() if one.event_ticker == EVENT}
    assert ours < {row["market"] for row in found["rows"]}, "what is ours is shown wherever the index is"


def test_it_is_bounded(monkeypatch):
    state = a_day()
    (event,) = [one for one in state.venue.events if one.startswith("KXINXU-") and one == EVENT]
    assert len(state.venue.events[event]) > STRIKES_MAX
    assert len(day_document(state, NOW)["ladders"][EVENT]["rows"]) == STRIKES_MAX
    monkeypatch.setattr(status_day, "ROWS_MAX", 5)
    monkeypatch.setattr(status_day, "LADDERS_MAX", 1)
    found = day_document(state, NOW)["ladders"]
    assert list(found) == [EVENT]
    assert len(found[EVENT]["rows"]) == 5
    for number in range(FILLED_MAX + 3):
        made = page_rig.order("M", "E", 1_000 + number, Side.BID, 5_000, filled=lots(1))
        state.orders[made.client_order_id] = replace(made, updated_ns=Nanos(NOW + number))
    filled = day_document(state, NOW)["filled"]
    assert len(filled) == FILLED_MAX
    assert filled[0]["client_order_id"] == f"kd-{1_000 + FILLED_MAX + 2}", "the newest first"


@pytest.mark.parametrize("phase", [Phase.UPCOMING, Phase.SETTLING, Phase.SETTLED, Phase.SHUT])
def test_only_windows_that_are_live_have_a_ladder(phase):
    state = a_day()
    for event, status in state.windows.items():
        state.windows[event] = WindowStatus(status.window, phase)
    assert day_document(state, NOW)["ladders"] == {}


def test_a_position_that_is_paid_or_flat_is_not_held():
    state = a_day()
    for one in state.ledger.positions.values():
        one.settled, one.count = "yes", Count(0)
    assert {row["position"] for row in day_document(state, NOW)["ladders"][EVENT]["rows"]} == {None}


def test_the_record_of_forecasts_is_every_monitor_with_its_limits():
    found = day_document(a_day(), NOW)["calibration"]["SPX"]
    assert (found["ready"], found["minutes_seen"], found["alarms"]) == (True, 119.5, [])
    said = {(one["monitor"], one["group"]): one for one in found["readings"]}
    assert said["pit_ks", "long"]["value"] is None
    assert said["pit_ks", "long"]["standing"] == "NO_DATA"
    assert said["cover90", "hour"]["low"] == 0.845
