"""Every shape of refusal becomes the right error (docs/reference/venue.md 3)."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.ground.errors import (
    AlreadyExists,
    AuthFailed,
    InsufficientBalance,
    MarketClosed,
    NotFound,
    OrderOutcomeUnknown,
    PostOnlyCross,
    RateLimited,
    VenueRejected,
)
from kalshi_daemon.kalshi.refusals import Refusal, item_error, parse_refusal, rejection


def nested(code: str, message: str = "", details: str = "") -> bytes:
    return orjson.dumps({"error": {"code": code, "message": message, "details": details, "service": "old"}})


def flat(code: str, message: str = "", details: str = "") -> bytes:
    return orjson.dumps({"code": code, "message": message, "details": details})


CASES = [
    (409, ("order_already_exists", "order already exists"), AlreadyExists),
    (409, ("conflict", "transfer seen"), VenueRejected),
    (400, ("invalid_order", "invalid order", "post only cross"), PostOnlyCross),
    (400, ("invalid order", "", "Post only cross"), PostOnlyCross),
    (400, ("PostOnlyCrossCancel", "cancelled"), PostOnlyCross),
    (400, ("invalid_order", "invalid order", "something else"), VenueRejected),
    (400, ("insufficient_balance", "no"), InsufficientBalance),
    (400, ("available_balance_too_low", "no"), InsufficientBalance),
    (400, ("MARKET_INACTIVE", "market is not active"), MarketClosed),
    (409, ("market_inactive", ""), MarketClosed),
    (400, ("invalid_order", "trading is paused"), MarketClosed),
    (403, ("TRADING_PAUSED", ""), AuthFailed),  # a 403 is about the key first
    (400, ("EXCHANGE_PAUSED", ""), MarketClosed),
    (400, ("market_closed", ""), MarketClosed),
    (404, ("not_found", "not found"), NotFound),
    (404, ("market_not_found", ""), NotFound),
    (400, ("order_not_found", ""), NotFound),
    (400, ("invalid_order_size", ""), VenueRejected),
    (400, ("invalid_price", ""), VenueRejected),
    (401, ("unauthorized", "bad signature"), AuthFailed),
    (403, ("forbidden", "this API key is restricted to a single sub-account"), AuthFailed),
    (410, ("deprecated_v1_order_endpoint", "Please switch to the V2 endpoints"), VenueRejected),
]


@pytest.mark.parametrize("shape", [nested, flat])
@pytest.mark.parametrize(("status", "words", "kind"), CASES)
def test_status_code_and_text_make_the_kind(shape, status, words, kind):
    error = rejection("create_batch", status, parse_refusal(shape(*words)))
    assert type(error) is kind
    assert isinstance(error, VenueRejected)
    assert error.status == status
    assert error.code == words[0]


@pytest.mark.parametrize("body", [b'{"error":"too many requests"}', nested("too_many_requests"), b"slow down", b""])
def test_429_is_rate_limited_in_every_shape(body):
    error = rejection("create_batch", 429, parse_refusal(body), cost=60)
    assert isinstance(error, RateLimited)
    assert error.cost == 60


@pytest.mark.parametrize(
    "body", [b"", b"<html>Not Found</html>", b"[]", b"null", b'"x"', b"{}", b'{"error":7}', b"\xff"]
)
def test_an_unreadable_body_is_kept_as_a_refusal_and_a_404_of_it_proves_nothing(body):
    refusal = parse_refusal(body)
    assert not refusal.readable
    error = rejection("order", 404, refusal)
    assert type(error) is VenueRejected
    assert error.code == "unreadable"


def test_a_bare_string_names_itself():
    assert parse_refusal(b'{"error":"Not Found"}') == Refusal("not_found", "Not Found", "", readable=True)


def test_long_text_is_cut():
    refusal = parse_refusal(nested("x" * 5_000, "y" * 5_000))
    assert (len(refusal.code), len(refusal.message)) == (200, 200)


def test_a_batch_item_is_judged_by_its_code():
    post_only = item_error("create_batch", 201, {"code": "invalid_order", "details": "post only cross"})
    assert isinstance(post_only, PostOnlyCross)
    assert isinstance(item_error("cancel_batch", 200, {"code": "not_found", "message": "not found"}), NotFound)
    assert isinstance(item_error("create_batch", 201, {"code": "order_already_exists"}), AlreadyExists)
    assert isinstance(item_error("create_batch", 201, "insufficient_balance"), InsufficientBalance)
    assert isinstance(item_error("create_batch", 201, {"code": "too_many_requests"}), RateLimited)


@pytest.mark.parametrize(
    "error", [{"code": "internal_error"}, {"code": "EXCHANGE_UNAVAILABLE"}, {"code": "timeout"}, 7, [1]]
)
def test_a_batch_item_that_leaves_the_outcome_open_is_unknown(error):
    assert isinstance(item_error("create_batch", 201, error), OrderOutcomeUnknown)


@settings(deadline=None, max_examples=100)
@given(body=st.binary(max_size=200), status=st.integers(400, 499))
def test_no_body_whatever_crashes_the_parser(body, status):
    assert isinstance(rejection("x", status, parse_refusal(body)), (VenueRejected, RateLimited))
