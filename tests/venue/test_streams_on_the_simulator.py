"""Streams that lie, over real sockets: the simulated exchange's levers against the venue room as it is shipped."""

import asyncio
from contextlib import asynccontextmanager
from random import Random

import pytest

from kalshi_daemon.domain.index import Channel, Index, Tick
from kalshi_daemon.domain.window import Phase, Window, WindowStatus
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import MILLISECOND, MINUTE, SECOND, Nanos
from kalshi_daemon.kalshi.auth import signer_from_pem
from kalshi_daemon.kalshi.rest import KalshiRest
from kalshi_daemon.kalshi.stream import KalshiStream, StreamSink
from kalshi_daemon.kalshi.transport import open_session
from kalshi_daemon.settings.model import ProfileSettings, ProfilesSettings, Settings
from kalshi_daemon.simulator.exchange.sim_server import SimServer
from kalshi_daemon.state import DaemonState
from kalshi_daemon.venue.monitor import UPKEEP_EVERY, MonitorCallbacks, VenueMonitor
from kalshi_daemon.venue.stream_care import SILENCE_GRACE, SNAPSHOT_PATIENCE
from kalshi_daemon.windows.table import enabled_series
from tests.orders.order_rig import window
from tests.simulator.exchange_kit import EVENT, OTHER, START, TARGET, TICKER, put, small_exchange
from tests.simulator.key_kit import ed25519_pair
from tests.support.written import as_written

pytestmark = pytest.mark.alone

WIDE = ProfileSettings(series=("KXINXU",), lots=1, bins=4, impact_cap=0.05)
OFF = WIDE.model_copy(update={"enabled": False})
SETTINGS = Settings(profiles=ProfilesSettings(wide=WIDE, size=OFF, close=OFF))
WINDOW: Window = window(EVENT, TARGET)


STEP_S = 0.004
"""Real time given to everybody in each 200 ms of the bench's."""


class FastClock(ManualClock):
    """Network deadlines run at the pace at which the test moves time."""

    def real_seconds(self, duration_ns):
        return duration_ns / SECOND * STEP_S / 0.2


class Bench:
    """A venue room on an exchange whose time the test moves."""

    def __init__(self):
        self.clock = FastClock(START)
        self.exchange, self.hand = small_exchange()
        self.server = SimServer(self.exchange, self.clock)
        private, public = ed25519_pair()
        self.server.register_key("key-1", public, "ann")
        self.signer = signer_from_pem(private, "key-1")
        self.state = DaemonState(armed=True, kill_switch=False)
        self.state.windows[EVENT] = WindowStatus(WINDOW, Phase.OPEN)
        self.state.index[Index.SPX].last = Tick(Index.SPX, Channel.VALUE, 6850.0, START, START)
        self.monitor: VenueMonitor
        self.reports = []

    @property
    def stream(self):
        return self.server.faults.stream

    @property
    def streams(self):
        return self.state.venue.streams

    @property
    def book(self):
        return self.state.venue.books[TICKER]

    def tick(self, step_ms=200):
        self.clock.advance(Nanos(step_ms * MILLISECOND))
        self.hand.set(self.clock.now_ns())
        self.exchange.run_until(self.clock.now_ns())

    async def until(self, condition, s_max, what="came true"):
        """Let time run; how long it took in simulated seconds."""
        began = self.clock.now_ns()
        for _ in range(round(s_max * 5)):
            if condition():
                return (self.clock.now_ns() - began) / SECOND
            self.tick()
            await asyncio.sleep(STEP_S)
        raise AssertionError(f"never {what} within {s_max} s; {self.streams}")

    async def pass_time(self, seconds):
        for _ in range(round(seconds * 5)):
            self.tick()
            await asyncio.sleep(STEP_S)

    def agrees(self):
        """Whether our book is the exchange's."""
        truth = self.exchange.catalogue.markets[TICKER].book
        return self.book.synced and self.book.bids == dict(truth.bids) and self.book.asks == dict(truth.asks)


@asynccontextmanager
async def bench():
    made = Bench()
    for ticker in (TICKER, OTHER):
        put(made.exchange, "bob", "bid", 40, 5, ticker=ticker)
        put(made.exchange, "cat", "ask", 60, 5, ticker=ticker)
    urls = await made.server.start()

    def hear(event):
        made.monitor.on_event(event)

    async with open_session() as session, asyncio.TaskGroup() as group:
        rest = KalshiRest(urls.rest_url, made.signer, made.clock, SETTINGS.kalshi, session=session)
        stream = KalshiStream(
            urls.ws_url,
            made.signer,
            made.clock,
            SETTINGS.kalshi,
            StreamSink(hear),
            rng=Random(1),
        )
        made.monitor = VenueMonitor(
            made.state,
            rest,
            stream,
            made.clock,
            SETTINGS,
            enabled_series(SETTINGS),
            MonitorCallbacks(lambda: None, lambda report: made.reports.append(as_written(report))),
        )
        tasks = [group.create_task(stream.run()), group.create_task(made.monitor.run())]
        try:
            await made.until(lambda: TICKER in made.state.venue.books and made.book.synced, 60, "streaming")
            assert made.agrees()
            yield made
        finally:
            for task in tasks:
                task.cancel()
            await made.server.aclose()


def trade_more(made, cents=41):
    put(made.exchange, "bob", "bid", cents, 1)


async def test_an_honest_exchange_is_never_accused():
    async with bench() as made:
        for step in range(100):
            if step % 3 == 0:
                put(made.exchange, "bob", "bid", 30 + step % 10, 1)
            await made.pass_time(1)
        assert made.agrees()
        assert made.streams.witness_looks >= 5
        assert made.streams.witness_suspicions == made.streams.snapshots_disagreed == 0
        assert made.streams.markets_silent == made.streams.gaps == 0
        assert made.streams.doubted == {}
        assert made.reports[-1]["status"] == "OK"


async def test_a_gap_is_seen_at_the_next_frame_and_repaired_by_snapshots():
    async with bench() as made:
        assert made.server.hub.skip_seq("orderbook_delta", 2)
        trade_more(made)
        await made.until(lambda: made.streams.gaps == 1, 5, "noticed")
        await made.until(made.agrees, 15, "repaired")


async def test_repeated_frames_are_dropped_and_counted():
    async with bench() as made:
        made.stream.duplicates = 3
        for _ in range(3):
            trade_more(made)
        await made.until(lambda: made.streams.repeated == 3, 20, "counted")
        assert made.agrees()
        assert made.streams.gaps == 0


async def test_frames_in_the_wrong_order_void_the_books_until_snapshots():
    async with bench() as made:
        made.stream.swaps = 1
        trade_more(made)
        trade_more(made, 42)
        await made.until(lambda: made.streams.gaps == 1, 5, "noticed")
        await made.until(made.agrees, 15, "repaired")
        assert made.streams.books_voided or made.streams.gaps


async def test_a_silent_market_under_a_healthy_ping_is_given_up_within_its_bound():
    async with bench() as made:
        made.stream.withheld = frozenset({TICKER})
        trade_more(made)
        bound = SETTINGS.kalshi.book_silence_s + (SILENCE_GRACE + SNAPSHOT_PATIENCE + 2 * UPKEEP_EVERY) / SECOND
        await made.until(lambda: not made.book.synced, bound, "given up")
        assert made.state.venue.books[OTHER].synced, "its neighbours answer"
        made.stream.withheld = frozenset()
        await made.until(made.agrees, 120, "repaired")


async def test_a_whole_channel_silent_under_a_healthy_ping_is_given_up_and_subscribed_again():
    async with bench() as made:
        made.stream.muted = frozenset({"orderbook_delta"})
        await made.until(lambda: not made.book.synced, 60, "given up")
        assert made.state.venue.stream_up, "pings and private channels are in order"
        made.stream.muted = frozenset()
        trade_more(made)
        await made.until(made.agrees, 120, "repaired")


async def test_changes_lost_without_a_gap_are_found_by_a_witness_or_a_snapshot_and_repaired():
    async with bench() as made:
        made.stream.withheld = frozenset({TICKER})
        trade_more(made)
        await made.pass_time(0.4)
        made.stream.withheld = frozenset()
        assert made.book.synced
        assert not made.agrees()
        found = lambda: made.streams.witness_disagreements or made.streams.snapshots_disagreed  # noqa: E731
        for _ in range(40):
            put(made.exchange, "cat", "ask", 70, 1)  # the market is anything but silent
            await made.pass_time(5)
            if found():
                break
        assert made.streams.witness_disagreements == 1, "nothing but the witness can see it in a busy market"
        await made.until(lambda: made.agrees() and made.book.usable, 60, "repaired")


async def test_late_frames_close_their_markets_and_timely_ones_open_them():
    async with bench() as made:
        made.stream.lag_s = 0.1  # real time: some five seconds of the bench's
        trade_more(made)
        await made.until(lambda: "late" in made.book.doubt, 30, "doubted")
        assert made.streams.lag_ns_max > SETTINGS.guards.book_lag_ms_max * MILLISECOND
        made.stream.lag_s = 0.0
        await made.until(lambda: made.book.usable, 30, "believed again")


async def test_a_post_only_reject_brings_a_snapshot():
    async with bench() as made:
        made.monitor.on_post_only_reject(TICKER)
        assert not made.book.usable
        await made.until(lambda: made.book.usable, 10, "looked at again")
        assert made.streams.post_only_rejects == 1


async def test_the_witness_costs_next_to_nothing_of_the_read_budget():
    async with bench() as made:
        before = made.streams.witness_looks
        await made.pass_time(MINUTE / SECOND)
        assert 3 <= made.streams.witness_looks - before <= 6
