"""One REST request as the handlers see it, and the small parsers they share. No sockets here."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.simulator.exchange.exchange import Exchange
from kalshi_daemon.simulator.exchange.order_terms import Refusal, bad_request
from kalshi_daemon.simulator.exchange.sim_orders import Account

Json = dict[str, Any]
PREFIX: Final = "/trade-api/v2"
PAGE: Final = 100
PAGE_MAX: Final = 1_000


class Refused(Exception):  # noqa: N818 - a refusal is an answer, not an error of ours
    """Raised by handlers; the server turns it into the venue's envelope."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Call:
    """A request after the door: `account` is set where the route needs a signature."""

    exchange: Exchange
    now_ns: Nanos
    account: Account | None
    path: Mapping[str, str]
    query: Mapping[str, Sequence[str]]
    body: bytes

    @property
    def member(self) -> Account:
        assert self.account is not None, "the route is signed"
        return self.account

    def text(self, name: str) -> str:
        """A query parameter; empty when absent."""
        values = self.query.get(name)
        return values[0] if values else ""

    def tickers(self, name: str, most: int) -> list[str]:
        """A comma-separated list, repeated parameters included. Raises Refused beyond `most` of them."""
        found = [ticker for value in self.query.get(name, ()) for ticker in value.split(",") if ticker]
        if len(found) > most:
            raise Refused(bad_request(f"{name}: at most {most}"))
        return found

    def whole(self, name: str, default: int | None = None) -> int | None:
        """An integer parameter; 400 when it is something else. `default` stands for one that is absent."""
        value = self.text(name)
        if not value:
            return default
        try:
            return int(value)
        except ValueError:
            raise Refused(bad_request(f"invalid {name}")) from None

    def stamp(self, name: str) -> Nanos | None:
        """Unix seconds as an instant."""
        seconds = self.whole(name)
        return None if seconds is None else Nanos(seconds * SECOND)

    def flag(self, name: str) -> bool:
        """Whether a parameter is "true" or "1"."""
        return self.text(name).lower() in ("true", "1")

    def limit(self, most: int, default: int) -> int:
        """Page size; 0 means the default, beyond the most is a 400."""
        asked = self.whole("limit", default)
        assert asked is not None, "there is a default"
        if not 0 <= asked <= most:
            raise Refused(bad_request(f"limit must be between 0 and {most}"))
        return asked or default

    def json(self) -> Json:
        """The body as an object; 400 when it is not one."""
        try:
            value = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise Refused(bad_request("invalid JSON body")) from None
        if not isinstance(value, dict):
            raise Refused(bad_request("body must be an object"))
        return value

    def shard(self) -> int | None:
        """The shard asked for; None for all of them, or whichever it is. 400 for one that does not exist here."""
        return read_place(self.exchange, self.whole("subaccount"), self.whole("exchange_index"))


def read_place(exchange: Exchange, subaccount: object, exchange_index: object) -> int | None:
    """The shard a request names; None where it names none or -1 (route by the ticker).

    Only subaccount 0 exists in this exchange, and shard 0 with those that markets were moved to. Raises Refused.
    """
    if subaccount not in (None, 0) or isinstance(subaccount, bool):
        raise Refused(bad_request("invalid subaccount"))
    if exchange_index is None or exchange_index == -1:
        return None
    known = (0, *exchange.venue.shards)
    if isinstance(exchange_index, bool) or not isinstance(exchange_index, int) or exchange_index not in known:
        raise Refused(bad_request("invalid exchange_index"))
    return exchange_index


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body; None is an empty body (204)."""

    status: int
    body: Json | None


Handler = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """`operation` names the route for faults; `items` counts what a batch costs."""

    method: str
    template: str
    operation: str
    handler: Handler
    signed: bool = True
    items: Callable[[bytes], int] = lambda _body: 1


def ok(body: Json) -> Answer:
    """An answer with status 200."""
    return Answer(200, body)


def page[Item](
    call: Call, items: Sequence[Item], rank: Callable[[Item], int], *, most: int = PAGE_MAX, default: int = PAGE
) -> tuple[list[Item], str]:
    """The next page of items in ascending `rank`, and the cursor after it ("" on the last page).

    A cursor names the rank it stopped at, so lists that grow at the end page without gaps; one that cannot be read
    starts over, as the venue's does. `most` and `default`: items on a page.
    """
    limit = call.limit(most, default)
    after = _read_cursor(call.text("cursor"))
    rest = [item for item in items if after is None or rank(item) > after]
    shown = rest[:limit]
    return shown, _cursor(rank(shown[-1])) if len(rest) > limit else ""


def _cursor(rank: int) -> str:
    return base64.urlsafe_b64encode(f"after:{rank}".encode()).decode()


def _read_cursor(text: str) -> int | None:
    try:
        plain = base64.urlsafe_b64decode(text.encode("ascii", "replace")).decode("ascii")
        head, _, rank = plain.partition(":")
        return int(rank) if head == "after" else None
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
