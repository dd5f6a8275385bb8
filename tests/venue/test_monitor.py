"""The venue task on a hand-moved clock."""

import pytest

from kalshi_daemon.domain.contract import FeeType, MarketStatus
from kalshi_daemon.domain.events import (
    BookDelta,
    EventFeeUpdate,
    MarketLifecycle,
    OrderGroupUpdate,
    SequenceGap,
    StreamDown,
)
from kalshi_daemon.domain.order import Status
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.domain.window import Phase
from kalshi_daemon.ground.errors import NotFound, RateLimited, VenueUnavailable, VenueUnreachable
from kalshi_daemon.ground.units import SECOND, Count, Nanos, Price
from kalshi_daemon.settings.model import Settings
from kalshi_daemon.venue.monitor import BACKOFF_FIRST
from kalshi_daemon.venue.stream_care import SNAPSHOT_PATIENCE
from tests.venue.listing_samples import event_object, ladder_objects
from tests.venue.monitor_rig import EVENT, TARGET, TEN_ET, Rig, running, settle
from tests.venue.test_books import order

T6850 = f"{EVENT}-T6849.9999"


async def test_a_start_reads_status_fees_and_the_days_listing():
    rig = Rig()
    async with running(rig):
        venue = rig.state.venue
        assert venue.status is not None
        assert venue.status.read_ns == TEN_ET
        assert venue.fees["KXINXU"].fee_type is FeeType.QUADRATIC
        assert len(venue.events[EVENT]) == 61
        assert venue.listing_read_ns == {"KXINXU": TEN_ET}
        assert rig.changes == 1


async def test_the_listing_asks_for_open_unopened_and_closed_events_of_our_series_only():
    rig = Rig()
    async with running(rig):
        asked = [call[1:] for call in rig.venue.calls if call[0] == "events"]
        assert asked == [("KXINXU", "open"), ("KXINXU", "unopened"), ("KXINXU", "closed")]


async def test_status_and_fees_are_read_on_their_timers():
    rig = Rig()
    async with running(rig):
        await rig.advance(60, step=15)
        assert rig.called("status") == 5
        assert rig.state.venue.status is not None
        assert rig.state.venue.status.read_ns == TEN_ET + 60 * SECOND
        await rig.advance(1_740, step=30)
        assert rig.called("series") == 2
        assert rig.state.venue.fees["KXINXU"].read_ns == TEN_ET + 1_800 * SECOND


@pytest.mark.parametrize(
    "failure", [VenueUnavailable("status", 503, "x"), VenueUnreachable("status", "x"), RateLimited("status", 10)]
)
async def test_a_failed_status_read_is_repeated_and_never_refreshes_the_age(failure):
    rig = Rig()
    rig.venue.failures["status"] = [failure] * 4
    async with running(rig):
        assert rig.state.venue.status is None
        await rig.advance(6)  # after 1 s, 2 s, 4 s, ...
        assert rig.called("status") == 3
        assert rig.state.venue.status is None
        await rig.advance(9)
        assert rig.called("status") == 5
        assert rig.state.venue.status is not None


async def test_the_back_off_has_a_ceiling():
    rig = Rig()
    rig.venue.failures["status"] = [VenueUnavailable("status", 503, "x")] * 100
    async with running(rig):
        await rig.advance(320)
        assert 20 <= rig.called("status") <= 26  # every 16 s in the end
    assert BACKOFF_FIRST == SECOND


async def test_a_fee_change_stops_the_series_until_a_restart():
    rig = Rig()
    async with running(rig):
        rig.venue.fees["KXINXU"] = {"fee_type": "quadratic", "fee_multiplier": 0.5}
        await rig.advance(1_800, step=60)
        assert rig.state.venue.fee_alarm == {"KXINXU": "quadratic x1 -> quadratic x0.5"}
        assert rig.state.venue.fees == {}
        rig.venue.fees.clear()
        await rig.advance(3_600, step=60)
        assert rig.state.venue.fees == {}


async def test_an_unknown_fee_type_stops_that_series_only():
    rig = Rig(series=("KXINXU", "KXINX"))
    rig.venue.fees["KXINXU"] = {"fee_type": "flat", "fee_multiplier": 1}
    async with running(rig):
        assert "flat" in rig.state.venue.fee_alarm["KXINXU"]
        assert list(rig.state.venue.fees) == ["KXINX"]


async def test_a_wrapped_series_object_is_read_too():
    rig = Rig()
    rig.venue.fees["KXINXU"] = {"series": {"fee_type": "quadratic", "fee_multiplier": 1}}
    async with running(rig):
        assert "KXINXU" in rig.state.venue.fees


async def test_a_failed_listing_is_read_again_and_counts_as_unread_until_then():
    rig = Rig()
    rig.venue.failures["markets"] = [VenueUnavailable("markets", 503, "x")]
    async with running(rig):
        assert rig.state.venue.listing_read_ns == {}
        await rig.advance(1)
        assert rig.state.venue.listing_read_ns == {"KXINXU": TEN_ET + SECOND}
        assert len(rig.state.venue.events[EVENT]) == 61


async def test_one_event_that_cannot_be_read_does_not_hide_the_others():
    rig = Rig()
    other = "KXINXU-26NOV23H1200"
    rig.venue.listed["unopened"] = [event_object(other), {"event_ticker": None}]
    rig.venue.ladders[other] = ladder_objects(other, 6700, 7000, close_time="2026-11-23T17:00:00Z")
    rig.venue.failures["markets"] = [NotFound("markets", 404, "not_found", "not found")]
    async with running(rig):
        problems = rig.state.venue.listing_problem
        assert "404" in problems[EVENT]
        assert "None" in problems["KXINXU"]
        assert other in rig.state.venue.events
        assert rig.state.venue.listing_read_ns == {}
        rig.venue.listed["unopened"].pop()
        await rig.advance(130, step=5)
        assert rig.state.venue.listing_problem == {}
        assert "KXINXU" in rig.state.venue.listing_read_ns


async def test_created_markets_are_discovered_once_per_burst():
    rig = Rig()
    async with running(rig):
        await rig.advance(2)
        before = rig.called("markets")
        rig.venue.ladders[EVENT] = ladder_objects(EVENT, 6700, 7100)
        for strike in range(7005, 7101, 5):
            ticker = f"{EVENT}-T{strike - 1}.9999"
            rig.monitor.on_event(MarketLifecycle("created", ticker, rig.clock.now_ns()))
        await settle()
        await rig.advance(3)
        assert rig.called("markets") == before + 1
        assert len(rig.state.venue.events[EVENT]) == 81


async def test_a_message_during_a_read_makes_the_event_be_read_again():
    rig = Rig()

    def deactivate():
        rig.venue.during_markets.clear()
        rig.monitor.on_event(MarketLifecycle("deactivated", T6850, rig.clock.now_ns()))

    rig.venue.during_markets.append(deactivate)
    async with running(rig):
        assert rig.called("markets") == 1
        await rig.advance(1)
        assert rig.called("markets") == 2


async def test_a_lifecycle_message_of_a_known_market_wakes_the_windows():
    rig = Rig()
    async with running(rig):
        before = rig.changes
        rig.monitor.on_event(MarketLifecycle("determined", T6850, rig.clock.now_ns(), result="yes"))
        rig.monitor.on_event(MarketLifecycle("determined", "KXBTC-1-T1", rig.clock.now_ns(), result="yes"))
        assert rig.changes == before + 1
        assert rig.state.venue.markets[T6850].status is MarketStatus.DETERMINED


async def test_a_reconnect_reads_everything_again():
    rig = Rig()
    async with running(rig):
        await rig.advance(2)
        before = rig.called("markets")
        rig.up()
        await rig.advance(2)
        assert rig.called("markets") == before + 1
        assert rig.state.venue.stream_up


async def test_the_listing_is_read_again_on_the_timer_and_when_markets_close():
    rig = Rig()
    async with running(rig):
        await rig.advance(125, step=5)
        assert rig.called("markets") == 2
    late = Rig(now=Nanos(TARGET - 12 * SECOND))
    async with running(late):
        late.venue.ladders[EVENT] = ladder_objects(EVENT, 6700, 7000, status="closed")
        await late.advance(20)
        assert late.state.venue.markets[T6850].status is MarketStatus.CLOSED


async def test_books_near_the_money_of_open_windows_are_streamed():
    rig = Rig()
    rig.window()
    rig.forecast(6850.0)
    async with running(rig):
        await rig.advance(5)
        [wanted] = rig.stream.wanted
        strikes = sorted(float(ticker.rpartition("T")[2]) for ticker in wanted)
        assert (len(wanted), strikes[0], strikes[-1]) == (39, 6754.9999, 6944.9999)
        assert set(rig.state.venue.books) == set(wanted)
        await rig.advance(30, step=5)
        assert len(rig.stream.wanted) == 1, "nothing changed, nothing is said"


async def test_the_set_follows_the_index_with_inertia_and_forgets_what_left():
    rig = Rig()
    rig.window()
    rig.forecast(6850.0)
    async with running(rig):
        await rig.advance(5)
        rig.forecast(6851.0)
        await rig.advance(10, step=5)
        first, *later = rig.stream.wanted
        assert all(set(first) <= set(wanted) for wanted in later), "a point up adds at most a strike and drops none"
        rig.forecast(6900.0)
        await rig.advance(5)
        assert f"{EVENT}-T6754.9999" not in rig.state.venue.books
        assert f"{EVENT}-T6989.9999" in rig.state.venue.books
        rig.state.windows.clear()
        await rig.advance(5)
        assert rig.stream.wanted[-1] == []
        assert rig.state.venue.books == {}


async def test_without_a_forecast_the_nearest_strikes_and_without_an_index_none():
    rig = Rig()
    rig.window(Phase.UPCOMING)
    async with running(rig):
        await rig.advance(5)
        assert rig.stream.wanted == []
        rig.tick(6851.3)
        await rig.advance(5)
        assert len(rig.stream.wanted[-1]) == 40


async def test_a_market_with_an_order_of_ours_keeps_its_book():
    rig = Rig()
    async with running(rig):
        rig.state.orders["a"] = order(Side.BID, 4000, 100, ticker=T6850, status=Status.UNKNOWN)
        rig.state.orders["b"] = order(Side.BID, 4000, 100, ticker="ELSEWHERE")
        await rig.advance(5)
        assert rig.stream.wanted == [[T6850]]


async def test_a_window_without_a_listing_wants_nothing():
    rig = Rig()
    rig.venue.listed = {}
    rig.window()
    rig.forecast()
    async with running(rig):
        await rig.advance(5)
        assert rig.stream.wanted == []


async def streaming(rig):
    rig.window()
    rig.forecast(6850.0)
    rig.up()
    await rig.advance(6)
    for ticker in rig.stream.wanted[-1]:
        rig.book(ticker)


async def test_defect_19_books_come_from_the_stream_and_the_witness_asks_for_one_at_a_time():
    """The predecessor fetched 800 order books per scan over REST."""
    rig = Rig()
    async with running(rig):
        await streaming(rig)
        reads = len(rig.venue.calls)
        rig.monitor.on_event(SequenceGap(1, 5, 7, rig.clock.now_ns()))
        await rig.advance(60, step=5)
        assert rig.stream.asked, "lost books are asked for on the stream"
        calls = [call[0] for call in rig.venue.calls[reads:]]
        assert set(calls) <= {"status", "events", "markets", "series", "orderbook"}
        assert calls.count("orderbook") <= 60 / Settings().kalshi.witness_every_s
        assert len(calls) <= 16


async def test_a_gap_waits_for_the_streams_own_snapshots_then_asks():
    rig = Rig()
    async with running(rig):
        await streaming(rig)
        rig.monitor.on_event(SequenceGap(1, 5, 7, rig.clock.now_ns()))
        assert not any(book.synced for book in rig.state.venue.books.values())
        assert rig.stream.asked == []
        await rig.advance(4)
        assert rig.stream.asked == []
        rig.book(T6850)
        await rig.advance(6)
        [asked] = rig.stream.asked
        assert len(asked) == 38
        assert T6850 not in asked


async def test_a_broken_book_is_asked_for_at_once_but_not_again_and_again():
    rig = Rig()
    async with running(rig):
        await streaming(rig)
        await rig.advance(6)

        def broken():
            recv = rig.clock.now_ns()
            rig.monitor.on_event(BookDelta(1, 9, T6850, Side.BID, Price(4000), Count(-500), recv, recv))

        broken()
        assert rig.stream.asked == [[T6850]]
        rig.book(T6850)
        broken()
        assert rig.stream.asked == [[T6850]]
        await rig.advance(SNAPSHOT_PATIENCE / SECOND + 6)
        assert len(rig.stream.asked) == 2


async def test_a_book_that_stays_crossed_is_asked_for():
    rig = Rig()
    async with running(rig):
        await streaming(rig)
        await rig.advance(6)
        recv = rig.clock.now_ns()
        rig.monitor.on_event(BookDelta(1, 9, T6850, Side.BID, Price(5000), Count(100), recv, recv))
        assert rig.state.venue.books[T6850].crossed
        await rig.advance(7)
        assert rig.stream.asked == [[T6850]]


async def test_while_the_stream_is_down_nobody_is_asked():
    rig = Rig()
    async with running(rig):
        await streaming(rig)
        rig.monitor.on_event(StreamDown(rig.clock.now_ns(), "closed"))
        assert not rig.state.venue.stream_up
        assert not any(book.synced for book in rig.state.venue.books.values())
        await rig.advance(30, step=5)
        assert rig.stream.asked == []


async def test_an_event_fee_override_is_noted():
    rig = Rig()
    async with running(rig):
        rig.monitor.on_event(EventFeeUpdate(EVENT, "quadratic", 2.0, TEN_ET))
        rig.monitor.on_event(EventFeeUpdate("KXBTC-1", "flat", 2.0, TEN_ET))
        assert rig.state.venue.event_fee_override == {EVENT: "quadratic x2.0"}
        rig.monitor.on_event(EventFeeUpdate(EVENT, None, None, TEN_ET))
        assert rig.state.venue.event_fee_override == {}


async def test_events_of_other_rooms_pass_by():
    rig = Rig()
    rig.monitor.on_event(OrderGroupUpdate("created", "g", TEN_ET))
    assert rig.state.venue.books == {}


async def test_a_bug_ends_the_task():
    rig = Rig()
    rig.venue.failures["status"] = [RuntimeError("boom")]
    with pytest.raises(ExceptionGroup):
        await rig.monitor.run()
