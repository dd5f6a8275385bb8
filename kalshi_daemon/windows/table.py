"""The windows of a session: one per series and fixing, with every edge. Pure.

The target of a window is always the next fixing strictly after now, because a window opens no earlier than the fixing
before it and ends at its own (the predecessor aimed at the hour that had already passed:
docs/reference/predecessor.md 9.1).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from kalshi_daemon.domain.contract import Market
from kalshi_daemon.domain.index import Cadence, Series
from kalshi_daemon.domain.window import Session, Window
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.new_york import eastern, eastern_midnights, eastern_ns, event_stamp
from kalshi_daemon.ground.units import Nanos, from_s
from kalshi_daemon.settings.instruments import instruments_of
from kalshi_daemon.settings.model import Settings, WindowSettings


def enabled_series(settings: Settings) -> tuple[Series, ...]:
    """The series some enabled profile quotes, in the order of the table.

    Raises ConfigurationError for one that is not in it.
    """
    table = instruments_of(settings.instruments).series
    wanted: set[str] = set()
    for name, profile in settings.profiles:
        for ticker in profile.series if profile.enabled else ():
            if ticker not in table:
                known = f"one of {', '.join(table)}"
                raise ConfigurationError(f"profiles.{name}.series", f"unknown series {ticker!r}", known)
            wanted.add(ticker)
    return tuple(series for ticker, series in table.items() if ticker in wanted)


def fixings(session: Session, series: Series) -> tuple[Nanos, ...]:
    """The fixings of a session: each full hour from the first of the series to the close, or the close alone.

    As shipped H1000..H1600, H1000..H1300 on half days (docs/reference/venue.md 7). A session that closes off the hour
    has no hourly fixing at its close; what the exchange lists decides (`agree`).
    """
    if series.cadence is Cadence.CLOSE:
        return (session.close_ns,)
    first = eastern_ns(date.fromisoformat(session.day), series.first_fixing)
    return tuple(at for at in session.full_hours if at >= first)


def build_windows(session: Session, settings: WindowSettings, series: Iterable[Series]) -> tuple[Window, ...]:
    """Every window of a session, by fixing and then in the order of `series`.

    Hourly windows open at the fixing before them, close windows `close_opens_before_s` before theirs, and none before
    `first_quotes`. A fixing whose window would have no time for new quotes left has no window.
    """
    made = [
        window
        for one in series
        for before, target in _with_previous(fixings(session, one))
        if (window := _window(session, settings, one, before, target)) is not None
    ]
    return tuple(sorted(made, key=lambda window: window.target_ns))


def next_edge_after(windows: Iterable[Window], now_ns: Nanos) -> Nanos | None:
    """The first instant strictly after now at which the phase of some window changes; None when there is none."""
    return min((edge for window in windows for edge in edges_of(window) if edge > now_ns), default=None)


def edges_of(window: Window) -> tuple[Nanos, ...]:
    """The instants at which `phase_at` changes, in order."""
    return (window.opens_ns, window.new_until_ns, window.cancel_at_ns, window.target_ns)


@dataclass(frozen=True, slots=True)
class Listing:
    """What the exchange lists, as far as one window needs it. `None` markets: the event is not listed."""

    markets: Sequence[Market] | None
    latest_close_ns: Nanos | None = None
    """The latest close of any event of the series on the session's day; None when unknown."""


def listings(
    windows: Sequence[Window], events: Mapping[str, Sequence[str]], markets: Mapping[str, Market]
) -> dict[str, Listing]:
    """The listing of each window, from `state.venue.events` and `state.venue.markets`, in one pass over the markets.

    The windows are of one session; a ladder has hundreds of markets, so nothing is looked at once per window.
    """
    if not windows:
        return {}
    day = date.fromisoformat(windows[0].session)
    first, last = eastern_midnights(day)
    readable: dict[str, tuple[Market, ...]] = {}
    latest: dict[str, Nanos] = {}
    for event_ticker, tickers in events.items():
        listed = tuple(markets[ticker] for ticker in tickers if ticker in markets)
        readable[event_ticker] = listed
        series_ticker = event_ticker.partition("-")[0]
        closes = [market.close_ns for market in listed if first <= market.close_ns < last]
        if closes:
            latest[series_ticker] = max(*closes, latest.get(series_ticker, closes[0]))
    return {
        window.event_ticker: Listing(readable.get(window.event_ticker), latest.get(window.series.ticker))
        for window in windows
    }


def agree(window: Window, listing: Listing, session: Session) -> str:
    """Why our calendar and the exchange's listing do not fit together, with both sides' values; "" when they do.

    * the event we expect is not listed
    * it is listed without a market we can read, or a market of it closes at another instant than our target
    * the series has an event that day after our session's close: the exchange believes in a longer day than we do

    Extra events inside the session (half hours, say) contradict nothing and are simply not quoted.
    """
    if listing.latest_close_ns is not None and listing.latest_close_ns > session.close_ns:
        return (
            f"calendar closes at {_at(session.close_ns)}, "
            f"exchange lists {window.series.ticker} until {_at(listing.latest_close_ns)}"
        )
    if listing.markets is None:
        return f"{window.event_ticker} expected at {_at(window.target_ns)}, not listed"
    if not listing.markets:
        return f"{window.event_ticker} is listed without a market we can read"
    for market in listing.markets:
        if market.close_ns != window.target_ns:
            return f"{market.ticker} closes at {_at(market.close_ns)}, expected {_at(window.target_ns)}"
    return ""


def _with_previous(targets: Sequence[Nanos]) -> Iterable[tuple[Nanos | None, Nanos]]:
    return zip((None, *targets), targets, strict=False)


def _window(
    session: Session, settings: WindowSettings, series: Series, before: Nanos | None, target: Nanos
) -> Window | None:
    first = eastern_ns(date.fromisoformat(session.day), settings.first_quotes)
    opens = max(first, before or first)
    if series.cadence is Cadence.CLOSE:
        opens = max(opens, Nanos(target - from_s(settings.close_opens_before_s)))
    gone_by = Nanos(target - from_s(settings.gone_by_s))
    cancel_at = Nanos(gone_by - from_s(settings.cancel_lead_s))
    # Never a new quote after cancelling has started, whatever the settings say (the loader refuses such settings).
    new_until = min(Nanos(target - from_s(settings.new_quotes_until_s)), cancel_at)
    if opens >= new_until:
        return None
    return Window(
        series=series,
        event_ticker=f"{series.ticker}-{event_stamp(target)}",
        session=session.day,
        opens_ns=opens,
        new_until_ns=new_until,
        cancel_at_ns=cancel_at,
        gone_by_ns=gone_by,
        target_ns=target,
    )


def _at(ns: Nanos) -> str:
    return f"{eastern(ns):%Y-%m-%d %H:%M:%S} ET"


def span_of_days(first: date, last: date) -> tuple[date, ...]:
    """Every date from first to last, inclusive."""
    return tuple(first + timedelta(days=n) for n in range((last - first).days + 1))
