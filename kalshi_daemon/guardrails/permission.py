"""May this process send orders at all: armed, kill switch, latch, brakes, and books that agree with the exchange's."""

from dataclasses import dataclass
from typing import ClassVar

from kalshi_daemon.domain.verdict import RefusalEffect, Verdict
from kalshi_daemon.ground.units import Nanos, to_s
from kalshi_daemon.guardrails.guard import Scope, WindowContext, answer, refuse
from kalshi_daemon.state import DaemonState, Latch


@dataclass(frozen=True, slots=True)
class Armed:
    """Refuse unless this process was started to trade. Unarmed, it watches, plans and writes manifests."""

    name: ClassVar[str] = "armed"
    scope: ClassVar[Scope] = Scope.ACCOUNT
    pulls: ClassVar[bool] = False

    def judge_window(self, state: DaemonState, _context: WindowContext, _now: Nanos) -> Verdict:
        return answer(self, "yes" if state.armed else "no", "yes", passed=state.armed, note="start with --arm to trade")


@dataclass(frozen=True, slots=True)
class KillSwitch:
    """Refuse and pull while the kill switch file exists, or until it was first looked at."""

    name: ClassVar[str] = "kill_switch"
    scope: ClassVar[Scope] = Scope.ACCOUNT
    pulls: ClassVar[bool] = True

    def judge_window(self, state: DaemonState, _context: WindowContext, _now: Nanos) -> Verdict:
        found = "present" if state.kill_switch else "absent"
        return answer(
            self,
            found,
            "absent",
            passed=not state.kill_switch,
            closing=RefusalEffect.PULL,
            note="`kalshi-daemon unkill` removes it",
        )


@dataclass(frozen=True, slots=True)
class LatchOpen:
    """Refuse once the stop latch is closed.

    It does not pull: the shutdown sequence owns the cancelling and the rate limit it needs; a second canceller beside
    it would only make it slower.
    """

    name: ClassVar[str] = "latch"
    scope: ClassVar[Scope] = Scope.ACCOUNT
    pulls: ClassVar[bool] = False

    def judge_window(self, state: DaemonState, _context: WindowContext, _now: Nanos) -> Verdict:
        return self.judge(state.latch)

    def judge(self, latch: Latch) -> Verdict:
        """The same of no window in particular."""
        return answer(self, "closed" if latch.closed else "open", "open", passed=not latch.closed, note=latch.reason)


@dataclass(frozen=True, slots=True)
class OrderGroup:
    """Refuse a profile whose order group at the exchange was triggered, or that has none while groups are required.

    Triggered: more contracts of it traded within seconds than its limit. The exchange has cancelled its orders; what we
    still believe to rest is pulled, and nothing but a person's reset ends the halt. Groups do not span shards, and ours
    are on shard 0: while they are required, markets of another shard are not traded.
    """

    name: ClassVar[str] = "order_group"
    scope: ClassVar[Scope] = Scope.PROFILE
    pulls: ClassVar[bool] = True

    def judge_window(self, state: DaemonState, context: WindowContext, _now: Nanos) -> Verdict:
        groups, wanted = state.order_groups, "untriggered"
        halt = groups.halted.get(context.profile)
        if halt is not None:
            note = f"{halt.reason}; `kalshi-daemon reset-group {context.profile}` ends it"
            return refuse(self, "triggered", wanted, closing=RefusalEffect.PULL, note=note)
        if not groups.required:
            return answer(self, "off", wanted, passed=True)
        if context.profile not in groups.ids:
            return refuse(self, None, wanted, note="the profile has no order group at the exchange yet")
        far = state.venue.far_shards(context.window.event_ticker) if state.shard_balances else []
        if far:
            note = (
                f"groups do not span shards: ours are on shard 0, a market of the event is on shard {far[0]}"
                " (orders.groups = off trades there without that brake)"
            )
            return refuse(self, None, wanted, note=note)
        return answer(self, wanted, wanted, passed=True)


@dataclass(frozen=True, slots=True)
class Reconciled:
    """Refuse unless our orders, fills and positions were compared with the exchange's lately, and agreed.

    A known disagreement pulls: every budget below is computed from books that are wrong. A comparison that is merely
    old holds.
    """

    age_max: Nanos
    name: ClassVar[str] = "reconciled"
    scope: ClassVar[Scope] = Scope.ACCOUNT
    pulls: ClassVar[bool] = True

    def judge_window(self, state: DaemonState, _context: WindowContext, now: Nanos) -> Verdict:
        checked = state.reconciliation
        limit = to_s(self.age_max)
        if checked.checked_ns is None:
            return refuse(self, None, limit, "s", note=checked.problem or "not reconciled yet")
        age = Nanos(now - checked.checked_ns)
        if not checked.agreed:
            note = checked.problem or "our books and the exchange's disagree"
            return refuse(self, to_s(age), limit, "s", closing=RefusalEffect.PULL, note=note)
        return answer(self, to_s(age), limit, "s", passed=age <= self.age_max, note="last agreement is too old")
