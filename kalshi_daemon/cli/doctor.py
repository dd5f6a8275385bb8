"""`kalshi-daemon doctor`: is everything in place before money is at stake? Asks and changes nothing."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import date, timedelta

from kalshi_daemon.app.named_parts import check_named_parts
from kalshi_daemon.cli.common import Subparsers
from kalshi_daemon.cli.output import show
from kalshi_daemon.cli.venue import add_connect_option, open_venue, settings_for_venue
from kalshi_daemon.ground.clock import SystemClock
from kalshi_daemon.ground.errors import (
    AuthFailed,
    ConfigurationError,
    DaemonError,
    ExitCode,
    HistoryRefused,
    MalformedData,
    VenueError,
)
from kalshi_daemon.ground.new_york import eastern_day
from kalshi_daemon.ground.tables import Column, Table
from kalshi_daemon.ground.units import Nanos, from_ms, from_s
from kalshi_daemon.index_feed.history import history_of
from kalshi_daemon.kalshi.listing_codec import describe_fees, parse_fee_schedule
from kalshi_daemon.kalshi.rest import KalshiRest
from kalshi_daemon.kalshi.server_time import ServerClock
from kalshi_daemon.kalshi.transport import open_session
from kalshi_daemon.operations.checkup import (
    Check,
    CheckVerdict,
    calendar_check,
    clock_check,
    exit_code_of,
    failed,
    feed_check,
    limits_check,
    local,
    passed,
    releases_check,
    warned,
)
from kalshi_daemon.settings.instruments import instruments_of
from kalshi_daemon.settings.loader import Credentials
from kalshi_daemon.settings.model import Mode, Settings
from kalshi_daemon.windows.macro import load_macro_calendar
from kalshi_daemon.windows.sessions import load_sessions_ahead
from kalshi_daemon.windows.table import enabled_series

_STYLES = {CheckVerdict.PASS: "green", CheckVerdict.WARN: "yellow", CheckVerdict.FAIL: "bold red"}
_COLUMNS = (Column("check"), Column("verdict"), Column("detail"), Column("remedy"))


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "doctor",
        help="check clock, key, limits, feed, fees, calendar, disk, unit and state before money is at stake",
        description="Asks the exchange and the feed's REST side, looks at this machine, and changes nothing; it may "
        "run beside a daemon. Each line is PASS, WARN (it trades; look after it) or FAIL, with what to do. Exit code 0 "
        "without a FAIL, else 78 (configuration, key or plan), 69 (not reached) or 1.",
    )
    add_connect_option(parser)


def run(args: argparse.Namespace) -> int:
    settings = settings_for_venue(args, Credentials.ALL)
    check_named_parts(settings)
    checks = (*asyncio.run(_outside(settings)), *_calendar(settings), _releases(settings), *local(settings))
    code = exit_code_of(checks)
    data = {
        "mode": settings.mode.value,
        "checks": [
            {"name": one.name, "verdict": one.verdict.value, "detail": one.detail, "remedy": one.remedy}
            for one in checks
        ],
        "exit_code": int(code),
    }
    rows = [(one.name, one.verdict.value, one.detail, one.remedy) for one in checks]
    show(args, data, Table(_COLUMNS, rows, row_styles=[_STYLES[one.verdict] for one in checks]))
    return code


async def _outside(settings: Settings) -> tuple[Check, ...]:
    """What the exchange and the feed's vendor say."""
    heard: list[Nanos] = []
    skew_max = from_ms(settings.guards.clock_skew_ms_max)
    found: list[Check] = []
    async with open_venue(
        settings, read_only=True, server_clock=ServerClock(skew_max, lambda offset, _trip: heard.append(offset))
    ) as rest:
        found.append(await _exchange(rest))
        if found[0].verdict is not CheckVerdict.FAIL:
            found += [await _key(rest), await _limits(rest), *[one async for one in _fees(rest, settings)]]
    if settings.mode is Mode.SIM:
        found.append(passed("clock", "not compared: simulated time passes at its own speed"))
    else:
        found += [clock_check(heard[-1] if heard else None, skew_max), await _feed(settings)]
    return tuple(found)


async def _exchange(rest: KalshiRest) -> Check:
    try:
        status = await rest.exchange_status()
    except DaemonError as problem:
        return failed("exchange", str(problem), "kalshi.rest_url, network, proxy", ExitCode.UNREACHABLE)
    if not (status.exchange_active and status.trading_active):
        return warned("exchange", "reached; trading is not active now", "https://status.kalshi.com")
    return passed("exchange", "reached, trading is active")


async def _key(rest: KalshiRest) -> Check:
    """That the key signs for the account. Whether it may write is only shown by a write, which is not made."""
    try:
        balance = await rest.balance()
    except AuthFailed as problem:
        remedy = (
            "kalshi.key_id and kalshi.private_key_path of the same key, made for this mode (demo has keys of its own)"
        )
        return failed("key", str(problem), remedy, ExitCode.CONFIG)
    except (VenueError, MalformedData) as problem:
        return failed("key", str(problem), "ask again", ExitCode.UNREACHABLE)
    cash = balance.cash / 10_000
    return passed("key", f"reads the account, ${cash:,.2f} of cash; its scope write::trade shows at the first order")


async def _limits(rest: KalshiRest) -> Check:
    try:
        limits = await rest.account_limits()
        rest.limiter.load(limits, await rest.endpoint_costs(), SystemClock().mono_ns())
        write = limits["write"]
        return limits_check(str(limits.get("usage_tier", "")), int(write["refill_rate"]))
    except (VenueError, MalformedData, KeyError, TypeError, ValueError) as problem:
        words = f"not read ({type(problem).__name__}): the lowest tier's are taken"
        return warned("limits", words, "kalshi-daemon doctor again; docs/reference/venue.md 2.1")


async def _fees(rest: KalshiRest, settings: Settings) -> AsyncIterator[Check]:
    for series in enabled_series(settings):
        name = f"fees {series.ticker}"
        try:
            schedule = parse_fee_schedule(await rest.series(series.ticker), SystemClock().now_ns())
        except (VenueError, MalformedData) as problem:
            yield failed(
                name, str(problem), "the guard fee_schedule keeps this series shut: take it out of its profile"
            )
        else:
            yield passed(name, describe_fees(schedule))


async def _feed(settings: Settings) -> Check:
    """By the vendor's snapshot over REST: a session of the websocket would evict that of a running daemon."""
    wanted = instruments_of(settings.instruments)
    async with open_session() as session:
        client = history_of(settings.index_feed, SystemClock(), session, wanted.by_feed_ticker)
        if client is None:
            words = "not asked: index_feed.rest_url or gap_fill is off"
            return warned("feed", words, "the log says feed.plan_delayed or feed.auth_failed when the plan is wrong")
        try:
            values = await client.snapshot()
        except HistoryRefused as problem:
            remedy = "index_feed.api_key and its plan; a plan without snapshots shows in the log as feed.plan_delayed"
            return failed("feed", str(problem), remedy, ExitCode.CONFIG)
        except DaemonError as problem:
            return failed("feed", str(problem), "index_feed.rest_url, network, proxy", ExitCode.UNREACHABLE)
    return feed_check({index.value: one for index, one in values.items()}, tuple(i.value for i in wanted.indices))


def _calendar(settings: Settings) -> Iterator[Check]:
    today = eastern_day(SystemClock().now_ns())
    try:
        table = load_sessions_ahead(SystemClock().now_ns(), settings.windows.calendar_end_days)
    except ConfigurationError as problem:
        yield failed("calendar", str(problem), "update exchange-calendars", ExitCode.CONFIG)
        return
    ahead = (today + timedelta(days=days) for days in range(settings.windows.calendar_end_days, -1, -1))
    last = next((day for day in ahead if table.session_on(day) is not None), date.min)
    yield calendar_check(last, today)


def _releases(settings: Settings) -> Check:
    today = eastern_day(SystemClock().now_ns())
    try:
        calendar = load_macro_calendar(settings.macro)
    except ConfigurationError as problem:
        return failed("releases", str(problem), "mend the file, or leave macro.calendar out", ExitCode.CONFIG)
    return releases_check(calendar.ends_felt(today, from_s(settings.macro.blackout_after_s)), today)
