"""Faults of what is said: numbers that are none, times in another unit, ids that belong to others."""

import math
import uuid
from collections.abc import Callable

from kalshi_daemon.simulator.exchange.faults import Injection, Manner, When
from kalshi_daemon.simulator.exchange.poison import Poison
from kalshi_daemon.simulator.feed.misprints import Misprint
from tests.simulation.disk_troubles import EXPLAINED_S
from tests.simulation.effect import Begin, Effect
from tests.simulation.numbers import Bend, DrawnPoison, nonsense, other_unit
from tests.simulation.stage import Stage
from tests.support.instruments import INDICES

_ANSWERS = (
    *("batch_create", "batch_create", "batch_cancel", "cancel_all", "amend", "orders", "order", "fills", "positions"),
    *("balance", "settlements", "exchange_status", "markets", "events", "series", "orderbook", "orderbooks", "market"),
    *("account_limits", "groups", "series_fee_changes", "*"),
)
_CHANNELS = ("orderbook_delta", "orderbook_delta", "fill", "user_orders", "market_lifecycle_v2", "")
_FOREVER = 1_000_000
_FEED = (frozenset({"V"}), frozenset({"V"}), frozenset({"AM"}), frozenset({"V", "A", "AM"}))


def _in_answers(stage: Stage, bend: Bend, only: str) -> tuple[list[DrawnPoison], Callable[[], None]]:
    faults, rng = stage.exchange.server.faults, stage.rng
    made = []
    for _ in range(rng.randint(2, 6)):
        poison = DrawnPoison("", rng=rng, bend=bend)
        operation = only or rng.choice(_ANSWERS)
        made.append(Injection(operation, When.AFTER, Manner.POISON, times=rng.randint(1, 6), poison=poison))
    faults.injections.extend(made)

    def end() -> None:
        faults.injections = [one for one in faults.injections if all(one is not mine for mine in made)]

    return [one.poison for one in made if isinstance(one.poison, DrawnPoison)], end


def _in_frames(stage: Stage, bend: Bend, only: str) -> tuple[list[DrawnPoison], Callable[[], None]]:
    stream, rng = stage.exchange.server.faults.stream, stage.rng
    channel = only or rng.choice(_CHANNELS)
    made = DrawnPoison("", rng=rng, bend=bend, channel=channel, times=rng.randint(1, 30))
    stream.poisons.append(made)

    def end() -> None:
        stream.poisons[:] = [one for one in stream.poisons if one is not made]

    return [made], end


def _in_feed(stage: Stage, bend: Bend, only: str) -> tuple[list[DrawnPoison], Callable[[], None]]:
    feed, rng = stage.exchange.feed, stage.rng
    channels = frozenset({only}) if only else rng.choice(_FEED)
    poison = DrawnPoison("", rng=rng, bend=bend)
    index = rng.choice((None, *INDICES))
    made = Misprint(index, channels, times=rng.randint(1, 40), poison=poison)
    feed.misprints.append(made)

    def end() -> None:
        feed.misprints[:] = [one for one in feed.misprints if one is not made]

    return [poison], end


_WAYS = {"answer": _in_answers, "frame": _in_frames, "feed": _in_feed}


def _poisoned(way: str, bend: Bend) -> Begin:
    def begin(stage: Stage, _for_s: float) -> Effect:
        poisons, end = _WAYS[way](stage, bend, stage.scenario.only)
        return Effect(lambda: any(one.hits for one in poisons), end)

    return begin


def _unit_mixup(stage: Stage, _for_s: float) -> Effect:
    """Time stamps of the stream and the feed mostly: the lists write their times out."""
    way = stage.scenario.only or stage.rng.choice(("answer", "frame", "frame", "feed", "feed"))
    poisons, end = _WAYS[way](stage, other_unit, "")
    return Effect(lambda: any(one.hits for one in poisons), end)


def _lying_create(manner: Manner, tell: Callable[[Stage], str] | None = None) -> Begin:
    def begin(stage: Stage, _for_s: float) -> Effect:
        faults = stage.exchange.server.faults
        poison = None if tell is None else Poison("order_id", tell(stage))
        made = Injection("batch_create", When.AFTER, manner, times=stage.rng.randint(1, 3), poison=poison)
        wanted = made.times
        faults.injections.append(made)

        def end() -> None:
            faults.injections = [one for one in faults.injections if one is not made]

        return Effect(lambda: made.times < wanted, end)

    return begin


def _unknown_id(stage: Stage) -> str:
    return str(uuid.UUID(int=stage.rng.getrandbits(128), version=4))


def _misprinted_fills(stage: Stage, _for_s: float) -> Effect:
    """The list of fills, read again at once because the stream is gone, tells every one of them wrong."""
    faults, rng = stage.exchange.server.faults, stage.rng
    field, value = rng.choice((("yes_price_dollars", "0.0100"), ("count_fp", "77.00"), ("fee_cost", "9.000000")))
    poison = Poison(field, value)
    made = Injection("fills", When.AFTER, Manner.POISON, times=_FOREVER, poison=poison)
    faults.injections.append(made)
    stage.exchange.server.hub.drop_connections()
    stage.daemon.fills_misprinted_until_s = math.inf

    def end() -> None:
        faults.injections = [one for one in faults.injections if one is not made]
        stage.daemon.fills_misprinted_until_s = stage.now_s + EXPLAINED_S

    return Effect(lambda: poison.hits > 0, end)


LIES: dict[str, Begin] = {
    "poisoned_answer": _poisoned("answer", nonsense),
    "poisoned_frame": _poisoned("frame", nonsense),
    "poisoned_feed": _poisoned("feed", nonsense),
    "unit_mixup": _unit_mixup,
    "create_id_shared": _lying_create(Manner.SHARED_ID),
    "create_id_known": _lying_create(Manner.OTHER_ID),
    "create_id_unknown": _lying_create(Manner.OTHER_ID, _unknown_id),
    "fill_list_misprinted": _misprinted_fills,
}
