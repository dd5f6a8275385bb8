"""What the admin API's `faults` can do to the exchange's record, its shards, its frames and the feed, beside `faults`.

Each key of the wish is one lever; each has its function in Python, named here, for tests that run in the same process.

settlement: {act: disputed|determined|amended, event_ticker, for_s, points, results, silent, finalized}
            `corrections.dispute`, `.determine_again`, `.amend_settlement`
cash: {account, dollars}                     `corrections.change_cash`
shard: {tickers | event_ticker, exchange_index}   `corrections.move_to_shard`
pause_shard: {exchange_index, exchange}      `venue_desk.VenueDesk.pause_shard`;  resume_shard: {exchange_index}
say: {channel, kind, msg | raw}              `StreamHub.say`: a numbered data frame that nothing has caused
feed: {stall_s, delay_s, delayed_history, snapshot_refusal, misprints: [{index, channels, times, ...}], raw, clear}
            `FeedServer`; the channel `snapshot` bends what the REST snapshot says
"""

from collections.abc import Container
from typing import Any

import orjson

from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.units import DOLLAR, SECOND, Dollars, Nanos
from kalshi_daemon.simulator.exchange.corrections import (
    amend_settlement,
    change_cash,
    determine_again,
    dispute,
    move_to_shard,
)
from kalshi_daemon.simulator.exchange.exchange import Exchange
from kalshi_daemon.simulator.exchange.poison import poison_of
from kalshi_daemon.simulator.exchange.ws_server import StreamHub
from kalshi_daemon.simulator.feed.feed_server import FeedServer
from kalshi_daemon.simulator.feed.misprints import Misprint

Json = dict[str, Any]


def pull_levers(exchange: Exchange, hub: StreamHub, feed: FeedServer | None, wish: Json) -> Json:
    """What was done, by lever. Raises KeyError, TypeError or ValueError for nonsense."""
    done: Json = {}
    if "shard" in wish:
        _move(exchange, wish["shard"])
    if "pause_shard" in wish:
        paused = wish["pause_shard"]
        exchange.venue.pause_shard(int(paused["exchange_index"]), exchange=bool(paused.get("exchange", False)))
    if "resume_shard" in wish:
        exchange.venue.resume_shard(int(wish["resume_shard"]["exchange_index"]))
    if "cash" in wish:
        by = Dollars(round(float(wish["cash"]["dollars"]) * DOLLAR))
        change_cash(exchange, str(wish["cash"].get("account") or _first_member(exchange)), by)
    if "settlement" in wish:
        done["settlement"] = _correct(exchange, wish["settlement"])
    if "say" in wish:
        said = wish["say"]
        msg = str(said["raw"]).encode() if "raw" in said else orjson.dumps(said["msg"])
        done["said"] = hub.say(str(said["channel"]), str(said.get("kind", said["channel"])), msg)
    if "feed" in wish:
        if feed is None:
            raise ValueError("this exchange has no feed")
        _bend_feed(feed, exchange.now(), wish["feed"])
    return done


def _first_member(exchange: Exchange) -> str:
    return next(account.name for account in exchange.accounts.values() if account.keeps_history)


def _move(exchange: Exchange, wanted: Json) -> None:
    tickers = wanted.get("tickers")
    if tickers is None:
        tickers = [market.spec.ticker for market in exchange.catalogue.by_event[wanted["event_ticker"]]]
    move_to_shard(exchange, tickers, int(wanted["exchange_index"]))


def _correct(exchange: Exchange, wanted: Json) -> list[str]:
    event, act = str(wanted["event_ticker"]), wanted["act"]
    points = None if wanted.get("points") is None else float(wanted["points"])
    results = wanted.get("results")
    if act == "disputed":
        return dispute(exchange, event, Nanos(int(float(wanted.get("for_s", 60)) * SECOND)))
    if act == "determined":
        return determine_again(exchange, event, points=points, results=results)
    if act == "amended":
        silent, finalized = bool(wanted.get("silent", False)), bool(wanted.get("finalized", False))
        return amend_settlement(exchange, event, points=points, results=results, silent=silent, finalized=finalized)
    raise ValueError(f"{act!r} is not an act")


def _bend_feed(feed: FeedServer, now_ns: Nanos, wanted: Json) -> None:
    if wanted.get("clear"):
        feed.misprints.clear()
        feed.stall(Nanos(0))
        feed.delay(Nanos(0))
        feed.history.faults.delayed = False
        feed.snapshot.refusal = ""
    if "stall_s" in wanted:
        feed.stall(Nanos(now_ns + int(float(wanted["stall_s"]) * SECOND)))
    if "delay_s" in wanted:
        feed.delay(Nanos(int(float(wanted["delay_s"]) * SECOND)))
    feed.history.faults.delayed = bool(wanted.get("delayed_history", feed.history.faults.delayed))
    feed.snapshot.refusal = str(wanted.get("snapshot_refusal", feed.snapshot.refusal))
    feed.misprints.extend(_misprint(one, feed.history.sessions[-1]) for one in wanted.get("misprints", ()))
    if "raw" in wanted:
        feed.send_raw(str(wanted["raw"]))


def _misprint(wanted: Json, indices: Container[Index]) -> Misprint:
    """Its keys are the fields of `Misprint`; `index` is one of the session. Raises ValueError for another."""
    kept = dict(wanted)
    name = kept.pop("index", None)
    index = None if name is None else Index(name)
    if index is not None and index not in indices:
        raise ValueError(f"no index {name} in this session")
    channels = frozenset(str(one) for one in kept.pop("channels", ("V",)))
    poison = kept.pop("poison", None)
    return Misprint(
        index=index,
        channels=channels,
        poison=None if poison is None else poison_of(poison),
        **kept,
    )
