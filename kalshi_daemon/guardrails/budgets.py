"""How much may be lost: per strike, per day and week over everything, and whether the cash is there."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from kalshi_daemon.domain.events import Balance
from kalshi_daemon.domain.index import Cadence
from kalshi_daemon.domain.quote import Quote
from kalshi_daemon.domain.verdict import RefusalEffect, Verdict
from kalshi_daemon.ground.units import Dollars, Nanos
from kalshi_daemon.guardrails.guard import QuoteContext, Scope, WindowContext, answer, in_dollars, refuse
from kalshi_daemon.state import DaemonState


@dataclass(frozen=True, slots=True)
class StrikeLoss:
    """Refuse a quote after which one strike alone could lose more than the position-and-loss (PAL) limit.

    Position, live orders of every profile, accepted quotes and this one, all counted as filled where that is worse.
    """

    most: Mapping[Cadence, Dollars]
    name: ClassVar[str] = "pal"
    pulls: ClassVar[bool] = False

    def judge_quote(self, state: DaemonState, quote: Quote, context: QuoteContext, _now: Nanos) -> Verdict:
        most = self.most[context.plan.window.series.cadence]
        if state.reconciliation.checked_ns is None:
            return refuse(self, None, in_dollars(most), "dollars", note="our books were never compared")
        loss = context.exposure().market_loss(quote.market_ticker)
        return answer(
            self,
            in_dollars(loss),
            in_dollars(most),
            "dollars",
            passed=loss <= most,
            note="one strike could lose too much",
        )


class Span(Enum):
    """Which realised loss a budget starts from."""

    DAY = "today"
    WEEK = "this week"


@dataclass(frozen=True, slots=True)
class LossBudget:
    """Realised loss plus the exact worst case of everything held, live, accepted and proposed, against a limit.

    The predecessor's drawdown was fed with expected profits and never saw a fill (docs/reference/predecessor.md 9.14),
    and its budgets were reset at each scan (docs/reference/predecessor.md 9.13). Here gains do not enlarge the budget,
    every profile and series counts once, and the amount already at risk can demand a pull. Corrections of settlements
    count on the day they were booked; what was paid by a market in dispute counts as if it had been taken back today.
    """

    most: Dollars
    span: ClassVar[Span]
    name: ClassVar[str]
    scope: ClassVar[Scope] = Scope.ACCOUNT
    pulls: ClassVar[bool] = True

    def judge_window(self, state: DaemonState, context: WindowContext, _now: Nanos) -> Verdict:
        return self._judge(state, context, RefusalEffect.PULL)

    def judge_quote(self, state: DaemonState, _quote: Quote, context: QuoteContext, _now: Nanos) -> Verdict:
        # One quote too many does not condemn the ones that rest within the budget.
        return self._judge(state, context, RefusalEffect.HOLD)

    def _judge(self, state: DaemonState, context: WindowContext | QuoteContext, closing: RefusalEffect) -> Verdict:
        limit = in_dollars(self.most)
        if state.reconciliation.checked_ns is None:
            return refuse(self, None, limit, "dollars", note="our books were never compared with the exchange's")
        lost = self.lost(state)
        loss = Dollars(lost + context.exposure().worst_loss)
        note = f"{in_dollars(lost):.4f} lost {self.span.value}, the rest is at risk"
        if state.ledger.disputed:
            note += f"; {in_dollars(state.ledger.disputed):.4f} of it paid and in dispute"
        return answer(self, in_dollars(loss), limit, "dollars", passed=loss <= self.most, closing=closing, note=note)

    def lost(self, state: DaemonState) -> Dollars:
        """What the span has cost already, >= 0: realised, and what was paid by markets in dispute."""
        ledger = state.ledger
        realized = ledger.realized_today if self.span is Span.DAY else ledger.realized_week
        lost = max(0, ledger.disputed - realized)
        return Dollars(lost)


@dataclass(frozen=True, slots=True)
class DailyLoss(LossBudget):
    """The budget of the New York day."""

    span: ClassVar[Span] = Span.DAY
    name: ClassVar[str] = "daily_loss"


@dataclass(frozen=True, slots=True)
class WeeklyLoss(LossBudget):
    """The budget of the New York week, from Monday."""

    span: ClassVar[Span] = Span.WEEK
    name: ClassVar[str] = "weekly_loss"


@dataclass(frozen=True, slots=True)
class CashCovers:
    """Refuse unless the cash, lately read, covers the collateral of all live orders and this one, above the floor.

    The venue's figure may already leave out what resting orders reserve; taking them out again errs on the safe side.
    What a market in dispute has paid may be taken back: it counts as gone. Collateral is per shard: the poorest shard
    that the event's markets are on decides, against the collateral of all orders.
    """

    floor: Dollars
    age_max: Nanos
    name: ClassVar[str] = "balance"
    scope: ClassVar[Scope] = Scope.WINDOW
    pulls: ClassVar[bool] = False

    def judge_window(self, state: DaemonState, context: WindowContext, now: Nanos) -> Verdict:
        return self._judge(state, context.window.event_ticker, context, now)

    def judge_quote(self, state: DaemonState, _quote: Quote, context: QuoteContext, now: Nanos) -> Verdict:
        return self._judge(state, context.plan.window.event_ticker, context, now)

    def _judge(
        self, state: DaemonState, event_ticker: str, context: WindowContext | QuoteContext, now: Nanos
    ) -> Verdict:
        floor = in_dollars(self.floor)
        known = self._balances(state, event_ticker)
        for balance, where in known:
            if balance is None:
                return refuse(self, None, floor, "dollars left", note=f"balance never read{where}")
            if now - balance.read_ns > self.age_max:
                return refuse(self, None, floor, "dollars left", note=f"balance{where} is too old")
        cash, where = min((balance.cash, where) for balance, where in known if balance is not None)
        left = Dollars(cash - state.ledger.disputed - context.exposure().collateral)
        note = f"not enough cash{where}"
        return answer(self, in_dollars(left), floor, "dollars left", passed=left >= self.floor, note=note)

    @staticmethod
    def _balances(state: DaemonState, event_ticker: str) -> list[tuple[Balance | None, str]]:
        """The balance of each shard that counts for an event, and where it is when that is not shard 0."""
        found: list[tuple[Balance | None, str]] = [(state.balance, "")]
        if state.shard_balances:  # else markets of another shard are not traded on (`exchange_status`)
            shards = state.venue.far_shards(event_ticker)
            found += [(state.shard_balances.get(shard), f" on shard {shard}") for shard in shards]
        return found
