"""The websocket session without a socket: subscriptions follow what is wanted, losses are noticed and repaired."""

import itertools

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.events import BookDelta, BookSnapshot, FillEvent, SequenceGap, StreamUp
from kalshi_daemon.ground.units import MILLISECOND, MINUTE, SECOND, Nanos
from kalshi_daemon.kalshi.stream_session import (
    ACK_TIMEOUT,
    HOLD_AFTER_ERROR,
    PRIVATE_GAPS_MAX,
    REFUSED_FOR,
    RESUBSCRIBES_MAX,
    SNAPSHOT_ASKS,
    SNAPSHOT_TIMEOUT,
    UNREADABLE_RUN_MAX,
    SessionLost,
    StreamSession,
)
from kalshi_daemon.kalshi.ws_codec import PRIVATE_CHANNELS, any_ticker
from tests.kalshi.test_ws_frames import FILL_MSG

BOOK_SID = 50


class Venue:
    """A session and the other side of it, log_fields by hand. Time moves only by `pass_time`."""

    def __init__(self, *wanted: str, is_ours=any_ticker) -> None:
        self.session = StreamSession(itertools.count(1), use_yes_price=False, is_ours=is_ours)
        self.session.want(wanted)
        self.now = 1_000 * SECOND
        self.seq = 0
        self.sid = BOOK_SID

    def pass_time(self, ns: int) -> None:
        self.now += ns

    def sent(self) -> list[dict]:
        """Commands due now, after the pause between commands."""
        self.now += 60 * MILLISECOND
        return [orjson.loads(command) for command in self.session.commands(self.now)]

    def one(self) -> dict:
        (command,) = self.sent()
        return command

    def say(self, frame: dict) -> list:
        return self.session.receive(orjson.dumps(frame), Nanos(self.now), self.now)

    def book_frame(self, kind: str, msg: dict, **envelope) -> list:
        self.seq += 1
        return self.say({"type": kind, "sid": self.sid, "seq": self.seq, "msg": msg, **envelope})

    def snapshot(self, ticker: str) -> list:
        return self.book_frame("orderbook_snapshot", {"market_ticker": ticker, "yes_dollars_fp": [["0.40", "1.00"]]})

    def delta(self, ticker: str) -> list:
        msg = {"market_ticker": ticker, "price_dollars": "0.40", "delta_fp": "1.00", "side": "yes"}
        return self.book_frame("orderbook_delta", msg)

    def ok(self, command: dict, tickers: list[str] | None) -> list:
        msg = {} if tickers is None else {"market_tickers": tickers}
        return self.book_frame("ok", msg, id=command["id"])

    def open_private(self) -> list:
        command = self.one()
        assert command["params"]["channels"] == list(PRIVATE_CHANNELS)
        events = []
        for sid, channel in enumerate(PRIVATE_CHANNELS, start=1):
            events += self.say({"id": command["id"], "type": "subscribed", "msg": {"channel": channel, "sid": sid}})
        return events

    def open_books(self) -> dict:
        command = self.one()
        assert command["cmd"] == "subscribe"
        assert command["params"]["use_yes_price"] is False
        self.say({"id": command["id"], "type": "subscribed", "msg": {"channel": "orderbook_delta", "sid": self.sid}})
        return command

    def ready(self) -> "Venue":
        self.open_private()
        command = self.open_books()
        for ticker in command["params"]["market_tickers"]:
            self.snapshot(ticker)
        assert self.sent() == []
        return self


# --- opening ----------------------------------------------------------------------------------------------------------


def test_up_is_said_once_every_private_channel_is_acknowledged():
    venue = Venue()
    command = venue.one()
    for sid, channel in enumerate(PRIVATE_CHANNELS[:-1], start=1):
        assert venue.say({"id": command["id"], "type": "subscribed", "msg": {"channel": channel, "sid": sid}}) == []
    assert bool(venue.session.up) is False
    last = {"channel": PRIVATE_CHANNELS[-1], "sid": 9}
    assert venue.say({"id": command["id"], "type": "subscribed", "msg": last}) == [StreamUp(Nanos(venue.now))]
    assert bool(venue.session.up) is True
    assert venue.say({"id": command["id"], "type": "subscribed", "msg": last}) == []


def test_private_channels_that_are_not_acknowledged_end_the_connection_by_name():
    venue = Venue()
    command = venue.one()
    venue.say({"id": command["id"], "type": "subscribed", "msg": {"channel": "fill", "sid": 1}})
    venue.pass_time(ACK_TIMEOUT)
    with pytest.raises(SessionLost, match=r"user_orders"):
        venue.sent()


def test_private_channels_that_are_refused_end_the_connection():
    venue = Venue()
    command = venue.one()
    with pytest.raises(SessionLost, match="error 9"):
        venue.say({"id": command["id"], "type": "error", "msg": {"code": 9, "msg": "Authentication required"}})


def test_books_are_subscribed_only_after_up_and_only_when_wanted():
    venue = Venue()
    venue.open_private()
    assert venue.sent() == []
    venue.session.want(["A", "B"])
    assert venue.open_books()["params"]["market_tickers"] == ["A", "B"]


def test_an_acknowledgement_nobody_waits_for_changes_nothing():
    venue = Venue("A").ready()
    venue.say({"id": 999, "type": "subscribed", "msg": {"channel": "orderbook_delta", "sid": 77}})
    assert [type(e) for e in venue.delta("A")] == [BookDelta]
    assert venue.book_frame("ok", {"market_tickers": []}, id=999) == []
    assert venue.sent() == []


def test_a_frame_that_cannot_be_read_before_up_says_nothing():
    venue = Venue()
    assert venue.say({"type": "fill", "sid": 1, "msg": {}}) == []


# --- following what is wanted -----------------------------------------------------------------------------------------


def test_differences_are_sent_as_delete_and_add_one_command_at_a_time():
    venue = Venue("A", "B").ready()
    venue.session.want(["B", "C"])
    first = venue.one()
    assert first["params"] == {"sids": [BOOK_SID], "action": "delete_markets", "market_tickers": ["A"]}
    assert venue.sent() == []
    venue.ok(first, ["B"])
    second = venue.one()
    assert second["params"] == {"sids": [BOOK_SID], "action": "add_markets", "market_tickers": ["C"]}
    assert second["id"] > first["id"]
    venue.ok(second, ["B", "C"])
    venue.snapshot("C")
    assert venue.sent() == []


def test_answers_without_a_list_are_believed():
    venue = Venue("A").ready()
    venue.session.want(["B"])
    venue.ok(venue.one(), None)
    venue.ok(venue.one(), None)
    venue.snapshot("B")
    assert venue.sent() == []


def test_nothing_wanted_ends_the_subscription_and_the_next_wish_makes_a_new_one():
    venue = Venue("A").ready()
    venue.session.want([])
    command = venue.one()
    assert (command["cmd"], command["params"]) == ("unsubscribe", {"sids": [BOOK_SID]})
    venue.seq += 1
    venue.say({"type": "unsubscribed", "sid": BOOK_SID, "seq": venue.seq, "id": command["id"]})
    assert venue.sent() == []
    assert venue.delta("A") == []
    venue.session.want(["A"])
    venue.sid, venue.seq = BOOK_SID + 1, 40
    venue.open_books()
    assert [type(e) for e in venue.snapshot("A")] == [BookSnapshot]


def test_commands_keep_their_distance():
    venue = Venue("A")
    venue.open_private()
    assert len(venue.session.commands(venue.now)) == 1
    venue.say({"id": 2, "type": "subscribed", "msg": {"channel": "orderbook_delta", "sid": BOOK_SID}})
    venue.session.want(["A", "B"])
    assert venue.session.commands(venue.now) == []
    assert 0 < venue.session.wake_in(venue.now) <= 50 * MILLISECOND
    assert len(venue.session.commands(venue.now + 50 * MILLISECOND)) == 1


def test_a_command_about_books_that_is_not_acknowledged_ends_the_connection():
    venue = Venue("A").ready()
    venue.session.want(["A", "B"])
    venue.sent()
    venue.pass_time(ACK_TIMEOUT)
    with pytest.raises(SessionLost, match="add_markets"):
        venue.sent()


def test_a_market_the_venue_does_not_take_is_left_alone_for_a_while():
    venue = Venue("A").ready()
    venue.session.want(["A", "BAD"])
    venue.ok(venue.one(), ["A"])
    assert venue.sent() == []
    venue.pass_time(REFUSED_FOR)
    assert venue.one()["params"]["market_tickers"] == ["BAD"]


def test_an_error_that_names_a_market_takes_only_that_one_out():
    venue = Venue("A", "BAD")
    venue.open_private()
    command = venue.one()
    venue.say({"id": command["id"], "type": "error", "msg": {"code": 16, "msg": "not found", "market_ticker": "BAD"}})
    venue.pass_time(HOLD_AFTER_ERROR)
    assert venue.open_books()["params"]["market_tickers"] == ["A"]


def test_an_error_that_names_no_market_takes_the_whole_command_out():
    venue = Venue("A").ready()
    venue.session.want(["A", "B", "C"])
    command = venue.one()
    venue.book_frame("error", {"code": 26, "msg": "limit"}, id=command["id"])
    venue.pass_time(HOLD_AFTER_ERROR)
    assert venue.sent() == []


def test_too_many_requests_waits_and_tries_the_same_again():
    venue = Venue("A").ready()
    venue.session.want(["A", "B"])
    command = venue.one()
    venue.book_frame("error", {"code": 27, "msg": "slow down"}, id=command["id"])
    assert venue.sent() == []
    venue.pass_time(HOLD_AFTER_ERROR)
    assert venue.one()["params"] == command["params"]


@pytest.mark.parametrize("wanted", [["B"], []])
def test_a_removal_the_venue_refuses_ends_the_connection(wanted):
    venue = Venue("A", "B").ready()
    venue.session.want(wanted)
    command = venue.one()
    with pytest.raises(SessionLost, match="refused"):
        venue.book_frame("error", {"code": 7, "msg": "Unknown subscription ID"}, id=command["id"])


def test_a_removal_that_did_not_happen_ends_the_connection():
    venue = Venue("A", "B").ready()
    venue.session.want(["B"])
    with pytest.raises(SessionLost, match="removed"):
        venue.ok(venue.one(), ["A", "B"])


# --- gaps and repairs -------------------------------------------------------------------------------------------------


def test_a_gap_voids_all_books_and_asks_for_all_snapshots():
    venue = Venue("A", "B").ready()
    venue.seq += 1
    events = venue.delta("A")
    assert [type(e) for e in events] == [SequenceGap, BookDelta]
    assert (events[0].sid, events[0].got - events[0].expected) == (BOOK_SID, 1)
    command = venue.one()
    assert command["params"] == {"sids": [BOOK_SID], "action": "get_snapshot", "market_tickers": ["A", "B"]}
    venue.snapshot("A")
    venue.snapshot("B")
    venue.pass_time(10 * SNAPSHOT_TIMEOUT)
    assert venue.sent() == []


def test_control_frames_are_counted():
    venue = Venue("A").ready()
    venue.session.want(["A", "B"])
    venue.ok(venue.one(), ["A", "B"])
    assert [type(e) for e in venue.snapshot("B")] == [BookSnapshot]
    assert venue.book_frame("error", {"code": 11, "msg": "?"}) == []
    assert [type(e) for e in venue.delta("A")] == [BookDelta]


def test_duplicates_are_dropped_and_counted():
    venue = Venue("A").ready()
    venue.delta("A")
    venue.seq -= 1
    assert venue.delta("A") == []
    assert venue.session.dropped == 1


def test_snapshots_that_do_not_come_are_asked_for_again_then_the_subscription_is_made_anew():
    venue = Venue("A", "B").ready()
    venue.seq += 1
    venue.delta("A")
    for _ in range(SNAPSHOT_ASKS):
        assert venue.one()["params"]["action"] == "get_snapshot"
        assert venue.sent() == []
        venue.pass_time(SNAPSHOT_TIMEOUT)
    command = venue.one()
    assert command["cmd"] == "unsubscribe"
    venue.seq += 1
    venue.say({"type": "unsubscribed", "sid": BOOK_SID, "seq": venue.seq, "id": command["id"]})
    venue.sid, venue.seq = BOOK_SID + 1, 0
    assert venue.open_books()["params"]["market_tickers"] == ["A", "B"]


def test_one_market_without_a_snapshot_does_not_hold_up_the_others():
    venue = Venue("A", "DEAD")
    venue.open_private()
    venue.open_books()
    venue.snapshot("A")
    for _ in range(SNAPSHOT_ASKS):
        venue.pass_time(SNAPSHOT_TIMEOUT)
        assert venue.one()["params"] == {"sids": [BOOK_SID], "action": "get_snapshot", "market_tickers": ["DEAD"]}
    venue.pass_time(SNAPSHOT_TIMEOUT)
    command = venue.one()
    assert command["params"] == {"sids": [BOOK_SID], "action": "delete_markets", "market_tickers": ["DEAD"]}
    venue.ok(command, ["A"])
    assert venue.sent() == []
    venue.pass_time(REFUSED_FOR)
    assert venue.one()["params"]["action"] == "add_markets"


def test_a_connection_whose_books_never_come_is_given_up():
    venue = Venue("A")
    venue.open_private()

    def a_venue_that_sends_no_book() -> None:
        for _ in range(20 * RESUBSCRIBES_MAX):
            for command in venue.sent():
                if command["cmd"] == "subscribe":
                    venue.sid += 1
                    msg = {"channel": "orderbook_delta", "sid": venue.sid}
                    venue.say({"id": command["id"], "type": "subscribed", "msg": msg})
                elif command["cmd"] == "unsubscribe":
                    venue.say({"type": "unsubscribed", "sid": venue.sid, "seq": 1, "id": command["id"]})
            venue.pass_time(SNAPSHOT_TIMEOUT)

    with pytest.raises(SessionLost, match="order"):
        a_venue_that_sends_no_book()
    assert venue.sid == BOOK_SID + RESUBSCRIBES_MAX + 1


def test_the_monitor_may_ask_for_snapshots_of_streamed_markets_once():
    venue = Venue("A", "B").ready()
    venue.session.need_snapshots(["B", "ELSEWHERE"])
    assert venue.one()["params"]["market_tickers"] == ["B"]
    venue.session.need_snapshots(["B"])
    assert venue.sent() == []
    venue.snapshot("B")
    venue.session.need_snapshots(["B"])
    assert venue.one()["params"]["market_tickers"] == ["B"]


@pytest.mark.parametrize("code", [10, 25])
def test_a_terminal_error_of_the_books_voids_them_and_subscribes_anew(code):
    venue = Venue("A").ready()
    events = venue.book_frame("error", {"code": code, "msg": "gone"})
    assert [type(e) for e in events] == [SequenceGap]
    assert venue.sent() == []
    venue.pass_time(HOLD_AFTER_ERROR)
    venue.sid, venue.seq = BOOK_SID + 1, 700
    venue.open_books()
    assert [type(e) for e in venue.snapshot("A")] == [BookSnapshot]


def test_a_terminal_error_of_a_private_channel_gives_the_connection_up():
    venue = Venue("A").ready()
    with pytest.raises(SessionLost, match="user_orders"):
        venue.say({"type": "error", "sid": 2, "seq": 1, "msg": {"code": 25, "msg": "overflow"}})


def test_a_terminal_error_of_a_subscription_that_is_long_gone_is_only_noted():
    venue = Venue("A").ready()
    assert venue.say({"type": "error", "sid": 999, "msg": {"code": 10, "msg": "?"}}) == []
    assert [note.event for note in venue.session.notes] == ["kalshi_stream.error_received"]


def test_a_gap_on_a_private_channel_says_up_again_so_that_orders_are_compared():
    venue = Venue()
    venue.open_private()
    fill = {"type": "fill", "sid": 1, "seq": 1, "msg": FILL_MSG}
    assert [type(e) for e in venue.say(fill)] == [FillEvent]
    assert [type(e) for e in venue.say({**fill, "seq": 3})] == [SequenceGap, StreamUp, FillEvent]
    for step in range(PRIVATE_GAPS_MAX):
        venue.say({**fill, "seq": 10 + 5 * step})
    assert [type(e) for e in venue.say({**fill, "seq": 9_000})] == [FillEvent]


def test_private_events_without_numbers_pass():
    venue = Venue()
    venue.open_private()
    assert [type(e) for e in venue.say({"type": "fill", "sid": 1, "msg": FILL_MSG})] == [FillEvent]
    assert venue.say({"type": "ticker", "sid": 77, "seq": 5, "msg": {}}) == []


def test_a_frame_that_cannot_be_read_makes_the_order_room_compare_and_nothing_else_ends_the_connection():
    venue = Venue()
    venue.open_private()
    for _ in range(UNREADABLE_RUN_MAX):
        assert venue.say({"type": "fill", "sid": 1, "msg": {}}) == [StreamUp(Nanos(venue.now))]
    with pytest.raises(SessionLost, match="nothing readable"):
        venue.say({"type": "fill", "sid": 1, "msg": {}})


def test_bad_frames_among_good_ones_never_end_the_connection():
    venue = Venue()
    venue.open_private()
    for _ in range(20 * UNREADABLE_RUN_MAX):
        venue.say({"type": "fill", "sid": 1, "msg": {}})
        assert [type(e) for e in venue.say({"type": "fill", "sid": 1, "msg": FILL_MSG})] == [FillEvent]


def test_unreadable_frames_are_counted_by_market_and_said_once_a_minute():
    venue = Venue()
    venue.open_private()
    venue.session.notes.clear()
    for _ in range(3):
        for market in ("KXINX-26NOV23H1600-T6850", "KXINX-26NOV23H1600-T6855"):
            venue.say({"type": "fill", "sid": 1, "msg": {"market_ticker": market}})
        venue.session.receive(b"[", Nanos(venue.now), venue.now)
        venue.say({"type": "fill", "sid": 1, "msg": FILL_MSG})
    said = [(note.fields["market"], note.fields["count"], note.fields["per_min"]) for note in venue.session.notes]
    assert said == [("KXINX-26NOV23H1600-T6850", 1, 1), ("KXINX-26NOV23H1600-T6855", 1, 1), (None, 1, 1)]
    venue.session.notes.clear()
    venue.session.commands(venue.now + MINUTE)
    assert sorted((note.fields["per_min"], note.fields["count"]) for note in venue.session.notes) == [(3, 3)] * 3
    assert {note.event for note in venue.session.notes} == {"kalshi_stream.frame_unreadable"}


def test_news_of_foreign_markets_in_a_form_that_is_none_of_ours_is_ignored_and_of_ours_it_is_not():
    venue = Venue(is_ours=lambda ticker: ticker.startswith("KXINX"))
    venue.open_private()
    foreign = {"event_type": "determined", "market_ticker": "KXOTHER-1", "settlement_value": "0.123456"}
    for _ in range(20 * UNREADABLE_RUN_MAX):
        assert venue.say({"type": "market_lifecycle_v2", "sid": 1, "msg": foreign}) == []
    ours = {**foreign, "market_ticker": "KXINX-26NOV23H1600-T6850"}
    assert venue.say({"type": "market_lifecycle_v2", "sid": 1, "msg": ours}) == [StreamUp(Nanos(venue.now))]


def test_frames_of_other_subscriptions_are_not_books_of_ours():
    venue = Venue("A").ready()
    venue.sid = 999
    assert venue.delta("A") == []
    assert venue.snapshot("A") == []


def test_passing_deltas_do_not_stir_the_sender():
    venue = Venue("A").ready()
    assert not venue.session.stirred
    venue.delta("A")
    assert not venue.session.stirred
    venue.seq += 1
    venue.delta("A")
    assert venue.session.stirred


@settings(deadline=None, max_examples=60)
@given(
    wishes=st.lists(st.lists(st.sampled_from("ABCDE"), unique=True, max_size=5), min_size=1, max_size=8),
    gaps=st.lists(st.booleans(), min_size=60, max_size=60),
)
def test_whatever_is_wanted_in_the_end_is_what_is_streamed(wishes, gaps):
    """A venue that answers everything, with gaps thrown in: the subscription converges on the last wish."""
    venue = Venue()
    venue.open_private()
    listed: list[str] = []
    live = False
    for step, gap in enumerate(gaps):
        if step < len(wishes):
            venue.session.want(wishes[step])
        venue.seq += 1 if gap and step < 40 else 0
        for command in venue.sent():
            params = command["params"]
            if command["cmd"] == "subscribe":
                venue.sid, venue.seq, live = venue.sid + 1, 10, True
                listed = list(params["market_tickers"])
                msg = {"channel": "orderbook_delta", "sid": venue.sid}
                venue.say({"id": command["id"], "type": "subscribed", "msg": msg})
                fresh = listed
            elif command["cmd"] == "unsubscribe":
                venue.book_frame("unsubscribed", {}, id=command["id"])
                listed, fresh, live = [], [], False
            elif params["action"] == "get_snapshot":
                fresh = params["market_tickers"]
            else:
                fresh = params["market_tickers"] if params["action"] == "add_markets" else []
                listed = [t for t in listed if t not in params["market_tickers"]] + fresh
                venue.ok(command, listed)
            for ticker in fresh:
                venue.snapshot(ticker)
        venue.pass_time(SECOND)
    assert sorted(listed) == sorted(wishes[-1])
    assert live == bool(wishes[-1])
    assert venue.session._awaiting == {}


# --- made again -------------------------------------------------------------------------------------------------------


def test_a_market_is_taken_out_and_in_again_and_its_neighbour_stays():
    venue = Venue("A", "B").ready()
    venue.session.renew(["A", "never streamed"])
    gone = venue.one()
    assert (gone["params"]["action"], gone["params"]["market_tickers"]) == ("delete_markets", ["A"])
    venue.ok(gone, ["B"])
    back = venue.one()
    assert (back["params"]["action"], back["params"]["market_tickers"]) == ("add_markets", ["A"])
    venue.ok(back, ["A", "B"])
    (event,) = venue.snapshot("A")
    assert event.market_ticker == "A"
    assert venue.sent() == [], "once"


def test_the_only_market_is_made_again_too():
    venue = Venue("A").ready()
    venue.session.renew(["A"])
    gone = venue.one()
    assert gone["params"]["market_tickers"] == ["A"]
    venue.ok(gone, [])
    assert venue.one()["params"]["action"] == "add_markets"


def test_a_market_that_is_taken_out_although_it_is_wanted_is_told():
    venue = Venue("A", "B").ready()
    venue.session.need_snapshots(["A"])
    for _ in range(SNAPSHOT_ASKS):
        assert venue.one()["params"]["action"] == "get_snapshot"
        assert venue.session.lost == []
        venue.pass_time(SNAPSHOT_TIMEOUT)
    assert venue.one()["params"]["market_tickers"] == ["A"]
    assert venue.session.lost == ["A"]
