"""Every kind of fault alone in a quiet hour with quotes resting: what the daemon did, and how long until all was safe.

The table in docs/fault-matrix.md is what `make fault-matrix` writes; nobody types it.
"""

import multiprocessing
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from kalshi_daemon.ground.tables import Column, Table, markdown
from kalshi_daemon.settings.instruments import HOURLY_SERIES
from tests.simulation.batch import prepare
from tests.simulation.play import Outcome, play
from tests.simulation.safety import (
    AFTER_S,
    PULLED_WITHIN_S,
    TICK_AGE_S_MAX,
    TRANSIT_S,
    USUAL_GAP_S,
    SafetyWatch,
)
from tests.simulation.scenario import Death, Ending, Scenario, Trouble
from tests.simulation.troubles import KINDS, LACKING

PAGE = Path(__file__).resolve().parents[2] / "docs" / "fault-matrix.md"
LEASE_S = 90.0
_AT_S, _FOR_S, _DOWN_S = 100.0, 30.0, 30.0
_SLACK_S = 30.0
_ONCE_S = 1.0
_UNTIL_USED_S = 90.0
"""A fault that waits for a request of the right kind."""
_ANSWERS = ("timeout_", "http_5xx", "dropped_", "garbage_", "field_")
_WAITS = (
    *(*_ANSWERS, "http_429", "post_only_", "cancel_fill_", "create_id_", "poisoned_"),
    *("journal_deleted", "unit_mixup"),
)
_AT_AN_INSTANT = {
    *("stream_drop", "stream_gap", "group_triggered", "stranger_order", "feed_abort", "feed_duplicate"),
    *("feed_reorder", "fee_change", "late_settlement"),
}
_SLOWLY_SEEN_S = 90.0
"""How long a market is withheld: silence is given 20 s, an answer 10 s, upkeep comes every 5 s."""
_LISTED_AGAIN_S = 180.0
"""How long a ladder is on another shard: listings are read every two minutes."""
_FEE_POLL_S = 20.0
"""The shipped 1800 s would only make the watch longer."""
_WRITES = {"create": "batch_create", "cancel": "batch_cancel", "renewal": "amend"}
_PRIVATE, _BOOKS = "fill,user_orders", "orderbook_delta"
_ASKED = {
    "a create": "batch_create",
    "a cancel": "batch_cancel",
    "a renewal": "amend",
    "the list of orders": "orders",
    "the list of fills": "fills",
    "positions": "positions",
    "cash": "balance",
    "the status": "exchange_status",
    "the listing": "events",
    "a book": "orderbook",
}
_CHANNELS = {
    "books": "orderbook_delta",
    "fills": "fill",
    "orders": "user_orders",
}
"""Which field is hit, and by what that is no number, is drawn from the seed."""
_VARIANTS = {
    "field_removed": {
        f"`{lacks}` of a {name}": f"{operation}:{lacks}"
        for name, operation in _WRITES.items()
        for lacks in LACKING[operation]
    },
    "latency": {"of 0.5 s each way": "0.5", "of 3 s each way": "3"},
    "stream_gap": {"in the books": _BOOKS},
    "stream_silence": {
        "of fills and orders": _PRIVATE,
        "of all books": _BOOKS,
        "of all": f"{_PRIVATE},{_BOOKS},market_lifecycle_v2",
    },
    "poisoned_answer": {f"to {name}": operation for name, operation in _ASKED.items()},
    "poisoned_frame": {f"of {name}": channel for name, channel in _CHANNELS.items()},
    "poisoned_feed": {"in values": "V", "in minute bars": "AM"},
    "unit_mixup": {"in frames": "frame", "in the feed": "feed"},
    "skewed_401": {"of a clock ahead": "1", "of a clock behind": "-1"},
    "clock_step": {"of 5 s ahead": "5000", "of 5 s back": "-5000", "of 1 s ahead": "1000", "of 1 s back": "-1000"},
}
"""What exactly is done, in words and for `Scenario.only`, where a drawn one would prove little."""
_TRIES = 12
"""Seeds tried until the fault is felt; what exactly is done, and how often, is drawn from the seed."""
QUIET = "nothing"
_QUIET_SEEDS = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. Seconds of simulated time; `quoting_s` None: not within the play."""

    kind: str
    variant: str
    seed: int
    did: tuple[str, ...]
    wrong: tuple[str, ...]
    safe_s: float
    quoting_s: float | None
    alone_s: float
    violations: tuple[str, ...]


def all_kinds() -> list[str]:
    """The kinds of fault that have a line, and the deaths of the daemon."""
    return [*KINDS, *(ending.value for ending in Ending)]


def rows(kinds: Iterable[str], workers: int, tell: Callable[[Row], None]) -> list[Row]:
    """Play a quiet hour and each kind, and tell each row. Raises AssertionError in the end for kinds never felt."""
    wanted = [(kind, variant) for kind in kinds for variant in variants_of(kind)]
    with multiprocessing.get_context("spawn").Pool(workers, initializer=prepare) as pool:
        quiet = pool.map(_quiet, range(1, _QUIET_SEEDS + 1))
        usual = frozenset().union(*(lines for _row, lines in quiet))
        found = [quiet[0][0]]
        missing = []
        for one in pool.imap(_row_of, [(*one, usual) for one in wanted]):
            if isinstance(one, Row):
                tell(one)
                found.append(one)
            else:
                missing.append(one)
    assert not missing, "; ".join(missing)
    return found


def _row_of(wanted: tuple[str, str, frozenset[tuple[str, str]]]) -> Row | str:
    """A row, or why there is none."""
    try:
        return row(*wanted)
    except AssertionError as problem:
        return str(problem)


def variants_of(kind: str) -> dict[str, str]:
    """Each way in which a kind is shown, in words -> `Scenario.only`: "" is drawn."""
    if kind in _VARIANTS:
        return _VARIANTS[kind]
    return {f"of a {name}": operation for name, operation in _WRITES.items()} if kind.startswith(_ANSWERS) else {"": ""}


def row(kind: str, variant: str = "", usual: Collection[tuple[str, str]] = ()) -> Row:
    """Play one kind; `usual` are the lines a daemon says without any fault."""
    for seed in range(1, _TRIES + 1):
        watch = SafetyWatch()
        outcome = play(seed, scenario=_scenario(kind, variant, seed), onlooker=watch)
        if watch.hit_s is not None:
            return _row(kind, variant, watch, outcome, usual)
    raise AssertionError(f"{kind} {variant} was not felt in {_TRIES} seeds")


def _quiet(seed: int) -> tuple[Row, frozenset[tuple[str, str]]]:
    """A play without any fault, and what a daemon says in it."""
    watch = SafetyWatch(quiet=(_AT_S, _AT_S + _UNTIL_USED_S))
    outcome = play(seed, scenario=_scenario(QUIET, "", seed), onlooker=watch)
    return _row(QUIET, "", watch, outcome, set(watch.said)), frozenset(watch.said)


def _row(kind: str, variant: str, watch: SafetyWatch, outcome: Outcome, usual: Collection[tuple[str, str]]) -> Row:
    said = Counter({line: times for line, times in watch.said.items() if line not in usual})
    return Row(
        kind,
        variant,
        outcome.seed,
        (*told(said), *(f"{n} {what} dropped" for what, n in watch.counted.items())),
        tuple(watch.wrongs),
        watch.safe_after_s,
        watch.quoting_after_s,
        watch.alone_longest_s,
        tuple(outcome.violations),
    )


def _scenario(kind: str, variant: str, seed: int) -> Scenario:
    deaths: tuple[Death, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    lasts = _lasts_s(kind)
    if kind in list(Ending):
        deaths = (Death(_AT_S, Ending(kind), _DOWN_S),)
    elif kind != QUIET:
        troubles = (Trouble(_AT_S, kind, lasts),)
    return Scenario(
        seed=seed,
        hour=12,
        minutes_before=14,
        series=HOURLY_SERIES,
        lease_s=LEASE_S,
        reconcile_every_s=60.0,
        scan_every_s=10.0,
        daily_loss_dollars=50.0,
        latency_s=(0.001, 0.02),
        troubles=troubles,
        deaths=deaths,
        when_resting=True,
        ends_s=None if "settlement" in kind else _AT_S + lasts + AFTER_S + _SLACK_S,
        only="" if kind == QUIET else variants_of(kind)[variant],
        fee_poll_s=_FEE_POLL_S if kind == "fee_change" else 1_800.0,
    )


def _lasts_s(kind: str) -> float:
    if kind in {"market_withheld", "far_shard"}:
        return _SLOWLY_SEEN_S if kind == "market_withheld" else _LISTED_AGAIN_S
    return _UNTIL_USED_S if kind.startswith((*_WAITS, QUIET)) else _ONCE_S if kind in _AT_AN_INSTANT else _FOR_S


# --- words

_SAYS = {
    "order.unknown": "fate of {n} unknown: asked",
    "order.not_found": "asked: {n} never arrived",
    "order.ask_failed": "asked again",
    "order.answer_lost": "{n} shown by the stream before the answer failed",
    "order.refused": "{n} refused",
    "order.not_sent": "{n} not sent",
    "order.cancel_refused": "cancel refused: asked",
    "order.renewal_failed": "renewal failed: tried again",
    "order.listed_cancelled": "cancelled an order that is not ours",
    "order.revived": "an order thought ended is live: cancelled",
    "kalshi_stream.session_ended": "stream lost",
    "kalshi_stream.session_opened": "stream back",
    "feed.session_ended": "feed lost",
    "feed.session_opened": "feed back",
    "kalshi.read_retried": "reads tried again",
    "kalshi.limits_not_read": "limits unread: lowest tier",
    "reconciliation.failed": "books could not be compared",
    "reconciliation.disagreed": "halted: books disagree",
    "reconciliation.agreed": "books agree",
    "settlement.read_failed": "settlements asked again",
    "fee.schedule_changed": "halted the series: fees changed",
    "book.frames_missed": "gap in the numbers seen: snapshots asked for",
    "book.suspected": "REST witness suspected the book: looked again",
    "book.cross_check_agreed": "REST witness agrees: open again",
    "order.edge_lost": "{n} quotes pulled from stale or doubtful books",
    "venue.read_failed": "a read failed",
    "venue.read_recovered": "reads work again",
    "book.snapshots_requested": "books voided: snapshots asked for",
    "book.snapshot_disagreed": "snapshot differed: replaced",
    "book.silent": "silent books given up",
    "order.post_only_rejected": "doubted the book of a post-only reject",
    "book.cross_check_disagreed": "REST witness disagreed: resubscribed",
    "kill_switch.engaged": "kill switch: cancelled everything",
    "kill_switch.released": "kill switch released",
    "daemon.starting": "started again",
    "stop.asked": "went down its ladder",
    "stop.verified": "verified zero",
    "cancel_all.request_failed": "cancel-all failed: repeated",
    "order.foreign_seen": "saw an order that is not ours",
    "order_group.reset_elsewhere": "group reset elsewhere",
    "feed.values_withheld": "values withheld",
    "feed.values_dropped": "withheld values dropped as misprints",
    "feed.item_unreadable": "items of the feed that cannot be read cost themselves",
    "daemon.failed": "ended of it",
    "journal.write_failed": "could not write the way down",
    "journal.not_archived": "nothing archived",
    "log.output_lost": "log file lost: said on the other output",
    "log.output_restored": "log written again",
    "log.output_stalled": "log output stalled: said",
    "log.lines_dropped": "lines dropped: counted",
    "settlement.disputed": "settlement in doubt: counted as it is worse",
    "settlement.corrected": "correction booked beside the first entry",
    "settlement.dispute_ended": "doubt over",
    "calibration.gap_filled": "index minutes missed filled in from history",
    "calibration.gap_without_bars": "index minutes missed not in the history yet",
    "calibration.gap_not_filled": "index minutes missed left as a gap",
}
_SKIPPED = (
    *("cancel_all.accepted", "calendar.", "window.", "stop.accounts_not_compared", "kalshi_stream."),
    *("calibration.memory_loaded", "journal.loaded", "daemon.ready", "order.renewed", "position.settled"),
    *("forecast_record.market_compared", "session.summary"),
)
"""What a daemon says at any start, end or window; the rest is shown by its name when no word is given above."""


def told(said: Counter[tuple[str, str]]) -> list[str]:
    """The log in words, in the order things were first said."""
    pulled = [subject[5:] for event, subject in said if event == "guard.refused" and subject.startswith("pull ")]
    held = [subject[5:] for event, subject in said if event == "guard.refused" and subject.startswith("hold ")]
    lines = []
    if pulled:
        lines.append("quotes pulled: " + ", ".join(f"`{guard}`" for guard in pulled))
    if held:
        lines.append("no new quotes: " + ", ".join(f"`{guard}`" for guard in held))
    for (event, subject), times in said.items():
        if subject and event == "order.cancel_refused":
            lines.append("cancel came too late: asked how it ended")
        elif subject and event == "order.edge_lost":
            lines.append(f"{times} quotes pulled from markets that are not active")
        elif event in _SAYS:
            lines.append(_SAYS[event].format(n=times))
        elif event == "order.resolved":
            lines.append(f"asked: {times} {subject}")
        elif event == "fill.booked" and subject == "list":
            lines.append(f"{times} fills found in the list")
        elif not event.startswith(_SKIPPED) and event != "guard.refused":
            lines.append(f"`{event}`")
    return list(dict.fromkeys(lines))


# --- the page

_HEAD = f"""# Fault matrix

Written by `make fault-matrix`; do not edit. Every kind of fault alone in a quiet hour, with quotes resting when it
begins: both hourly ladders, shipped defaults but for a scan every 10 s (the shipped timer adds up to 180 s to the time
until quoting). A fault lasts {_FOR_S:.0f} s, or one instant, or until the drawn requests were hit; a daemon that died
is back after {_DOWN_S:.0f} s. A market is withheld for {_SLOWLY_SEEN_S:.0f} s, a ladder on another shard for
{_LISTED_AGAIN_S:.0f} s; fees are read every {_FEE_POLL_S:.0f} s
where they change (shipped: 30 min). Seconds are of simulated time from the moment the fault is first felt.

* **safe after**: from then on either nothing of ours rests, or all of this holds: a living daemon that has its journal
  knows every resting order, no order's fate is unknown, its positions are the exchange's, its books show the
  exchange's best prices wherever it quotes, and its index value is at most {TICK_AGE_S_MAX:.0f} s old. A program that
  sees both sides looks four times a second until {AFTER_S:.0f} s after the end; what is wrong for {TRANSIT_S:.0f} s or
  less is on its way and does not count. 0 = never unsafe.
* **what was wrong** until then, and for how long in all.
* **quoting after**: until a quote rests again, when none did within {PULLED_WITHIN_S:.0f} s of the fault or for longer
  than {USUAL_GAP_S:.0f} s while it was on; 0 = it took no quotes away, or not all. Quotes also go because their edge is
  gone: see `{QUIET}`.
* **alone**: longest that an order of ours rested without a living daemon that knows it (lease {LEASE_S:.0f} s).

What the daemon did is read from its own log; what it says in quiet hours anyway is left out. "Dropped" are counts of
frames whose number had passed, of index values that were not newer than the last one, and of changes to books that
waited for their snapshot.

"""
_COLUMNS = (
    *map(Column, ("fault", "what the daemon did", "what was wrong")),
    *(Column(heading, right=True) for heading in ("safe after", "quoting after", "alone")),
)


def page(found: Iterable[Row]) -> str:
    """The whole page."""
    return _HEAD + markdown(Table(_COLUMNS, [cells_of(one) for one in found]))


def cells_of(one: Row) -> tuple[str, ...]:
    """A row of the table, cell by cell."""
    return (
        f"`{one.kind}`{_hits(one)}",
        "; ".join(one.did) or "went on",
        ", ".join(one.wrong) or "-",
        f"{one.safe_s:.1f}",
        _quoting(one),
        f"{one.alone_s:.1f}",
    )


def kinds_on(text: str) -> list[str]:
    """The kinds of a page's table, in order, each once."""
    cells = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    return list(dict.fromkeys(cells))


def _hits(one: Row) -> str:
    return f" {one.variant}" if one.variant else ""


def _quoting(one: Row) -> str:
    return "not by itself" if one.quoting_s is None else f"{one.quoting_s:.1f}"
