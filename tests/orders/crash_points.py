"""Crash at every point of the order path: a counter that kills the daemon at the k-th, for every k; then the next life.

A point is an instant at which something can have changed between two lives:

* effects: before and after every statement written to the journal, before every request, after the exchange has
  applied it and before its answer is read;
* awaits: the start, every suspension, every resumption and the return of every coroutine of `kalshi_daemon.orders` and
  of the exchange it talks to, seen by the interpreter itself (`sys.monitoring`), so that none can be forgotten.

From the k-th point on nothing of that life writes or sends any more. The next life starts on what the journal and the
exchange hold, and both must agree. `python -m tests.orders.crash_points` plays every point of every story.
"""

import argparse
import asyncio
import importlib
import inspect
import json
import logging
import pkgutil
import sys
import tempfile
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final

import structlog

import kalshi_daemon.orders
from kalshi_daemon.domain.order import Order, Status
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.errors import VenueRejected
from kalshi_daemon.ground.units import MINUTE, SECOND, Nanos
from kalshi_daemon.orders.journal import Journal
from kalshi_daemon.settings.model import OrderSettings
from tests.orders.fake_venue import FakeVenue
from tests.orders.order_rig import (
    EVENT,
    OTHER_WINDOW,
    PROFILES,
    START,
    TARGET,
    Rig,
    drive,
    move_market,
    quote,
    quotes,
    spin,
    ticker,
)

LEASE_S: Final = 8.0
LOOK_EVERY_S: Final = 4.0
LATER_S: Final = 16.0
"""How long the next life has: longer than "not found" takes to be believed."""
AFTER: Final = Nanos(TARGET + MINUTE)
"""When the window's markets have been paid."""
_MEMORY: Final = "/dev/shm"
_TOOL: Final = 4
_TOOL_NAME: Final = "crash-points"
_DEADLINE: Final = Nanos(20 * SECOND)

Story = Callable[[Rig], Awaitable[None]]


class Killed(BaseException):
    """The process is gone: nothing of ours runs after it."""


class Counter:
    """Counts points; raises Killed at the `moment`-th and at every later one. 0 never kills."""

    def __init__(self, moment: int = 0) -> None:
        self.moment = moment
        self.count = 0
        self.effects: list[int] = []
        """The numbers of the points that are effects."""
        self.entered: set[CodeType] = set()
        """Coroutines that were begun."""

    def effect(self) -> None:
        self.effects.append(self.count + 1)
        self.step()

    def step(self) -> None:
        self.count += 1
        if 0 < self.moment <= self.count:
            raise Killed


# --- what is counted --------------------------------------------------------------------------------------------------


@cache
def coroutines() -> tuple[CodeType, ...]:
    """The code of every `async def` of the order path and of the exchange in memory, nested ones too."""
    modules = [
        importlib.import_module(found.name)
        for found in pkgutil.iter_modules(kalshi_daemon.orders.__path__, f"{kalshi_daemon.orders.__name__}.")
    ]
    found = {code for module in [*modules, sys.modules[FakeVenue.__module__]] for code in _codes(module)}
    return tuple(sorted(found, key=str))


def _codes(module: ModuleType) -> Iterator[CodeType]:
    functions = [
        thing
        for owner in (module, *(kind for kind in vars(module).values() if inspect.isclass(kind)))
        if owner is module or owner.__module__ == module.__name__
        for thing in vars(owner).values()
        if inspect.isfunction(thing) and thing.__module__ == module.__name__
    ]
    pending = [function.__code__ for function in functions]
    while pending:
        code = pending.pop()
        pending += [const for const in code.co_consts if isinstance(const, CodeType)]
        if code.co_flags & inspect.CO_COROUTINE:
            yield code


@contextmanager
def counted(rig: Rig, counter: Counter) -> Iterator[None]:
    """Count the points of this life, and no other's."""
    with _awaits(counter), _effects(rig, counter):
        yield


@contextmanager
def _awaits(counter: Counter) -> Iterator[None]:
    seen = sys.monitoring.events
    kinds = (seen.PY_START, seen.PY_YIELD, seen.PY_RESUME, seen.PY_RETURN)
    codes = coroutines()

    def begin(code: CodeType, _offset: int) -> None:
        counter.entered.add(code)
        counter.step()

    def step(*_where: object) -> None:
        counter.step()

    sys.monitoring.use_tool_id(_TOOL, _TOOL_NAME)
    try:
        for kind in kinds:
            sys.monitoring.register_callback(_TOOL, kind, begin if kind == seen.PY_START else step)
        for code in codes:
            sys.monitoring.set_local_events(_TOOL, code, sum(kinds))
        yield
    finally:
        for code in codes:
            sys.monitoring.set_local_events(_TOOL, code, 0)
        sys.monitoring.free_tool_id(_TOOL)


@contextmanager
def _effects(rig: Rig, counter: Counter) -> Iterator[None]:
    plain, enter, leave = Journal._do, rig.venue._enter, rig.venue._leave
    journal, venue = rig.journal, rig.venue

    def write(self: Journal, sql: str, values: Sequence[Any] = ()) -> Any:
        if self is not journal:
            return plain(self, sql, values)
        counter.effect()
        done = plain(self, sql, values)
        counter.effect()
        return done

    async def entering(operation: str, argument: object) -> str:
        counter.effect()
        return await enter(operation, argument)

    def leaving(operation: str, fault: str) -> None:
        counter.effect()
        leave(operation, fault)

    patched: list[tuple[Any, str, Any]] = [
        (Journal, "_do", write),
        (venue, "_enter", entering),
        (venue, "_leave", leaving),
    ]
    for where, name, new in patched:
        setattr(where, name, new)
    try:
        yield
    finally:
        Journal._do = plain  # type: ignore[method-assign] # put back
        del venue._enter, venue._leave


# --- stories ----------------------------------------------------------------------------------------------------------


async def trading(rig: Rig) -> None:
    """From the first start on: groups, quotes, fills by both roads, renewals, lost answers, a cutoff, the stop."""
    venue, manager = rig.venue, rig.manager
    async with rig.running():
        first = await manager.place(quotes(3))
        await manager.place([quote(7000, contracts=2)])
        venue.trade(venue.resting()[-1].client_order_id, 100)
        venue.trade(venue.resting()[0].client_order_id, 100)
        await spin()
        venue.script["cancel"].append("applied_lost")
        await manager.cancel([order.client_order_id for order in first], "edge_lost")
        venue.script["create"].append("applied_lost")
        await manager.place([quote(7010), quote(7015, profile="size")])
        venue.trade(venue.resting()[-1].client_order_id, 100, stream=False)
        venue.put_foreign(ticker(7100))
        venue.script["amend"].append("applied_lost")
        await rig.pass_time(5, step_ms=500)
        await manager.place([quote(7020)])
        venue.script["cancel"].append("lost")
        await drive(rig.clock, manager.cancel_event(EVENT, "cutoff", Nanos(rig.clock.now_ns() + _DEADLINE)))
        rig.clock.set(AFTER)
        venue.settle(ticker(6800), "yes", stream=False)
        venue.settle(ticker(7010), "no")
        await rig.pass_time(2, step_ms=500)
        await manager.place([quote(7020, where=OTHER_WINDOW)])
        assert await drive(rig.clock, manager.answered(Nanos(rig.clock.now_ns() + _DEADLINE)))
    await drive(rig.clock, manager.cancel_all("SIGTERM", Nanos(rig.clock.now_ns() + _DEADLINE)))
    await drive(rig.clock, manager.books_equal())


async def wrecked(rig: Rig) -> None:
    """A life that leaves everything open behind: what `recovering` begins with. Not counted."""
    venue, manager = rig.venue, rig.manager
    await drive(rig.clock, manager.start())
    placed = await manager.place(quotes(3))
    venue.script["cancel"].append("lost")
    await manager.cancel([placed[0].client_order_id], "edge_lost")
    venue.trade(placed[1].client_order_id, 100, stream=False)
    venue.script["create"] += ["applied_lost", "lost"]
    await manager.place([quote(7010, contracts=2)])
    await manager.place([quote(7015)])
    venue.trade(venue.resting()[-1].client_order_id, 100, stream=False)
    venue.put_foreign(ticker(7100))
    # Rests at the exchange with an id of ours, and the journal has never heard of it.
    venue.put_foreign(ticker(7105), name=f"kd-{'0' * 16}-1")


async def recovering(rig: Rig) -> None:
    """The life after a crash is itself cut short, while it asks, adopts, cancels and catches up, on two shards."""
    move_market(rig)
    async with rig.running():
        await rig.manager.place([quote(7030)])
        await rig.pass_time(4, step_ms=500)


def _rests_all_the_same(venue: FakeVenue, refused: Order) -> None:
    """And without an end of its own: only the daemon can take it away."""
    venue._rest(refused.client_order_id, refused.market_ticker, refused.side, refused.price, refused.count, None)


async def outgrown(rig: Rig) -> None:
    """A life whose order groups the next one does not want. Not counted."""
    await drive(rig.clock, rig.manager.start())
    rig.settings = rig.settings.model_copy(update={"group_contracts_limit": 7})


async def mending(rig: Rig) -> None:
    """Groups replaced, a refused order that rests all the same, a fill listed late, a brake pulled and released."""
    venue, manager = rig.venue, rig.manager
    async with rig.running():
        placed = await manager.place([quote(7040), quote(7045)])
        venue.script["create_item_0"].append(VenueRejected("create", 400, "invalid_order", ""))
        (refused,) = await manager.place([quote(7050)])
        _rests_all_the_same(venue, refused)
        venue.hidden.add(venue.trade(placed[0].client_order_id, 100, stream=False).trade_id)
        await rig.pass_time(11, step_ms=500)
        venue.hidden.clear()
        venue.trigger(rig.state.order_groups.ids["wide"])
        await spin()
        await manager.reset_group("wide", rig.state.order_groups.halted["wide"].at_ns)
        await rig.pass_time(3, step_ms=500)


@dataclass(frozen=True, slots=True)
class Play:
    """A story and the life before it, if any."""

    story: Story
    before: Story | None = None


STORIES: Final = {"trading": Play(trading), "recovering": Play(recovering, wrecked), "mending": Play(mending, outgrown)}


# --- one point --------------------------------------------------------------------------------------------------------


async def prepared(play: Play, folder: Path) -> Rig:
    clock = ManualClock(START)
    settings = OrderSettings(lease_s=LEASE_S, reconcile_every_s=LOOK_EVERY_S)
    rig = Rig(folder, clock, FakeVenue(clock), settings, braked=False)
    if play.before is None:
        return rig
    await play.before(rig)
    again: Rig = rig.reborn()
    return again


async def points(play: Play, folder: Path) -> Counter:
    """The whole story once, uncut."""
    rig, counter = await prepared(play, folder), Counter()
    with counted(rig, counter):
        await play.story(rig)
    rig.journal.close()
    return counter


async def survive(play: Play, folder: Path, moment: int) -> None:
    """One life that ends at `moment`, and the next. Raises AssertionError when it and the exchange differ."""
    rig, counter = await prepared(play, folder), Counter(moment)
    with counted(rig, counter), silence():
        try:
            await play.story(rig)
        except Killed:
            pass
        except BaseExceptionGroup as group:
            if group.split(Killed)[1] is not None:
                raise
        rig.journal.close()
    assert counter.count >= moment, "this life was not cut short"
    rig.venue.script.clear()
    rig.venue.hidden.clear()
    again = rig.reborn()
    try:
        async with again.running():
            await again.pass_time(LATER_S, step_ms=500)
            _agree(again)
            await _go_on(again)
    finally:
        again.journal.close()


@contextmanager
def silence() -> Iterator[None]:
    """What a dying life leaves lying about, coroutines half done or never begun, is what is wanted here."""
    plain = sys.unraisablehook
    sys.unraisablehook = lambda _what: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            yield
    finally:
        sys.unraisablehook = plain


def _agree(again: Rig) -> None:
    venue, state = again.venue, again.state
    resting = {order.client_order_id: order for order in venue.resting()}
    live = {order.client_order_id: order for order in state.live_orders()}
    assert live.keys() == resting.keys(), "our open orders and the exchange's"
    ends = {name: order.expires_ns for name, order in resting.items()}
    assert all(at is not None and at <= live[name].expires_ns for name, at in ends.items()), "outlives what we believe"
    assert not any(order.status is Status.UNKNOWN for order in again.orders), "nothing is left open"
    booked = again.journal.fills_since(Nanos(0))
    assert sorted(b.fill.trade_id for b in booked) == sorted(f.trade_id for f in venue.fills_made), "fills"
    assert state.ledger.fills_total == len(venue.fills_made), "fills counted"
    for market, count in venue.held.items():
        assert (state.ledger.positions[market].count if market in state.ledger.positions else 0) == count, "positions"
    assert state.reconciliation.agreed, state.reconciliation.problem
    sent = _sent(again)
    assert len(set(sent)) == len(sent), "an order was sent twice"
    assert all(again.journal.order(name) is not None for name in sent), "sent without an intent on disk"
    assert len(venue.groups) == len(PROFILES) == len(state.order_groups.ids), "a group was leaked or is missing"


async def _go_on(again: Rig) -> None:
    """The new life trades with ids of its own, and ends with nothing at the exchange."""
    before = _sent(again)
    placed = await again.manager.place([quote(7200, where=OTHER_WINDOW)])
    for profile, halt in dict(again.state.order_groups.halted).items():  # the brake was pulled: a person releases it
        assert await again.manager.reset_group(profile, halt.at_ns)
        placed = await again.manager.place([quote(7205, where=OTHER_WINDOW)])
    assert [order.status for order in placed] == [Status.RESTING], "it quotes again"
    assert placed[0].client_order_id not in before, "with an id of its own"
    result = await drive(again.clock, again.manager.cancel_all("SIGTERM", Nanos(again.clock.now_ns() + _DEADLINE)))
    assert result.verified, result.detail
    assert again.venue.resting() == [], "orphans"


def _sent(rig: Rig) -> list[str]:
    return [new.client_order_id for batch in rig.sent("create") for new in batch]


# --- all of them ------------------------------------------------------------------------------------------------------


async def failures(play: Play, folder: Path, moments: Sequence[int]) -> list[str]:
    """What went wrong at which of these points."""
    found: list[str] = []
    for moment in moments:
        try:
            await survive(play, folder / str(moment), moment)
        except (Exception, BaseExceptionGroup) as problem:  # noqa: BLE001 - every one of them is a finding
            found.append(f"point {moment}: {problem!r}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="kill the order path at every point it has")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every N-th point")
    args = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.getLogger("asyncio").disabled = True
    warnings.simplefilter("ignore", RuntimeWarning)  # what the dead left half done
    began, told = time.monotonic(), {}
    for name, play in STORIES.items():
        with tempfile.TemporaryDirectory(dir=_MEMORY if Path(_MEMORY).is_dir() else None) as folder:
            whole = asyncio.run(points(play, Path(folder) / "whole"))
            moments = range(1, whole.count + 1, args.every)
            found = asyncio.run(failures(play, Path(folder), moments))
        sys.stdout.writelines(f"{name}: {line}\n" for line in found)
        told[name] = {"points": len(moments), "effects": len(whole.effects), "failures": len(found)}
    figures = {
        "points": sum(each["points"] for each in told.values()),
        "failures": sum(each["failures"] for each in told.values()),
        "coroutines": len(coroutines()),
        "stories": told,
        "wall_s": round(time.monotonic() - began, 1),
    }
    sys.stdout.write(json.dumps(figures) + "\n")
    return 1 if figures["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
