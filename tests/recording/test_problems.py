"""What the network raises comes back as what our clients catch, by the same name and in the same words."""

import aiohttp
import orjson
import pytest
from websockets.datastructures import Headers
from websockets.exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidHandshake,
    InvalidStatus,
    InvalidURI,
    WebSocketException,
)
from websockets.frames import Close
from websockets.http11 import Response

from kalshi_daemon.recording.problems import plain, raised

PROBLEMS = [
    (aiohttp.ServerDisconnectedError(), aiohttp.ClientError),
    (aiohttp.ConnectionTimeoutError("late"), aiohttp.ConnectionTimeoutError),
    (aiohttp.InvalidURL("http://x"), aiohttp.InvalidURL),
    (TimeoutError(), TimeoutError),
    (ConnectionResetError(104, "reset by peer"), OSError),
    (ConnectionClosedError(Close(1006, "gone"), None, None), ConnectionClosed),
    (ConnectionClosedOK(Close(1000, ""), Close(1000, ""), True), ConnectionClosed),
    (ConnectionClosedError(None, None, None), ConnectionClosed),
    (InvalidURI("x", "no scheme"), InvalidURI),
    (InvalidHandshake("odd"), InvalidHandshake),
    (WebSocketException("odd"), WebSocketException),
    (ValueError("too long"), ValueError),
    (KeyError("bug"), Exception),
]


@pytest.mark.parametrize(("problem", "family"), PROBLEMS, ids=lambda one: getattr(one, "__name__", repr(one)))
def test_a_problem_keeps_family_name_and_words(problem, family):
    found = raised(orjson.loads(orjson.dumps(plain(problem))))
    assert isinstance(found, family)
    assert (type(found).__name__, str(found)) == (type(problem).__name__, str(problem))


def test_a_refused_handshake_keeps_what_is_read_of_it():
    response = Response(401, "Unauthorized", Headers({"Date": "Mon", "X": "y"}), b'{"error":1}')
    found = raised(orjson.loads(orjson.dumps(plain(InvalidStatus(response)))))
    assert isinstance(found, InvalidStatus)
    assert (found.response.status_code, found.response.headers["Date"], found.response.body) == (
        401,
        "Mon",
        b'{"error":1}',
    )


@pytest.mark.parametrize("found", [[], ["closed"], ["unheard", "A", "b"], None])
def test_what_is_no_problem_is_refused(found):
    with pytest.raises(ValueError, match=r"no problem|not enough"):
        raised(found)
