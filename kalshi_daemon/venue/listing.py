"""The day's events and markets as they were last read: what to read again, and how answers fold into the state.

No IO: `venue.monitor` asks the venue and hands the JSON in. A market that cannot be read any more (refused, vanished,
or in a range event that does not tile the line) stays in `state.venue.markets` as INACTIVE: never quoted, while its
contract still serves the risk sums of a position in it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from kalshi_daemon.domain.contract import Market, MarketStatus
from kalshi_daemon.domain.events import MarketLifecycle
from kalshi_daemon.domain.index import Series
from kalshi_daemon.ground import readers
from kalshi_daemon.ground.clock import iso_utc
from kalshi_daemon.ground.errors import MalformedData, MalformedField
from kalshi_daemon.ground.new_york import NEW_YORK
from kalshi_daemon.ground.units import DAY, MINUTE, SECOND, Nanos
from kalshi_daemon.kalshi.listing_codec import describe_override, parse_market, partition_problem, strike_key
from kalshi_daemon.state import VenueState

Json = dict[str, Any]

EVENTS_PER_SERIES_MAX: Final = 200
"""Further listed events are ignored and reported; a series lists about fifteen at a time."""
NEAR: Final = Nanos(70 * MINUTE)
"""Events this close to their fixing, or past it and unsettled, are read on every poll..."""
SLOW: Final = 10
"""...the others only every so many polls."""
UNSETTLED_MAX: Final = Nanos(2 * DAY)
"""An event is dropped this long after its fixing, settled or not (a review may hold it for a day)."""

_READ_FIELDS: Final = (
    "event_ticker", "market_type", "strike_type", "floor_strike", "cap_strike", "open_time", "close_time", "status",
    "result", "price_ranges", "exchange_index", "expiration_value",
)  # fmt: skip


@dataclass(slots=True)
class EventRecord:
    """One listed event of ours."""

    event_ticker: str
    series_ticker: str
    exclusive: bool
    """Its markets are a partition: exactly one pays."""
    close_ns: Nanos | None = None
    """The fixing, from its markets, or from `strike_date` before they were read."""
    read_ns: Nanos | None = None
    edges_ns: tuple[Nanos, ...] = ()
    """When its markets open and close: the venue sends no message then (docs/reference/venue.md 5)."""
    dirty: bool = False
    """A message said that something changed since the last read began."""
    final: bool = False
    """Every market has paid out."""
    problem: str = ""
    """What is wrong with the event itself, whatever its markets say: it is shut."""


class Listing:
    """Writes `state.venue.events`, `markets`, `listing_problem` and `event_fee_override`; remembers what was read."""

    def __init__(self, venue: VenueState, series: Mapping[str, Series], poll_ns: Nanos) -> None:
        self._venue = venue
        self._series = series
        self._indices = {ticker: one.index for ticker, one in series.items()}
        self._poll_ns = poll_ns
        self.events: dict[str, EventRecord] = {}
        self._parsed: dict[str, tuple[tuple[object, ...], Market]] = {}

    def note_event(self, series_ticker: str, obj: Json) -> None:
        """Take one object of `GET /events`.

        Raises MalformedField for an event that cannot be one of this series, and for one whose `strike_date` is none:
        that one is known and shut until it can be read.
        """
        event_ticker = readers.identifier(obj.get("event_ticker"), "event_ticker")
        if event_ticker.partition("-")[0] != series_ticker:
            raise MalformedField("event_ticker", event_ticker, f"an event of {series_ticker}")
        record = self.events.get(event_ticker)
        if record is None:
            if sum(one.series_ticker == series_ticker for one in self.events.values()) >= EVENTS_PER_SERIES_MAX:
                raise MalformedField("events", event_ticker, f"one of at most {EVENTS_PER_SERIES_MAX} listed events")
            exclusive = obj.get("mutually_exclusive") is True or obj.get("collateral_return_type") == "MECNET"
            record = EventRecord(event_ticker, series_ticker, exclusive)
            self.events[event_ticker] = record
        self.note_fees(event_ticker, obj.get("fee_type_override"), obj.get("fee_multiplier_override"))
        self._note_date(record, obj.get("strike_date"))

    def _note_date(self, record: EventRecord, strike_date: object) -> None:
        try:
            at_ns = None if strike_date is None else Nanos(readers.rfc3339(strike_date, "strike_date"))
        except MalformedField as problem:
            if record.problem != str(problem):
                record.problem, record.dirty = str(problem), True
                self._shut(record)
            raise
        if record.problem:
            record.problem, record.dirty = "", True
        if record.read_ns is None and at_ns is not None:
            record.close_ns = at_ns

    def _shut(self, record: EventRecord) -> None:
        """At once, whatever was published before: its markets are read again and stay shut meanwhile."""
        tickers = self._venue.events.get(record.event_ticker)
        if tickers is not None:
            self._publish(record.event_ticker, _inactive(self._venue.markets[one] for one in tickers), record.problem)

    def note_fees(self, event_ticker: str, fee_type: object, multiplier: object) -> None:
        """Take an event's fee override, or its absence (both None)."""
        series = self._venue.fees.get(event_ticker.partition("-")[0])
        text = describe_override(fee_type, multiplier, series)
        if text:
            self._venue.event_fee_override[event_ticker] = text
        else:
            self._venue.event_fee_override.pop(event_ticker, None)

    def due(self, series_ticker: str, now_ns: Nanos) -> list[EventRecord]:
        """The events of a series whose markets should be read now, in the order of their fixings."""
        found = [one for one in self.events.values() if one.series_ticker == series_ticker and self._due(one, now_ns)]
        return sorted(found, key=lambda one: (one.close_ns or 0, one.event_ticker))

    def edge_passed(self, now_ns: Nanos) -> set[str]:
        """Series with an event whose markets opened or closed since they were read."""
        return {
            one.series_ticker
            for one in self.events.values()
            if self._followed(one, now_ns) and _edge_since(one, now_ns)
        }

    def fold(self, record: EventRecord, objects: Sequence[Json], now_ns: Nanos) -> bool:
        """Take all markets of one event; True when anything the others see has changed."""
        markets, refused = self._parse(record, objects)
        markets = _of_one_close(markets, refused)
        if markets:
            record.close_ns = markets[0].close_ns
            record.edges_ns = tuple(sorted({edge for one in markets for edge in (one.open_ns, one.close_ns)}))
        record.read_ns = now_ns
        record.final = bool(markets) and all(market.status is MarketStatus.FINALIZED for market in markets)
        if not self._followed(record, now_ns):
            return False
        problem = record.problem or _problem(record, markets, refused)
        if record.problem or (problem and not refused):
            markets = _inactive(markets)
        return self._publish(record.event_ticker, markets, problem)

    def on_lifecycle(self, message: MarketLifecycle) -> str:
        """Fold a lifecycle message; returns the series whose listing must be read again, or ""."""
        series_ticker = message.market_ticker.partition("-")[0]
        if series_ticker not in self._series:
            return ""  # the channel carries every market of the venue
        market = self._venue.markets.get(message.market_ticker)
        if market is not None:
            self._venue.markets[message.market_ticker] = _changed(market, message)
        if message.event_type == "determined":
            return ""
        event_ticker = market.contract.event_ticker if market else message.market_ticker.rpartition("-")[0]
        record = self.events.get(event_ticker)
        if record is not None:
            record.dirty = True
        return series_ticker

    def doubt_all(self) -> None:
        """Messages may have been missed: every event must be read again."""
        for record in self.events.values():
            record.dirty = True

    def prune(self, now_ns: Nanos) -> set[str]:
        """Forget events long past; returns the tickers of their markets."""
        gone: set[str] = set()
        for event_ticker, record in list(self.events.items()):
            if record.close_ns is not None and now_ns - record.close_ns > UNSETTLED_MAX:
                del self.events[event_ticker]
                gone.update(self._drop(event_ticker))
        return gone

    def _drop(self, event_ticker: str) -> set[str]:
        venue = self._venue
        venue.events.pop(event_ticker, None)
        venue.listing_problem.pop(event_ticker, None)
        venue.event_fee_override.pop(event_ticker, None)
        gone = {ticker for ticker, one in venue.markets.items() if one.contract.event_ticker == event_ticker}
        for ticker in gone:
            del venue.markets[ticker]
            self._parsed.pop(ticker, None)
        return gone

    def _followed(self, record: EventRecord, now_ns: Nanos) -> bool:
        """Today's events, and earlier ones of ours that have not paid out yet."""
        if record.close_ns is None or new_york_day(record.close_ns) == new_york_day(now_ns):
            return True
        return record.event_ticker in self._venue.events and record.close_ns < now_ns

    def _due(self, record: EventRecord, now_ns: Nanos) -> bool:
        if not self._followed(record, now_ns):
            return False
        if record.read_ns is None or record.dirty or record.event_ticker not in self._venue.events:
            return True
        if record.final:
            return False
        if _edge_since(record, now_ns):
            return True
        near = record.close_ns is None or record.close_ns - now_ns <= NEAR
        return now_ns - record.read_ns >= self._poll_ns * (1 if near else SLOW)

    def _parse(self, record: EventRecord, objects: Sequence[Json]) -> tuple[list[Market], dict[str, str]]:
        """Markets that can be read, and why the others cannot. Unchanged objects are not read again."""
        markets: list[Market] = []
        refused: dict[str, str] = {}
        listed = Counter(readers.named(obj.get("ticker")) for obj in objects)
        for position, obj in enumerate(objects):
            ticker = readers.named(obj.get("ticker")) or f"#{position}"
            if listed[ticker] > 1:  # two answers about one market: neither is one to trade on
                refused[ticker] = f"listed {listed[ticker]} times"
                continue
            raw = tuple(obj.get(field) for field in _READ_FIELDS)
            known = self._parsed.get(ticker)
            if known is not None and known[0] == raw:
                markets.append(known[1])
                continue
            try:
                market = parse_market(obj, self._indices)
            except MalformedData as problem:
                refused[ticker] = str(problem)
                continue
            if market.contract.event_ticker != record.event_ticker:
                refused[ticker] = f"listed under {record.event_ticker} but of {market.contract.event_ticker}"
                continue
            if not ticker.startswith(f"{record.event_ticker}-"):
                refused[ticker] = f"no market ticker of {record.event_ticker}"
                continue
            self._parsed[ticker] = (raw, market)
            markets.append(market)
        return sorted(markets, key=strike_key), refused

    def _publish(self, event_ticker: str, markets: Sequence[Market], problem: str) -> bool:
        """Write one event into the state; what it no longer has stays as INACTIVE."""
        venue = self._venue
        before = venue.events.get(event_ticker)
        tickers = tuple(market.ticker for market in markets)
        changed = before != tickers or venue.listing_problem.get(event_ticker, "") != problem
        for ticker in set(before or ()) - set(tickers):
            if ticker in venue.markets:
                venue.markets[ticker] = replace(venue.markets[ticker], status=MarketStatus.INACTIVE)
        for market in markets:
            if venue.markets.get(market.ticker) != market:
                venue.markets[market.ticker] = market
                changed = True
        venue.events[event_ticker] = tickers
        if problem:
            venue.listing_problem[event_ticker] = problem
        else:
            venue.listing_problem.pop(event_ticker, None)
        return changed


def new_york_day(ns: Nanos) -> str:
    """The New York date of an instant, YYYY-MM-DD."""
    return datetime.fromtimestamp(ns // SECOND, UTC).astimezone(NEW_YORK).date().isoformat()


def _edge_since(record: EventRecord, now_ns: Nanos) -> bool:
    read_ns = record.read_ns
    return read_ns is not None and any(read_ns < edge <= now_ns for edge in record.edges_ns)


def _inactive(markets: Iterable[Market]) -> list[Market]:
    return [replace(market, status=MarketStatus.INACTIVE) for market in markets]


def _of_one_close(markets: list[Market], refused: dict[str, str]) -> list[Market]:
    """The markets that close when most of the event's do; the others go to `refused`.

    One market with a wrong close time must not move its event to another day. Without a majority nobody knows when the
    event is: none of its markets is used.
    """
    closes = Counter(market.close_ns for market in markets).most_common(1)
    if not closes or closes[0][1] == len(markets):
        return markets
    close_ns, agreeing = closes[0]
    majority = 2 * agreeing > len(markets)
    for market in markets:
        if market.close_ns != close_ns or not majority:
            at = iso_utc(market.close_ns)
            refused[market.ticker] = f"closes at {at}, {agreeing} of {len(markets)} at {iso_utc(close_ns)}"
    return [market for market in markets if market.ticker not in refused]


def _problem(record: EventRecord, markets: Sequence[Market], refused: Mapping[str, str]) -> str:
    if refused:
        ticker = min(refused)
        return f"{len(refused)} of {len(refused) + len(markets)} markets refused; {ticker}: {refused[ticker]}"
    if not markets:
        return "no markets"
    return partition_problem(markets) if record.exclusive else ""


def _changed(market: Market, message: MarketLifecycle) -> Market:
    """The market after a message; whatever may have changed what it is stops it until it was read again."""
    match message.event_type:
        case "determined" | "settled":
            status = MarketStatus.DETERMINED if message.event_type == "determined" else MarketStatus.FINALIZED
            result = message.result if message.result in {"yes", "no"} else market.result
            return replace(market, status=status, result=result)
        case "close_date_updated" if message.close_ns is not None:
            contract = replace(market.contract, settles_ns=message.close_ns)
            return replace(market, contract=contract, close_ns=message.close_ns)
        case "activated" | "created" | "price_level_structure_updated":
            return market  # only reading it again can make it tradable, or its grid finer
        case _:
            return replace(market, status=MarketStatus.INACTIVE)
