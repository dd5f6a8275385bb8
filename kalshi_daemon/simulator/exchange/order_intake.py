"""Bodies of order requests, as strictly as the venue reads them: money and counts are strings, grids are exact."""

import re
from typing import Any, Final

from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import SECOND, Count, Nanos, Price
from kalshi_daemon.simulator.exchange.exchange import Amendment
from kalshi_daemon.simulator.exchange.order_terms import (
    INVALID_PRICE,
    INVALID_SIZE,
    OrderSpec,
    Refusal,
    SelfTrade,
    TimeInForce,
    bad_request,
)
from kalshi_daemon.simulator.exchange.rest_call import Json, Refused

_COUNT: Final = re.compile(r"\d{1,9}(\.\d{1,2})?", re.ASCII)
_PRICE: Final = re.compile(r"\d\.\d{2,4}", re.ASCII)
_SECONDS_MAX: Final = 4_102_444_800
"""The year 2100; what lies beyond is taken for another unit."""
_CLIENT_ID: Final = re.compile(r"[-\w:+=/]{1,64}", re.ASCII)


def _text(body: Json, key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not value:
        raise Refused(bad_request(f"{key}: expected a string"))
    return value


def _decimal(body: Json, key: str, form: re.Pattern[str], places: int, refusal: Refusal) -> int:
    text = _text(body, key)
    if form.fullmatch(text) is None:
        raise Refused(refusal)
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(places, "0"))


def read_count(body: Json, key: str) -> Count:
    """A string of at most two decimals, in 1/100 contract."""
    return Count(_decimal(body, key, _COUNT, 2, INVALID_SIZE))


def read_price(body: Json, key: str) -> Price:
    """A string of two to four decimals, in 1/10 000 dollar."""
    return Price(_decimal(body, key, _PRICE, 4, INVALID_PRICE))


def read_side(body: Json) -> Side:
    """The side a body asks for. Raises Refused."""
    value = body.get("side")
    if value == "bid":
        return Side.BID
    if value == "ask":
        return Side.ASK
    raise Refused(bad_request("side: expected bid or ask"))


def _flag(body: Json, key: str) -> bool:
    value = body.get(key)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise Refused(bad_request(f"{key}: expected a boolean"))


def _client_id(body: Json, key: str) -> str | None:
    value = body.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or _CLIENT_ID.fullmatch(value) is None:
        raise Refused(bad_request(f"invalid {key}"))
    return value


def _seconds(body: Json, key: str) -> Nanos | None:
    value = body.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _SECONDS_MAX:
        raise Refused(bad_request(f"{key}: expected unix seconds"))
    return Nanos(value * SECOND)


def _choice[Choice: (TimeInForce, SelfTrade)](body: Json, key: str, kind: type[Choice]) -> Choice:
    try:
        return kind(_text(body, key))
    except ValueError:
        raise Refused(bad_request(f"invalid {key}")) from None


def read_create(value: Any) -> OrderSpec:  # noqa: ANN401 - JSON of a stranger
    """CreateOrderV2Request. Unknown keys are ignored. Raises Refused."""
    if not isinstance(value, dict):
        raise Refused(bad_request("order must be an object"))
    group = value.get("order_group_id")
    if group is not None and not isinstance(group, str):
        raise Refused(bad_request("order_group_id: expected a string"))
    return OrderSpec(
        ticker=_text(value, "ticker"),
        side=read_side(value),
        price=read_price(value, "price"),
        count=read_count(value, "count"),
        client_order_id=_client_id(value, "client_order_id") or "",
        time_in_force=_choice(value, "time_in_force", TimeInForce),
        self_trade=_choice(value, "self_trade_prevention_type", SelfTrade),
        post_only=_flag(value, "post_only"),
        reduce_only=_flag(value, "reduce_only"),
        cancel_on_pause=_flag(value, "cancel_order_on_pause"),
        expires_ns=_seconds(value, "expiration_time"),
        group_id=group or "",
    )


def read_amend(body: Json) -> Amendment:
    """AmendOrderV2Request: `count` is the total, expiration 0 clears and absence keeps. Raises Refused."""
    return Amendment(
        ticker=_text(body, "ticker"),
        side=read_side(body),
        price=read_price(body, "price"),
        count=read_count(body, "count"),
        client_order_id=_client_id(body, "client_order_id"),
        updated_client_order_id=_client_id(body, "updated_client_order_id"),
        expires_ns=_seconds(body, "expiration_time"),
    )


def read_decrease(body: Json) -> tuple[Count | None, Count | None]:
    """(reduce_by, reduce_to): exactly one. Raises Refused."""
    by = read_count(body, "reduce_by") if body.get("reduce_by") is not None else None
    to = read_count(body, "reduce_to") if body.get("reduce_to") is not None else None
    if (by is None) == (to is None):
        raise Refused(bad_request("exactly one of reduce_by and reduce_to"))
    return by, to


def read_group_limit(body: Json) -> Count:
    """`contracts_limit` (whole contracts) or `contracts_limit_fp`; both must match. Raises Refused."""
    whole = body.get("contracts_limit")
    fixed = read_count(body, "contracts_limit_fp") if body.get("contracts_limit_fp") is not None else None
    if whole is None and fixed is None:
        raise Refused(bad_request("contracts_limit or contracts_limit_fp is required"))
    if whole is None and fixed is not None:
        return fixed
    if isinstance(whole, bool) or not isinstance(whole, int):
        raise Refused(bad_request("contracts_limit: expected a whole number"))
    if fixed not in (None, whole * 100):
        raise Refused(bad_request("contracts_limit and contracts_limit_fp do not match"))
    return Count(whole * 100)
