"""Settings that are each in range and together make no sense: the daemon would run, and quote nothing or guard nothing.

Every contradiction is a ConfigurationError that names both keys, where the first came from, and what would be right.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import time
from typing import Final

from kalshi_daemon.domain.index import Cadence
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.settings.instruments import INDICES_MAX, InstrumentsSettings, instruments_of
from kalshi_daemon.settings.model import Settings

type Origins = Mapping[str, str]

VALUE_CHANNELS: Final = frozenset({"V", "A"})
"""Of the index feed: those that carry values."""
OPEN: Final = time(9, 30)
CLOSE: Final = time(16, 0)
_HOUR_S: Final = 3_600
_STOP_PER_REQUEST: Final = 2
"""A stop has to outlast a cancel, or a list, that gets no answer, and still have time for another one."""
_LEASE_PER_WRITE: Final = 4
"""Renewing begins at half a lease: a renewal without an answer and the one after it must both end within that half."""


@dataclass(frozen=True, slots=True)
class AtMost:
    """`low` has to be at most `high`, or below it, and why."""

    low: str
    below: float
    high: str
    above: float
    why: str = ""
    strictly: bool = False

    @property
    def holds(self) -> bool:
        return self.below < self.above if self.strictly else self.below <= self.above


def check_contradictions(settings: Settings, origins: Origins) -> None:
    """Raise ConfigurationError for the first contradiction."""
    check_instruments(settings.instruments, origins)
    _check_windows(settings, origins)
    _check_profiles(settings, origins)
    for pair in (*_limits(settings), *_ages(settings)):
        if not pair.holds:
            sign = "<" if pair.strictly else "<="
            relation = "is not below" if pair.strictly else "is above"
            why = f": {pair.why}" if pair.why else ""
            problem = f"{pair.below:g} {relation} {pair.high} ({pair.above:g}){why}"
            raise broken(pair.low, problem, origins, f"{pair.low} {sign} {pair.high}")
    _check_openings(settings, origins)
    _check_leases(settings, origins)
    _check_stop(settings, origins)
    _check_cutoff(settings, origins)
    _check_clock(settings, origins)
    _check_log(settings, origins)
    _check_fills(settings, origins)
    _check_feed(settings, origins)


def broken(key: str, problem: str, origins: Origins, fix: str = "") -> ConfigurationError:
    """The error of a key whose value breaks a rule; of a table, the place of anything in it."""
    inside = (place for one, place in origins.items() if one.startswith(f"{key}."))
    return ConfigurationError(origins.get(key) or next(inside, "settings"), f"{key} {problem}", fix)


def _limits(settings: Settings) -> Iterator[AtMost]:
    guards, feed = settings.guards, settings.index_feed
    soft, pull = guards.feed_age_soft_ms, guards.feed_age_pull_ms
    yield AtMost("guards.feed_age_soft_ms", soft, "guards.feed_age_pull_ms", pull)
    least, most = guards.sigma_books_ratio_min, guards.sigma_books_ratio_max
    yield AtMost("guards.sigma_books_ratio_min", least, "guards.sigma_books_ratio_max", most)
    final = guards.feed_age_final_minute_ms
    why = "the last minute is stricter, or it is not there"
    yield AtMost("guards.feed_age_final_minute_ms", final, "guards.feed_age_soft_ms", soft, why)
    first, most = feed.backoff_first_s, feed.backoff_s_max
    yield AtMost("index_feed.backoff_first_s", first, "index_feed.backoff_s_max", most)
    daily, weekly = guards.daily_loss_dollars, guards.weekly_loss_dollars
    why = "a day could not reach its own limit"
    yield AtMost("guards.daily_loss_dollars", daily, "guards.weekly_loss_dollars", weekly, why)
    for unit in ("megabytes", "inodes"):
        less, more = (f"disk_free_{limit}_{unit}_min" for limit in ("hard", "soft"))
        below, above = getattr(settings.retention, less), getattr(settings.retention, more)
        yield AtMost(f"retention.{less}", below, f"retention.{more}", above)
    trip = "the exchange would cancel the profile once one quote of it traded"
    for name, profile in settings.profiles:
        if profile.enabled:
            key = f"profiles.{name}.lots"
            yield AtMost(key, profile.lots, "guards.lots_per_quote_max", guards.lots_per_quote_max)
            yield AtMost(key, profile.lots, "orders.group_contracts_limit", settings.orders.group_contracts_limit, trip)


def _ages(settings: Settings) -> Iterator[AtMost]:
    """What is read every so often is older than that, by the time of one read, before it is read again."""
    kalshi, guards = settings.kalshi, settings.guards
    reconcile = settings.orders.reconcile_every_s
    fed = (
        ("kalshi.status_poll_s", kalshi.status_poll_s, "exchange_status_age_s_max", guards.exchange_status_age_s_max),
        ("kalshi.fee_poll_s", kalshi.fee_poll_s, "fee_age_s_max", guards.fee_age_s_max),
        ("kalshi.book_silence_s", kalshi.book_silence_s, "book_age_s_max", guards.book_age_s_max),
        ("orders.reconcile_every_s", reconcile, "reconciliation_age_s_max", guards.reconciliation_age_s_max),
        ("orders.reconcile_every_s", reconcile, "balance_age_s_max", guards.balance_age_s_max),
    )
    for poll, every, age, most in fed:
        why = "the guard would close before every read"
        yield AtMost(poll, every, f"guards.{age}", most, why, strictly=True)


def _check_openings(settings: Settings, origins: Origins) -> None:
    """Windows that would never open."""
    windows = settings.windows
    key, until, first = "windows.new_quotes_until_s", windows.new_quotes_until_s, windows.first_quotes
    opens = windows.close_opens_before_s
    if until >= opens:
        problem = f"{until:g} s is not below windows.close_opens_before_s ({opens:g} s): no close window opens"
        raise broken(key, problem, origins, f"{key} < windows.close_opens_before_s")
    last_s = CLOSE.hour * _HOUR_S - until
    if first.hour * _HOUR_S + first.minute * 60 + first.second >= last_s:
        problem = f"{first} is not before 16:00 less {key} ({until:g} s): no window opens"
        raise broken("windows.first_quotes", problem, origins, "an earlier time")
    hourly = {
        one.ticker for one in instruments_of(settings.instruments).series.values() if one.cadence is Cadence.HOURLY
    }
    for name, profile in settings.profiles:
        if until >= _HOUR_S and profile.enabled and set(profile.series) & hourly:
            problem = f"{until:g} s is an hour or more: no hourly window of profiles.{name}.series opens"
            raise broken(key, problem, origins, f"{key} < {_HOUR_S}")


def _check_windows(settings: Settings, origins: Origins) -> None:
    windows, sim = settings.windows, settings.sim
    lead = windows.gone_by_s + windows.cancel_lead_s
    if lead > windows.new_quotes_until_s:
        raise broken(
            "windows.new_quotes_until_s",
            f"{windows.new_quotes_until_s:g} s is after cancelling starts ({lead:g} s before the fixing)",
            origins,
            "windows.new_quotes_until_s >= windows.gone_by_s + windows.cancel_lead_s",
        )
    if windows.first_quotes.tzinfo is not None or not OPEN <= windows.first_quotes < CLOSE:
        raise broken("windows.first_quotes", "is not a time between 09:30 and 16:00, New York", origins)
    for key, at in (("sim.start", sim.start), ("sim.until", sim.until)):
        if at.tzinfo is not None:
            raise broken(key, "is a New York time and takes no offset", origins)
    if sim.until <= sim.start:
        raise broken("sim.until", f"is not after sim.start ({sim.start})", origins)


def _check_profiles(settings: Settings, origins: Origins) -> None:
    known = instruments_of(settings.instruments).series
    for name, profile in settings.profiles:
        key = f"profiles.{name}.series"
        for ticker in profile.series:
            if ticker not in known:
                raise broken(key, f"unknown series {ticker[:20]!r}", origins, f"known: {', '.join(known)}")
        if len(set(profile.series)) != len(profile.series):
            raise broken(key, "names a series twice", origins)
        if profile.enabled and not profile.series:
            problem = f"is empty and profiles.{name}.enabled is true: it would quote nothing"
            raise broken(key, problem, origins, f"profiles.{name}.enabled = false")


def _check_leases(settings: Settings, origins: Origins) -> None:
    lease, write = settings.orders.lease_s, settings.kalshi.write_timeout_ms
    least = _LEASE_PER_WRITE * write / 1_000
    if lease < least:
        raise broken(
            "orders.lease_s",
            f"{lease:g} s is below four times kalshi.write_timeout_ms ({write} ms): a renewal that gets no answer "
            "would leave no time for another",
            origins,
            f"orders.lease_s >= {least:g}",
        )


def _check_stop(settings: Settings, origins: Origins) -> None:
    _check_two_requests(settings, origins, "orders.stop_deadline_s", settings.orders.stop_deadline_s, "stop")


def _check_two_requests(settings: Settings, origins: Origins, key: str, within_s: float, what: str) -> None:
    """A request that gets no answer must leave time for a second one, read or write."""
    kalshi = settings.kalshi
    for name, timeout_ms in (
        ("write_timeout_ms", kalshi.write_timeout_ms),
        ("read_timeout_ms", kalshi.read_timeout_ms),
    ):
        least = _STOP_PER_REQUEST * timeout_ms / 1_000
        if within_s < least:
            raise broken(
                key,
                f"{within_s:g} s is below twice kalshi.{name} ({timeout_ms} ms): a {what} whose first request gets no "
                "answer would have no time for another",
                origins,
                f"{key} >= {least:g}, or a shorter kalshi.{name}",
            )


def _check_cutoff(settings: Settings, origins: Origins) -> None:
    """A cutoff is verified by `gone_by`, where the expiry of every order ends too: its requests must fit in before."""
    lead = settings.windows.cancel_lead_s
    _check_two_requests(settings, origins, "windows.cancel_lead_s", lead, "cutoff")
    asked_s = settings.orders.unknown_ask_after_ms / 1_000
    if asked_s >= lead:
        raise broken(
            "orders.unknown_ask_after_ms",
            f"{asked_s * 1_000:g} is not below windows.cancel_lead_s ({lead:g} s): an order whose answer was lost at "
            "the cutoff would be asked about after it",
            origins,
            f"orders.unknown_ask_after_ms < {lead * 1_000:g}",
        )


def _check_clock(settings: Settings, origins: Origins) -> None:
    """A clock as wrong as its guard allows must neither miss a cutoff nor let a lease end before its renewal."""
    skew_s = settings.guards.clock_skew_ms_max / 1_000
    for key, most, why in (
        (
            "windows.cancel_lead_s",
            settings.windows.cancel_lead_s,
            "a slow clock would begin to cancel after the cutoff",
        ),
        ("orders.lease_s", settings.orders.lease_s / 2, "orders would expire before they are renewed, at half a lease"),
    ):
        if skew_s >= most:
            raise broken(
                "guards.clock_skew_ms_max",
                f"{skew_s * 1_000:g} is too much for {key}: by a clock wrong by that {why}",
                origins,
                f"guards.clock_skew_ms_max < {most * 1_000:g}, or a longer {key}",
            )


def _check_log(settings: Settings, origins: Origins) -> None:
    """The log and the file it was rotated to count in what is kept, and the newer of them never goes."""
    each, most = settings.log.file_megabytes_max, settings.retention.megabytes_max
    if settings.log.file and 2 * each > most:
        raise broken(
            "log.file_megabytes_max",
            f"twice {each} is above retention.megabytes_max ({most}): the log alone would make every finished day go",
            origins,
            f"log.file_megabytes_max <= {most // 2}",
        )


def _check_fills(settings: Settings, origins: Origins) -> None:
    both = sorted(set(settings.orders.fills_accepted) & set(settings.orders.fills_dismissed))
    if both:
        problem = f"names {both[0]}, which orders.fills_accepted books"
        raise broken("orders.fills_dismissed", problem, origins, "name it in one of them")


def _check_feed(settings: Settings, origins: Origins) -> None:
    channels = settings.index_feed.channels
    if not VALUE_CHANNELS & set(channels):
        problem = f"({', '.join(channels) or 'empty'}) holds neither V nor A: minute bars alone carry no values"
        raise broken("index_feed.channels", problem, origins, "add V")
    if len(set(channels)) != len(channels):
        raise broken("index_feed.channels", "names a channel twice", origins)


def check_instruments(table: InstrumentsSettings, origins: Origins) -> None:
    """Raise ConfigurationError for a table whose rows do not fit together."""
    for place, names in (("indices", list(table.indices)), ("series", list(table.series))):
        for name in names:
            if [other.upper() for other in names].count(name.upper()) > 1:
                raise broken(f"instruments.{place}.{name}", "is there twice, in other letters", origins, "one row")
    spelt = {name.upper(): name for name in (*table.indices, *table.series)}
    found = instruments_of(table)
    if len(found.rows) > INDICES_MAX:
        raise broken("instruments.indices", f"makes {len(found.rows)} indices of it", origins, f"at most {INDICES_MAX}")
    for ticker, series in found.series.items():
        key, first = f"instruments.series.{spelt.get(ticker, ticker)}", series.first_fixing
        if series.index not in found.rows:
            known = f"one of {', '.join(found.rows)}, or a row in instruments.indices"
            raise broken(f"{key}.index", f"{series.index} is not in the table", origins, known)
        if first.tzinfo is not None or first.replace(hour=0) != time(0) or not time(10) <= first <= CLOSE:
            raise broken(f"{key}.first_fixing", "is not a full hour from 10:00 to 16:00, New York", origins)
    words: set[str] = set(found.rows)
    for name, row in found.rows.items():
        key = f"instruments.indices.{spelt.get(name, name)}"
        if name not in {series.index for series in found.series.values()}:
            raise broken(key, "has no series that settles on it", origins, "a row in instruments.series")
        for word in row.stand_ins:
            if word in words:
                raise broken(f"{key}.stand_ins", f"{word} is taken", origins, "each word speaks for one index")
            words.add(word)
