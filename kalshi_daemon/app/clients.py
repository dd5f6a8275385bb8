"""The clients of exchange and index feed, joined to router and state: the same for every driver of the core."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import aiohttp

from kalshi_daemon.app.event_router import EventRouter
from kalshi_daemon.calibration.updater import RollingCalibration
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.units import Nanos, from_ms
from kalshi_daemon.index_feed.consumer import IndexFeed
from kalshi_daemon.index_feed.snapshot_witness import SnapshotWitness
from kalshi_daemon.index_feed.value_intake import FeedContext, FeedListeners
from kalshi_daemon.index_feed.witnesses import OutsideLevels
from kalshi_daemon.kalshi.auth import Signer, load_signer
from kalshi_daemon.kalshi.rest import KalshiRest
from kalshi_daemon.kalshi.server_time import ServerClock
from kalshi_daemon.kalshi.stream import KalshiStream, StreamSink
from kalshi_daemon.kalshi.transport import WriteGate
from kalshi_daemon.memory.models import last_prices
from kalshi_daemon.settings.model import Settings
from kalshi_daemon.state import ClockSkew, DaemonState
from kalshi_daemon.trading.inputs import outside_levels

type Near = Callable[[Any, str], Any]
"""What stands for a way to connect, which sends the text given with it as a secret: itself, or its near end on a serial
loop (`recording.wire`)."""


def _itself(far: Any, _secret: str) -> Any:  # noqa: ANN401 - websockets' `connect`, or what is like it
    return far


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the daemon talks to and as whom."""

    rest_url: str
    ws_url: str
    feed_url: str
    signer: Signer
    near: Near = _itself


class Clients:
    """Makes them. Nothing is sent before they run. Their events go to `router`; un-armed, no write leaves."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        where: Endpoints,
        session: aiohttp.ClientSession,
        state: DaemonState,
        *,
        armed: bool,
        entropy: bytes,
    ) -> None:
        self._settings = settings
        self._armed = armed
        self._clock = clock
        self._where = where
        self._session = session
        self._state = state
        self._jitter = random.Random(entropy)  # noqa: S311 - spreads reconnects, guards nothing
        self.router = EventRouter()

    def exchange(self) -> tuple[KalshiRest, KalshiStream]:
        """REST and stream. Un-armed, the client itself refuses every write before a byte leaves."""
        state, clock, where = self._state, self._clock, self._where

        def skew(offset_ns: Nanos, round_trip_ns: Nanos) -> None:
            state.skew["kalshi"] = ClockSkew(offset_ns, clock.now_ns(), round_trip_ns)

        def may_create() -> bool:
            return self._armed and not state.latch.closed and not state.kill_switch

        server_clock = ServerClock(from_ms(self._settings.guards.clock_skew_ms_max), on_measured=skew)
        rest = KalshiRest(
            where.rest_url,
            where.signer,
            clock,
            self._settings.kalshi,
            session=self._session,
            writes=WriteGate(read_only=not self._armed, may_create=may_create),
            server_clock=server_clock,
        )
        stream = KalshiStream(
            where.ws_url,
            where.signer,
            clock,
            self._settings.kalshi,
            StreamSink(
                self.router.on_venue_event, is_ours=lambda ticker: ticker.partition("-")[0] in state.instruments.series
            ),
            rng=self._jitter,
            server_clock=server_clock,
        )
        stream.dial = where.near(stream.dial, "")
        return rest, stream

    def feed(self, models: Mapping[Index, RollingCalibration], snapshots: SnapshotWitness | None) -> IndexFeed:
        """Its own idea of the level of an index is asked of books, snapshots and the models' memory."""
        state = self._state

        def outside(index: Index) -> OutsideLevels:
            found = outside_levels(state, self._settings.pricing, index, self._clock.now_ns())
            return found if snapshots is None else replace(found, snapshot=snapshots.said(index))

        listeners = FeedListeners(self.router.on_tick, self.router.on_bar, self.router.on_session, beliefs=self.router)
        context = FeedContext(lambda: state.session_open, last_prices(models), outside)
        feed_settings, url = self._settings.index_feed, self._where.feed_url
        feed = IndexFeed(state, feed_settings, self._clock, url, listeners, context, rng=self._jitter)
        feed.dial = self._where.near(feed.dial, feed_settings.api_key.get_secret_value())
        return feed


def endpoints_of(settings: Settings, environ: Mapping[str, str]) -> Endpoints:
    """Of the settings, with the key that signs. Raises ConfigurationError for a key that cannot be had."""
    key_path = settings.kalshi.private_key_path
    if key_path is None:
        raise ConfigurationError("kalshi.private_key_path", "is not set", "a PEM file, mode 0600")
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    # systemd guards that folder with access lists, which show as a group bit.
    guarded = credentials is not None and key_path.is_relative_to(credentials)
    signer = load_signer(key_path, settings.kalshi.key_id, group_may_read=guarded)
    return Endpoints(settings.kalshi.rest_url, settings.kalshi.ws_url, settings.index_feed.url, signer)
