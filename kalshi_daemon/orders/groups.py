"""Order groups: the brake at the exchange. Every profile's quotes belong to a group of its own.

Source: docs/reference/venue.md 2.4.

When more contracts of a group trade within a rolling 15 s than its limit, the exchange cancels all of it and refuses
new orders for it. We then halt the profile, across restarts, until a person asks for a reset: whoever trades with us
that fast knows something we do not.

Groups carry no name at the exchange, so the journal says which are ours. They outlive the process and are used again:
deleting a triggered one would be a reset. Ours that serve no profile any more (limit changed, profile disabled) are
deleted. A create whose answer was lost is found again by what the exchange lists now and did not list before it.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

import structlog

from kalshi_daemon.domain.events import OrderGroupUpdate
from kalshi_daemon.domain.order import Order
from kalshi_daemon.ground import readers
from kalshi_daemon.ground.errors import (
    ClockSkewed,
    ConfigurationError,
    MalformedField,
    NotFound,
    PartlyUnreadable,
    RateLimited,
    StateCorrupt,
    VenueRejected,
    VenueUnreachable,
)
from kalshi_daemon.ground.units import CONTRACT, SECOND, Count, Nanos, parse_size
from kalshi_daemon.kalshi.api import OrderApi
from kalshi_daemon.orders.deadlines import EXCHANGE_ERRORS, Backoff
from kalshi_daemon.orders.journal_rows import GroupIntent, GroupRow
from kalshi_daemon.orders.order_store import OrderStore
from kalshi_daemon.settings.model import OrderSettings
from kalshi_daemon.state import GroupHalt

log = structlog.get_logger()

PATIENCE: Final = Nanos(10 * SECOND)
"""How long a group may be missing from the exchange's list before it is believed not to exist: reads lag writes."""
_ALL: Final = "all"
_REASON_MAX: Final = 300
_GONE_KEPT: Final = 100


class Groups:
    """Owns `state.order_groups`. Nothing here ends a halt but `reset`."""

    def __init__(self, store: OrderStore, api: OrderApi, settings: OrderSettings, profiles: Sequence[str]) -> None:
        self._store = store
        self._api = api
        self._limit = Count(settings.group_contracts_limit * CONTRACT)
        self._whole_account = settings.scope == "account"
        self._profiles = tuple(profiles)
        self._shared = store.state.order_groups
        self._shared.required = settings.groups == "required"
        self._pauses = Backoff(1_000, 30_000)
        self._reset_pauses = Backoff(500, 30_000)
        self._unfinished = False
        self._gone: dict[str, None] = {}
        self._told: set[str] = set()
        self._unreadable = ""
        self._resetting: set[str] = set()

    # --- set up and kept ----------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Take over the halts of earlier lives. Raises StateCorrupt."""
        self._shared.halted.update(self._store.journal.halts())
        for profile, halt in self._shared.halted.items():
            self._say_halt("order_group.still_halted", profile, halt)

    async def start(self) -> None:
        """Find or create the groups. Trouble with the exchange is left to `turn`: nothing is quoted meanwhile.

        Raises ConfigurationError when the exchange has no order groups for us, and StateCorrupt.
        """
        if not self._may():
            return
        try:
            await self._set_up()
        except ClockSkewed as skewed:  # says nothing about groups; `turn` asks again
            log.warning("order_group.not_set_up", problem=str(skewed))
        except VenueRejected as refusal:
            problem = f"the exchange refuses order groups ({refusal})"
            fix = 'set orders.groups = "off" to quote without this brake'
            raise ConfigurationError("orders.groups", problem, fix) from refusal
        except StateCorrupt:
            raise
        except EXCHANGE_ERRORS as trouble:
            log.warning("order_group.not_set_up", problem=str(trouble))

    async def turn(self) -> None:
        """Create what is missing, delete what is left over. Never raises for trouble with the exchange."""
        missing = [profile for profile in self._profiles if profile not in self._shared.ids]
        now = self._store.clock.now_ns()
        if not missing and not self._unfinished:
            self._pauses.forget_all_but(set())
            return
        if not self._may() or not self._pauses.due(_ALL, now):
            return
        self._pauses.hold(_ALL, now)
        try:
            await self._set_up()
        except StateCorrupt:
            raise
        except EXCHANGE_ERRORS as problem:
            log.warning("order_group.not_set_up", problem=str(problem), missing=missing)

    def _may(self) -> bool:
        state = self._store.state
        return self._shared.required and state.armed and not state.latch.closed

    async def _set_up(self) -> None:
        listed, unreadable = await self._listed()
        for order_group_id in self._gone:
            listed.pop(order_group_id, None)
        rows, intents = self._store.journal.groups(), self._store.journal.group_intents()
        free = set(listed) - {row.order_group_id for row in rows}
        for profile in self._profiles:
            if profile in self._shared.ids:
                continue
            found = self._known(profile, rows, listed) or self._stray(profile, intents.get(profile), listed, free)
            if found is None and not self._too_early(profile, rows, intents.get(profile), listed):
                found = await self._create(profile, listed)
            if found is not None:
                self._shared.ids[profile] = found
                log.info("order_group.ready", profile=profile, order_group_id=found, contracts=self._limit // CONTRACT)
                self._store.on_change()
        await self._sweep(rows, listed, whole=not unreadable)
        self._tell_strangers(free - set(self._shared.ids.values()))

    async def _listed(self) -> tuple[dict[str, Count | None], list[str]]:
        """Id -> limit of the listed groups, and what is wrong with the others: each costs itself, and is said.

        Raises MalformedField when there are groups and none of them can be read.
        """
        try:
            groups = await self._api.order_groups()
        except PartlyUnreadable as partly:
            groups = [group for group in partly.readable if isinstance(group, dict)]
            unreadable = [record.text for record in partly.unreadable]
        else:
            unreadable = []
        listed = _limits(groups, unreadable)
        if unreadable and not listed:  # nonsense is no empty list
            raise MalformedField("order_groups", unreadable[0], "a list with a group that can be read")
        said = "; ".join(unreadable)[:_REASON_MAX]
        if said and said != self._unreadable:
            log.warning("order_group.unreadable", count=len(unreadable), problem=said)
        self._unreadable = said
        return listed, unreadable

    def _known(self, profile: str, rows: Sequence[GroupRow], listed: dict[str, Count | None]) -> str | None:
        """The newest group of the profile in the journal that the exchange has, with today's limit."""
        return next((r.order_group_id for r in rows if r.profile == profile and self._fits(r, listed)), None)

    def _fits(self, row: GroupRow, listed: dict[str, Count | None]) -> bool:
        name = row.order_group_id
        return name in listed and row.contracts_limit == self._limit and listed[name] in {None, self._limit}

    def _stray(
        self, profile: str, intent: GroupIntent | None, listed: dict[str, Count | None], free: set[str]
    ) -> str | None:
        """A listed group that nobody claims and that must be ours: a create whose answer was lost.

        With scope `account` any unclaimed group of our limit is used: without its journal a daemon would otherwise
        leave three behind each time.
        """
        if intent is not None:
            mine = sorted(n for n in free - intent.listed_before if listed[n] in {None, self._limit})
        elif self._whole_account:
            mine = sorted(n for n in free if listed[n] == self._limit)
        else:
            mine = []
        if not mine:
            return None
        free.discard(mine[0])
        self._record(profile, mine[0])
        log.warning("order_group.taken_over", profile=profile, order_group_id=mine[0], answer_lost=intent is not None)
        return mine[0]

    def _too_early(
        self, profile: str, rows: Sequence[GroupRow], intent: GroupIntent | None, listed: dict[str, Count | None]
    ) -> bool:
        """Whether a group made moments ago may merely not be listed yet; then nothing is created before PATIENCE."""
        unseen = [r.created_ns for r in rows if r.profile == profile and r.order_group_id not in listed]
        asked = [] if intent is None else [intent.at_ns]
        return any(self._is_young(at) for at in (*unseen, *asked))

    def _is_young(self, at_ns: Nanos) -> bool:
        return 0 <= self._store.clock.now_ns() - at_ns < PATIENCE

    async def _create(self, profile: str, listed: dict[str, Count | None]) -> str:
        """Make a group. Raises what the API raises; when the outcome is unknown the intent stays in the journal."""
        journal = self._store.journal
        existing = frozenset(listed) | frozenset(self._shared.ids.values())
        journal.intend_group(GroupIntent(profile, self._store.clock.now_ns(), existing))
        try:
            made = await self._api.create_order_group(self._limit)
        except (VenueUnreachable, RateLimited, VenueRejected):
            journal.forget_group_intent(profile)
            raise
        self._record(profile, made)
        return made

    def _record(self, profile: str, order_group_id: str) -> None:
        self._store.journal.record_group(GroupRow(order_group_id, profile, self._limit, self._store.clock.now_ns()))

    async def _sweep(self, rows: Sequence[GroupRow], listed: dict[str, Count | None], *, whole: bool) -> None:
        """Delete groups of ours that serve no profile; forget those the exchange no longer has.

        Nothing is forgotten by a list that could not be read whole: the group may be the one without a name.
        """
        self._unfinished = False
        used = set(self._shared.ids.values())
        for row in rows:
            name = row.order_group_id
            waiting = row.profile in self._profiles and row.profile not in self._shared.ids
            if name in used or waiting:
                continue
            if name in listed and not await self._delete(row):
                self._unfinished = True
            elif name in listed or (whole and not self._is_young(row.created_ns)):
                self._store.journal.forget_group(name)

    async def _delete(self, row: GroupRow) -> bool:
        try:
            await self._api.delete_order_group(row.order_group_id)
        except NotFound:
            pass
        except EXCHANGE_ERRORS as problem:
            log.warning("order_group.not_deleted", order_group_id=row.order_group_id, problem=str(problem))
            return False
        self._note_gone(row.order_group_id)
        log.info("order_group.deleted", order_group_id=row.order_group_id, profile=row.profile)
        return True

    def _tell_strangers(self, strangers: set[str]) -> None:
        for order_group_id in sorted(strangers - self._told):
            log.warning("order_group.foreign_listed", order_group_id=order_group_id)
        self._told = strangers

    def _note_gone(self, order_group_id: str) -> None:
        """Lists may go on showing it for a moment."""
        self._gone[order_group_id] = None
        while len(self._gone) > _GONE_KEPT:
            del self._gone[next(iter(self._gone))]

    # --- what the exchange says ---------------------------------------------------------------------------------------

    def on_update(self, update: OrderGroupUpdate) -> None:
        """A frame of the stream; groups of others are none of our business. Raises StateCorrupt."""
        profile = next((p for p, name in self._shared.ids.items() if name == update.order_group_id), None)
        if profile is None:
            return
        if update.event_type == "triggered":
            self._halt(profile, f"order group {update.order_group_id} triggered at the exchange")
        elif update.event_type == "deleted":
            self._lost(profile)
        elif update.event_type == "reset" and profile in self._shared.halted and profile not in self._resetting:
            log.warning("order_group.reset_elsewhere", profile=profile, order_group_id=update.order_group_id)

    def on_refused(self, order: Order, error: Exception) -> None:
        """A create was refused: was it for its group? A refusal about groups that we cannot read counts as triggered.

        Raises StateCorrupt.
        """
        if not isinstance(error, VenueRejected):
            return
        words = re.sub(r"[^a-z0-9]", "", f"{error.code} {error.message} {error.details}".lower())
        if "ordergroup" not in words:
            return
        if "notfound" in words:
            self._lost(order.profile)
        else:
            self._halt(order.profile, f"create refused for its order group: {error}")

    def _halt(self, profile: str, reason: str) -> None:
        if profile in self._shared.halted and profile not in self._resetting:
            return  # said once; further frames and refusals of the same trigger change nothing
        halt = GroupHalt(self._store.clock.now_ns(), reason[:_REASON_MAX])
        self._shared.halted[profile] = halt
        self._resetting.discard(profile)  # triggered again while a reset was on the wire: that reset ends nothing
        with self._store.one_commit():
            self._store.journal.halt(profile, halt)
        self._say_halt("order_group.halted", profile, halt)
        self._store.audit({"action": "order_group_halt", "profile": profile, "reason": halt.reason})
        self._store.on_change()

    def _say_halt(self, event: str, profile: str, halt: GroupHalt) -> None:
        log.error(
            event,
            profile=profile,
            reason=halt.reason,
            order_group_id=self._shared.ids.get(profile),
            ends_with=f"kalshi-daemon reset-group {profile}",
        )

    def _lost(self, profile: str) -> None:
        """The exchange does not have the profile's group any more: nothing is quoted until there is another."""
        order_group_id = self._shared.ids.pop(profile, None)
        if order_group_id is None:
            return
        self._note_gone(order_group_id)
        with self._store.one_commit():
            self._store.journal.forget_group(order_group_id)
        log.warning("order_group.lost", profile=profile, order_group_id=order_group_id)
        self._store.on_change()

    # --- what a person says -------------------------------------------------------------------------------------------

    async def reset(self, profile: str, halted_ns: Nanos) -> bool:
        """End the halt that began at `halted_ns`, at the exchange first. Whether the request is dealt with.

        A request about another halt is dropped: nobody has looked at this one yet. False: ask again. Raises
        StateCorrupt.
        """
        halt = self._shared.halted.get(profile)
        if halt is None or halt.at_ns != halted_ns:
            log.warning("order_group.reset_request_outdated", profile=profile, about_ns=halted_ns)
            return True
        if self._shared.required and profile in self._profiles and not await self._reset_at_exchange(profile):
            return False
        if self._shared.halted.get(profile) is not halt:
            return True
        self._store.journal.end_halt(profile)
        del self._shared.halted[profile]
        log.warning("order_group.reset", profile=profile, was=halt.reason)
        self._store.audit({"action": "order_group_reset", "profile": profile, "was": halt.reason})
        self._store.on_change()
        return True

    async def _reset_at_exchange(self, profile: str) -> bool:
        order_group_id, now = self._shared.ids.get(profile), self._store.clock.now_ns()
        if order_group_id is None or not self._may() or not self._reset_pauses.due(profile, now):
            return False
        self._reset_pauses.hold(profile, now)
        self._resetting.add(profile)
        try:
            await self._api.reset_order_group(order_group_id)
        except NotFound:
            self._lost(profile)
            return False
        except EXCHANGE_ERRORS as problem:
            log.warning("order_group.reset_failed", profile=profile, problem=str(problem))
            return False
        finally:
            self._resetting.discard(profile)
        self._reset_pauses.forget_all_but(set())
        return True


def _limits(groups: Sequence[dict[str, Any]], unreadable: list[str]) -> dict[str, Count | None]:
    """Id -> limit of listed groups; None where the list does not tell, or not readably. Complaints go to the list."""
    found: dict[str, Count | None] = {}
    for group in groups:
        try:
            name = readers.identifier(group.get("id"), "order_groups.id")
        except MalformedField as problem:
            unreadable.append(str(problem))
            continue
        limit = group.get("contracts_limit_fp")
        try:
            found[name] = None if limit is None else parse_size(limit, "order_groups.contracts_limit_fp")
        except MalformedField as problem:
            found[name] = None
            unreadable.append(f"{name}: {problem}")
    return found
