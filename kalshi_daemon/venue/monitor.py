"""The venue task: writes `state.venue` from REST reads on timers and from stream events as they come.

Polls the exchange status, the series' fees and the listing; folds book, lifecycle and fee events; decides which books
are streamed. A read that fails is repeated with back-off and nothing is refreshed meanwhile, so that the age guards of
what it would have refreshed close by themselves. Books come from the stream only; what REST says of one is a second
opinion (`witness`) and never becomes the book.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import structlog

from kalshi_daemon.domain.events import (
    BookDelta,
    BooksLost,
    BookSnapshot,
    EventFeeUpdate,
    MarketLifecycle,
    SequenceGap,
    StreamDown,
    StreamUp,
    VenueEvent,
)
from kalshi_daemon.domain.index import Series
from kalshi_daemon.domain.monitor import Monitor
from kalshi_daemon.domain.window import Window
from kalshi_daemon.ground.backoff import doubled
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.errors import MalformedData, VenueError, VenueRejected
from kalshi_daemon.ground.units import MINUTE, Nanos, from_ms, from_s, parse_level
from kalshi_daemon.kalshi.api import MarketDataApi, StreamControl
from kalshi_daemon.kalshi.listing_codec import describe_fees, parse_fee_schedule
from kalshi_daemon.settings.model import Settings
from kalshi_daemon.state import DaemonState
from kalshi_daemon.venue.interest import near_by_distance, near_by_probability, wants_books
from kalshi_daemon.venue.listing import EventRecord, Listing
from kalshi_daemon.venue.rest_cross_check import RestCrossCheck
from kalshi_daemon.venue.stream_care import BookCare, stream_monitor

UPKEEP_EVERY: Final = from_s(5.0)
REPORT_EVERY: Final = MINUTE
"""How often the figures of the streams are logged and written down."""
BACKOFF_FIRST: Final = from_s(1.0)
BACKOFF_MAX: Final = from_s(16.0)
LISTING_PAUSE: Final = from_s(1.0)
"""Least time between two rounds of discovery: a burst of `created` messages is one round."""
EVENT_STATUSES: Final = ("open", "unopened", "closed")
"""`closed` is past its close and not settled; settled events are history and never listed."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class MonitorCallbacks:
    """Whom the monitor tells."""

    listing_changed: Callable[[], None]
    """Called after every change of listed events, markets or their problems."""
    on_report: Callable[[Monitor], None]
    """Gets the monitor document of the streams once in REPORT_EVERY."""


class VenueMonitor:
    """Owns `state.venue`. `on_event` is the stream's sink for it; `run` never returns by itself."""

    def __init__(
        self,
        state: DaemonState,
        api: MarketDataApi,
        stream: StreamControl,
        clock: Clock,
        settings: Settings,
        series: Iterable[Series],
        callbacks: MonitorCallbacks,
    ) -> None:
        """`series` are those that are followed: of the enabled profiles."""
        self._state = state
        self._api = api
        self._stream = stream
        self._clock = clock
        self._settings = settings.kalshi
        self._series = {one.ticker: one for one in series}
        self._listing_changed = callbacks.listing_changed
        self._poll_ns = from_s(settings.kalshi.discovery_poll_s)
        self._listing = Listing(state.venue, self._series, self._poll_ns)
        self._care = BookCare(
            state,
            stream,
            clock,
            silence=from_s(settings.kalshi.book_silence_s),
            lag_max=from_ms(settings.guards.book_lag_ms_max),
        )
        self._witness = RestCrossCheck(state, api, self._care, clock)
        self._on_report = callbacks.on_report
        self._reported_ns = clock.now_ns()
        self._unread: set[str] = set(self._series)
        self._unread_event = asyncio.Event()
        self._unread_event.set()
        self._polled_ns = clock.now_ns()
        self._problems: dict[str, str] = {}

    def on_event(self, event: VenueEvent) -> None:
        """Fold one stream event. Sync and quick; events of other rooms are ignored."""
        match event:
            case BookDelta() | BookSnapshot() | SequenceGap() | BooksLost():
                self._care.on_event(event)
            case StreamUp():
                self._state.venue.stream_up = True
                self._listing.doubt_all()  # messages sent while we were away are lost
                self._read_again(self._series)
            case StreamDown():
                self._state.venue.stream_up = False
                self._care.on_event(event)
            case MarketLifecycle():
                series_ticker = self._listing.on_lifecycle(event)
                if series_ticker:
                    self._read_again((series_ticker,))
                if event.market_ticker in self._state.venue.markets:
                    self._listing_changed()
            case EventFeeUpdate():
                if event.event_ticker.partition("-")[0] in self._series:
                    self._listing.note_fees(event.event_ticker, event.fee_type, event.fee_multiplier)
                    _log.warning("fee.event_differed", event_ticker=event.event_ticker, fee_type=event.fee_type)
            case _:
                pass

    async def run(self) -> None:
        """Poll and keep up until cancelled. Raises what is not a failed read: that is a bug."""
        async with asyncio.TaskGroup() as tasks:
            status_ns, fees_ns = from_s(self._settings.status_poll_s), from_s(self._settings.fee_poll_s)
            tasks.create_task(self._poll("status", status_ns, self.read_status), name="venue.status")
            tasks.create_task(self._poll("fees", fees_ns, self.read_fees), name="venue.fees")
            tasks.create_task(self._poll("listing", LISTING_PAUSE, self._read_unread), name="venue.listing")
            tasks.create_task(self._keep_up(), name="venue.upkeep")
            witness_ns = from_s(self._settings.witness_every_s)
            tasks.create_task(self._poll("witness", witness_ns, self._witness.turn), name="venue.witness")

    async def read_status(self) -> None:
        """One read of the exchange status."""
        self._state.venue.status = await self._api.exchange_status()

    async def read_fees(self) -> None:
        """One read of every series' fees. A change or a fee type we cannot price stops the series until a restart."""
        venue = self._state.venue
        for ticker in self._series:
            if ticker in venue.fee_alarm:
                continue
            obj = await self._api.series(ticker)
            known = venue.fees.get(ticker)
            try:
                schedule = parse_fee_schedule(obj.get("series", obj), self._clock.now_ns())
            except MalformedData as problem:
                self._alarm(ticker, f"{describe_fees(known) if known else 'unknown'} -> {problem}")
                continue
            if known is not None and replace(known, read_ns=schedule.read_ns) != schedule:
                self._alarm(ticker, f"{describe_fees(known)} -> {describe_fees(schedule)}")
            else:
                venue.fees[ticker] = schedule

    async def discover(self, series_ticker: str) -> None:
        """Read the listed events of a series and the markets of those that are due."""
        started_ns = self._clock.now_ns()
        problems = self._state.venue.listing_problem
        unlisted = ""
        for status in EVENT_STATUSES:
            for obj in await self._api.events(series_ticker, status):
                try:
                    self._listing.note_event(series_ticker, obj)
                except MalformedData as problem:
                    unlisted = str(problem)
        changed = series_ticker not in self._state.venue.listing_read_ns or problems.get(series_ticker, "") != unlisted
        if unlisted:
            problems[series_ticker] = unlisted
        else:
            problems.pop(series_ticker, None)
        whole = True
        for record in self._listing.due(series_ticker, started_ns):
            try:
                changed |= await self._read_event(record)
            except (VenueRejected, MalformedData) as problem:
                whole = False
                changed |= problems.get(record.event_ticker) != str(problem)
                problems[record.event_ticker] = str(problem)
        if whole:
            self._state.venue.listing_read_ns[series_ticker] = started_ns
        if changed:
            self._listing_changed()

    def keep_books(self) -> None:
        """Choose the books to stream and tell the stream when the set changed."""
        books = self._state.venue.books
        wanted = self._wanted_books()
        added, removed = wanted - books.keys(), books.keys() - wanted
        if not added and not removed:
            return
        self._care.forget(removed)
        self._care.follow(added)
        _log.info("book.subscriptions_changed", books=len(wanted), added=len(added), removed=len(removed))
        self._stream.want_books(sorted(wanted))

    def on_post_only_reject(self, market_ticker: str) -> None:
        """The exchange refused to rest an order of ours: evidence that its book is not the one we see."""
        self._care.on_post_only_reject(market_ticker)

    def freshen(self) -> None:
        """Look after the books once; `run` does it every UPKEEP_EVERY."""
        self._care.freshen()

    def _report(self, now: Nanos) -> None:
        figures = self._care.report()
        _log.info("kalshi_stream.measured", **figures)
        self._on_report(stream_monitor(self._state, figures, now))

    async def _keep_up(self) -> None:
        while True:
            now = self._clock.now_ns()
            if now - self._polled_ns >= self._poll_ns:
                self._polled_ns = now
                self._care.forget(self._listing.prune(now))
                self._read_again(self._series)
            else:
                self._read_again(self._listing.edge_passed(now))
            self.keep_books()
            self._care.freshen()
            if now - self._reported_ns >= REPORT_EVERY:
                self._reported_ns = now
                self._report(now)
            await self._clock.sleep(UPKEEP_EVERY)

    async def _poll(self, name: str, every_ns: Nanos, read: Callable[[], Awaitable[None]]) -> None:
        """Read for ever: again `every_ns` after a success, after a failure with back-off doubling to 16 s."""
        failures = 0
        while True:
            try:
                await read()
            except (VenueError, MalformedData) as problem:
                failures += 1
                self._complain(name, str(problem))
                wait_ns = Nanos(doubled(BACKOFF_FIRST, failures - 1, BACKOFF_MAX))
            else:
                failures = 0
                self._complain(name, "")
                wait_ns = every_ns
            await self._clock.sleep(wait_ns)

    async def _read_unread(self) -> None:
        """Wait until something must be read, then read it. What failed stays unread."""
        await self._unread_event.wait()
        self._unread_event.clear()
        try:
            for series_ticker in sorted(self._unread):
                self._unread.discard(series_ticker)  # before the read: a message during it asks for another
                try:
                    await self.discover(series_ticker)
                except BaseException:
                    self._unread.add(series_ticker)
                    raise
        finally:
            if self._unread:
                self._unread_event.set()

    async def _read_event(self, record: EventRecord) -> bool:
        record.dirty = False  # before the read: a message during it asks for another
        try:
            objects = await self._api.markets(record.event_ticker)
        except BaseException:
            record.dirty = True
            raise
        changed = self._listing.fold(record, objects, self._clock.now_ns())
        problem = self._state.venue.listing_problem.get(record.event_ticker, "")
        self._complain(record.event_ticker, problem)
        return changed

    def _read_again(self, series_tickers: Iterable[str]) -> None:
        self._unread.update(series_tickers)
        if self._unread:
            self._unread_event.set()

    def _wanted_books(self) -> set[str]:
        state = self._state
        now = self._clock.now_ns()
        wanted = {order.market_ticker for order in state.live_orders() if order.market_ticker in state.venue.markets}
        for status in state.windows.values():
            if wants_books(status, now):
                wanted.update(self._near(status.window, now))
        return wanted

    def _near(self, window: Window, now_ns: Nanos) -> list[str]:
        venue = self._state.venue
        tickers = venue.events.get(window.event_ticker, ())
        contracts = tuple(venue.markets[ticker].contract for ticker in tickers)
        if not contracts:
            return []
        calibration = self._state.calibration.get(window.series.index)
        forecast = None if calibration is None else calibration.forecast(now_ns, window.target_ns)
        if forecast is not None:
            priced: Mapping[str, float] = dict(zip(tickers, forecast.probabilities(contracts).tolist(), strict=True))
            return near_by_probability(priced, venue.books)
        last = self._state.index[window.series.index].last
        return [] if last is None else near_by_distance(contracts, parse_level(last.value), venue.books)

    def _alarm(self, series_ticker: str, text: str) -> None:
        self._state.venue.fee_alarm[series_ticker] = text
        self._state.venue.fees.pop(series_ticker, None)
        _log.error("fee.schedule_changed", series=series_ticker, change=text)

    def _complain(self, place: str, problem: str) -> None:
        """Log a problem once, and its end once."""
        if self._problems.get(place, "") == problem:
            return
        if problem:
            self._problems[place] = problem
            _log.warning("venue.read_failed", place=place, problem=problem)
        else:
            del self._problems[place]
            _log.info("venue.read_recovered", place=place)
