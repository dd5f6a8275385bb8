"""Markets, books and scans to select quotes from."""

from dataclasses import replace

from kalshi_daemon.domain.book_view import BookView
from kalshi_daemon.domain.contract import (
    Contract,
    FeeSchedule,
    FeeType,
    Market,
    MarketStatus,
    PriceBand,
    PriceGrid,
    StrikeType,
)
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.order import Order, Status
from kalshi_daemon.domain.quote import Profile, Side
from kalshi_daemon.domain.window import Window
from kalshi_daemon.ground.units import HOUR, MINUTE, SECOND, Count, Level, Nanos, Price
from kalshi_daemon.ladder.selection import ScanInputs
from kalshi_daemon.settings.model import PricingSettings
from tests.support.instruments import KXINX, KXINXU

TARGET = Nanos(1_795_449_600 * SECOND)
NOW = Nanos(TARGET - 30 * MINUTE)
EVENT = "KXINXU-26NOV23H1100"
CENTS = PriceGrid((PriceBand(Price(0), Price(10_000), Price(100)),))
TAPERED = PriceGrid(
    (
        PriceBand(Price(0), Price(1_000), Price(10)),
        PriceBand(Price(1_000), Price(9_000), Price(100)),
        PriceBand(Price(9_000), Price(10_000), Price(10)),
    )
)
FREE = FeeSchedule(FeeType.QUADRATIC, 1_000_000, NOW)
MAKER_FEES = FeeSchedule(FeeType.QUADRATIC_WITH_MAKER_FEES, 1_000_000, NOW)
WINDOW = Window(
    KXINXU,
    EVENT,
    "2026-11-23",
    Nanos(TARGET - HOUR),
    Nanos(TARGET - 5 * MINUTE),
    Nanos(TARGET - 130 * SECOND),
    Nanos(TARGET - 120 * SECOND),
    TARGET,
)
PROFILE = Profile("wide", ("KXINXU",), 1, 4, Price(500), Price(50), Nanos(180 * SECOND))


def points(value):
    return Level(round(value * 10_000))


def above(strike, *, index=Index.SPX, settles=TARGET, event=EVENT):
    series = event.partition("-")[0]
    ticker = f"{event}-T{strike}"
    return Contract(ticker, event, series, index, StrikeType.GREATER_OR_EQUAL, points(strike), None, settles)


def below(strike, *, index=Index.SPX, settles=TARGET, event=EVENT):
    series = event.partition("-")[0]
    return Contract(
        f"{event}-L{strike}", event, series, index, StrikeType.LESS, None, Level(points(strike) - 100), settles
    )


def between(low, high, *, index=Index.SPX, settles=TARGET, event="KXINX-26NOV23H1600"):
    """Pays from `low` up to but not including `high`."""
    return Contract(
        f"{event}-B{low}-{high}",
        event,
        KXINX.ticker,
        index,
        StrikeType.BETWEEN,
        points(low),
        Level(points(high) - 100),
        settles,
    )


def market(contract, *, grid=CENTS, status=MarketStatus.ACTIVE):
    return Market(contract, grid, status, Nanos(TARGET - 20 * HOUR), contract.settles_ns, 0, "", "")


def view(ticker, bid, ask, *, full_bid=None, full_ask=None, synced=True, recv=NOW):
    def price(value):
        return None if value is None else Price(value)

    return BookView(
        ticker,
        synced,
        Nanos(recv),
        price(bid),
        Count(500),
        price(ask),
        Count(500),
        price(bid if full_bid is None else full_bid),
        price(ask if full_ask is None else full_ask),
    )


def order(ticker, side, price, *, profile="wide", status=Status.RESTING, count=100, event=EVENT, name="", created=0):
    return Order(
        client_order_id=name or f"{profile}-{ticker}-{side}-{price}",
        market_ticker=ticker,
        event_ticker=event,
        series_ticker=event.partition("-")[0],
        profile=profile,
        side=side,
        price=Price(price),
        count=Count(count),
        status=status,
        expires_ns=TARGET,
        created_ns=Nanos(created),
    )


def scan(fairs, books, **changes):
    """Inputs for markets `above(strike)`; fairs and books (bid, ask) by strike. The book is not blended in."""
    markets = tuple(market(above(strike)) for strike in fairs)
    base = ScanInputs(
        plan_id="plan-1",
        trigger="timer",
        now_ns=NOW,
        profile=PROFILE,
        window=WINDOW,
        markets=markets,
        model={above(strike).market_ticker: fair for strike, fair in fairs.items()},
        forecast_level=6850.0,
        forecast_sigma=0.001,
        calibration_error=0.0,
        views={above(strike).market_ticker: view(above(strike).market_ticker, *book) for strike, book in books.items()},
        last_mids={},
        own=(),
        fees=FREE,
        pricing=PricingSettings(book_weight=0.0, vol_error=0.0, k_stale=0.0, base_edge=0.02),
        tick_age_ns=SECOND,
        book_age_ns_max=Nanos(60 * SECOND),
    )
    return replace(base, **changes)


BID, ASK = Side.BID, Side.ASK
