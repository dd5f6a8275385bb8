"""What the network raises, as plain values and back, so that live and replayed code catch the same thing.

A problem is `[family, name, text, ...]`: the family is the class that our code catches, the name and the text are what
its messages show. What comes back is of that family, is called that, and says that.
"""

from typing import Any, Final

import aiohttp
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

from kalshi_daemon.recording.entries import bytes_of, text_of

type Problem = list[Any]

_FAMILIES: Final[dict[str, type[Exception]]] = {
    "no_connection": aiohttp.ClientConnectorError,
    "no_connection_in_time": aiohttp.ConnectionTimeoutError,
    "bad_url": aiohttp.InvalidURL,
    "client": aiohttp.ClientError,
    "bad_uri": InvalidURI,
    "handshake": InvalidHandshake,
    "websocket": WebSocketException,
    "late": TimeoutError,
    "system": OSError,
    "unicode": UnicodeError,
    "value": ValueError,
    "other": Exception,
}
"""By name; the first that fits is the one."""
_CLOSED: Final = "closed"
_REFUSED: Final = "refused"
_BODY_BYTES_MAX: Final = 65_536


def plain(problem: Exception) -> Problem:
    """As JSON values."""
    head = [type(problem).__name__, str(problem)]
    if isinstance(problem, ConnectionClosed):
        kind = "ok" if isinstance(problem, ConnectionClosedOK) else "error"
        return [_CLOSED, *head, kind, _close(problem.rcvd), _close(problem.sent), problem.rcvd_then_sent]
    if isinstance(problem, InvalidStatus):
        response = problem.response
        body = text_of(bytes(response.body or b"")[:_BODY_BYTES_MAX])
        return [_REFUSED, *head, response.status_code, response.reason_phrase, response.headers.get("Date"), body]
    return [next(name for name, family in _FAMILIES.items() if isinstance(problem, family)), *head]


def raised(problem: Problem) -> Exception:
    """The other way. Raises ValueError for what is none."""
    try:
        family, name, text, *rest = problem
        if family == _CLOSED:
            kind, rcvd, sent, first = rest
            made = ConnectionClosedOK if kind == "ok" else ConnectionClosedError
            return made(_closing(rcvd), _closing(sent), first)
        if family == _REFUSED:
            status, reason, date, body = rest
            headers = Headers() if date is None else Headers({"Date": date})
            return InvalidStatus(Response(status, reason, headers, bytes_of(body)))
        return _named(_FAMILIES[family], str(name), str(text))
    except (TypeError, KeyError) as wrong:
        raise ValueError(f"no problem: {wrong}") from None


def _named(family: type[Exception], name: str, text: str) -> Exception:
    """One of a family with a name and a text of its own, whatever its constructor asks for."""
    made = type(name, (family,), {"__init__": lambda _self: None, "__str__": lambda _self: text})
    problem = made()
    assert isinstance(problem, Exception), "made of one"
    problem.args = (text,)
    return problem


def _close(frame: Close | None) -> list[Any] | None:
    return None if frame is None else [frame.code, frame.reason]


def _closing(found: list[Any] | None) -> Close | None:
    return None if found is None else Close(found[0], found[1])
