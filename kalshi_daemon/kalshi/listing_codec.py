"""The venue's listing JSON as domain values. Strikes come from `strike_type`, `floor_strike` and `cap_strike` only.

Sources: docs/reference/venue.md 2.2, 6, 7, 7.1 (objects, price grids, strikes, fees). Settlement values have two
decimals, so every strike is moved to the settlement grid (0.01 point): `greater` 7844.9999 and `greater_or_equal` 7845
both start at 7845.00. Everything here raises MissingField, MalformedField or UnknownValue, and nothing is guessed.
"""

from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Any, Final

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
from kalshi_daemon.ground import readers
from kalshi_daemon.ground.errors import MalformedField, MissingField, UnknownValue
from kalshi_daemon.ground.units import SETTLEMENT_STEP, Level, Nanos, format_level, parse_level, parse_price

Json = Mapping[str, Any]

PRICE_BANDS_MAX: Final = 32
"""More bands than this in one market's `price_ranges` is nonsense, not a grid."""
FEE_MULTIPLIER_MAX: Final = 1_000
"""Far beyond any fee the venue has charged; a number above it is none."""
EXCHANGE_INDEX_MAX: Final = 10_000
_MILLION: Final = Decimal(1_000_000)
_RESULTS: Final = ("", "yes", "no")
_EXPIRATION_CHARS_MAX: Final = 100
_SHOWN_CHARS_MAX: Final = 40


def parse_market(obj: Json, index_by_series: Mapping[str, Index]) -> Market:
    """Read a Market object. Raises MissingField, MalformedField, or UnknownValue (series, status, strike type, result).

    The series is what stands before the event ticker's first dash; it must be one of ours. The contract settles at
    `close_time`, the instant of the fixing (docs/reference/venue.md 7).
    """
    ticker = _text(obj, "ticker")
    event_ticker = _text(obj, "event_ticker", ticker)
    series_ticker = event_ticker.partition("-")[0]
    index = index_by_series.get(series_ticker)
    if index is None:
        raise UnknownValue("event_ticker", event_ticker, tuple(sorted(index_by_series)))
    if obj.get("market_type", "binary") != "binary":
        raise UnknownValue("market_type", obj["market_type"], ("binary",))
    strike_type, lowest, highest = _strikes(obj, ticker)
    close_ns = Nanos(readers.rfc3339(_present(obj, "close_time", ticker), "close_time"))
    result = _present(obj, "result", ticker)
    if result not in _RESULTS:
        raise UnknownValue("result", result, _RESULTS)
    return Market(
        contract=Contract(ticker, event_ticker, series_ticker, index, strike_type, lowest, highest, close_ns),
        grid=parse_grid(_present(obj, "price_ranges", ticker)),
        status=_enum(MarketStatus, _present(obj, "status", ticker), "status"),
        open_ns=Nanos(readers.rfc3339(_present(obj, "open_time", ticker), "open_time")),
        close_ns=close_ns,
        exchange_index=_exchange_index(obj),
        result=str(result),
        expiration_value=_expiration_value(obj),
    )


def parse_grid(ranges: object) -> PriceGrid:
    """Read `price_ranges`; the label `price_level_structure` is never looked at (docs/reference/venue.md 6).

    Raises MalformedField.
    """
    if not isinstance(ranges, list) or not 1 <= len(ranges) <= PRICE_BANDS_MAX:
        raise MalformedField("price_ranges", ranges, f"a list of 1 to {PRICE_BANDS_MAX} price bands")
    bands = []
    for item in ranges:
        if not isinstance(item, Mapping):
            raise MalformedField("price_ranges", item, "a price band")
        start, end, step = (
            parse_price(_present(item, name, "price_ranges"), f"price_ranges.{name}")
            for name in ("start", "end", "step")
        )
        if step <= 0 or start >= end:
            raise MalformedField("price_ranges", dict(item), "a band with start < end and step > 0")
        bands.append(PriceBand(start, end, step))
    return PriceGrid(tuple(sorted(bands, key=lambda band: band.start)))


def parse_fee_schedule(series_obj: Json, now: Nanos) -> FeeSchedule:
    """Read the fee fields of a Series object, read at `now`.

    Raises UnknownValue for a fee type we cannot price (`flat`, combos, anything new), MissingField when absent.
    The multiplier may be any number >= 0; it is kept in millionths, rounded up.
    """
    return FeeSchedule(
        fee_type=_enum(FeeType, _present(series_obj, "fee_type", "series"), "fee_type"),
        multiplier_ppm=_multiplier(_present(series_obj, "fee_multiplier", "series"), "fee_multiplier"),
        read_ns=now,
    )


def describe_fees(schedule: FeeSchedule) -> str:
    """A schedule in one word and a number, for alarms: "quadratic x1"."""
    return f"{schedule.fee_type.value} x{Decimal(schedule.multiplier_ppm) / _MILLION:f}"


def describe_override(fee_type: object, multiplier: object, series: FeeSchedule | None) -> str:
    """What an event's fee override says, or "" when there is none or it repeats the series' own schedule.

    Null fields inherit from the series. An event whose override changes anything is not priced: the text stays in
    `state.venue.event_fee_override` and the fee guard refuses.
    """
    if fee_type is None and multiplier is None:
        return ""
    if series is not None:
        try:
            kind = series.fee_type if fee_type is None else _enum(FeeType, fee_type, "fee_type_override")
            ppm = series.multiplier_ppm if multiplier is None else _multiplier(multiplier, "fee_multiplier_override")
        except (UnknownValue, MalformedField) as problem:
            return str(problem)
        if (kind, ppm) == (series.fee_type, series.multiplier_ppm):
            return ""
    return f"{_shown(fee_type)} x{_shown(multiplier)}"


def strike_key(market: Market) -> tuple[int, int, str]:
    """Sorts a ladder from the lowest strike up; an open lower end comes first."""
    contract = market.contract
    low = -1 if contract.lowest is None else int(contract.lowest)
    return (low, -1 if contract.highest is None else int(contract.highest), contract.market_ticker)


def partition_problem(markets: Sequence[Market]) -> str:
    """Why these markets do not tile the line, or "" when every settlement value pays exactly one of them.

    For mutually exclusive range events (collateral MECNET, docs/reference/venue.md 7): one tail open below, bins that
    meet on the 0.01-point grid, one tail open above.
    """
    ladder = sorted(markets, key=strike_key)
    if not ladder:
        return "no markets"
    if ladder[0].contract.lowest is not None:
        return f"nothing pays below {format_level(ladder[0].contract.lowest)}"
    for below, above in pairwise(ladder):
        top, bottom = below.contract.highest, above.contract.lowest
        if top is None or bottom is None or bottom <= top:
            return f"{below.ticker} and {above.ticker} overlap"
        if bottom - top != SETTLEMENT_STEP:
            return f"nothing pays between {format_level(top)} and {format_level(bottom)}"
    last = ladder[-1].contract.highest
    return "" if last is None else f"nothing pays above {format_level(last)}"


def _strikes(obj: Json, where: str) -> tuple[StrikeType, Level | None, Level | None]:
    """The inclusive ends on the settlement grid (see module docstring)."""
    strike_type = _enum(StrikeType, _present(obj, "strike_type", where), "strike_type")
    lowest: Level | None = None
    highest: Level | None = None
    match strike_type:
        case StrikeType.GREATER:
            lowest = _grid_at_or_above(_strike(obj, "floor_strike", where) + 1)
        case StrikeType.GREATER_OR_EQUAL:
            lowest = _grid_at_or_above(_strike(obj, "floor_strike", where))
        case StrikeType.LESS:
            highest = _grid_at_or_below(_strike(obj, "cap_strike", where) - 1)
        case StrikeType.LESS_OR_EQUAL:
            highest = _grid_at_or_below(_strike(obj, "cap_strike", where))
        case StrikeType.BETWEEN:
            lowest = _grid_at_or_above(_strike(obj, "floor_strike", where))
            highest = _grid_at_or_below(_strike(obj, "cap_strike", where))
            if lowest > highest:
                raise MalformedField("cap_strike", obj["cap_strike"], f"at or above floor_strike {obj['floor_strike']}")
    return strike_type, lowest, highest


def _strike(obj: Json, field: str, where: str) -> Level:
    return parse_level(_present(obj, field, where), field)


def _grid_at_or_above(level: int) -> Level:
    return Level(-(-level // SETTLEMENT_STEP) * SETTLEMENT_STEP)


def _grid_at_or_below(level: int) -> Level:
    return Level(level // SETTLEMENT_STEP * SETTLEMENT_STEP)


def _multiplier(number: object, field: str) -> int:
    """A fee multiplier in millionths, rounded up; a JSON number, or a decimal string."""
    if isinstance(number, str):
        high = FEE_MULTIPLIER_MAX * 1_000_000
        return readers.scaled_decimal(number, field, decimals=6, low=0, high=high, rounding=readers.Rounding.UP)
    value = readers.finite(number, field, low=0.0, high=FEE_MULTIPLIER_MAX)
    return int((Decimal(repr(value)) * _MILLION).to_integral_value(rounding=ROUND_CEILING))


def _expiration_value(obj: Json) -> str:
    value = obj.get("expiration_value") or ""
    if not isinstance(value, str) or len(value) > _EXPIRATION_CHARS_MAX:
        raise MalformedField("expiration_value", value, f"a text of at most {_EXPIRATION_CHARS_MAX} characters")
    return value


def _shown(value: object) -> str:
    """A value of the venue's for people, whatever it is: bounded, ASCII."""
    if value is None:
        return "inherited"
    if isinstance(value, (str, bool, int, float)):
        return ascii(value)[:_SHOWN_CHARS_MAX].strip("'")
    return type(value).__name__


def _exchange_index(obj: Json) -> int | None:
    shard = obj.get("exchange_index")
    return None if shard is None else readers.integer(shard, "exchange_index", high=EXCHANGE_INDEX_MAX)


def _present(obj: Json, field: str, where: str) -> Any:  # noqa: ANN401 - a JSON value, judged by the caller
    value = obj.get(field)
    if value is None:
        raise MissingField(field, where)
    return value


def _text(obj: Json, field: str, where: str = "market") -> str:
    return readers.identifier(_present(obj, field, where), field)


def _enum[Kind: StrEnum](kind: type[Kind], value: object, field: str) -> Kind:
    for member in kind:
        if member.value == value:
            return member
    raise UnknownValue(field, value, tuple(member.value for member in kind))
