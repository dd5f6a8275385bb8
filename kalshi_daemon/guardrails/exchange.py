"""What the exchange says about itself: whether it trades, what it charges, and whether a market is open."""

from dataclasses import dataclass
from typing import ClassVar

from kalshi_daemon.domain.contract import MarketStatus
from kalshi_daemon.domain.quote import Quote
from kalshi_daemon.domain.verdict import RefusalEffect, Verdict
from kalshi_daemon.ground.units import Nanos, format_price, to_s
from kalshi_daemon.guardrails.guard import QuoteContext, Scope, WindowContext, answer, refuse
from kalshi_daemon.state import DaemonState


@dataclass(frozen=True, slots=True)
class ExchangeTrading:
    """Refuse unless the exchange said lately that it is up and trading.

    Known to be paused: pull (docs/reference/venue.md 8: cancels still work in a trading pause). Status unknown or old:
    hold, the leases of resting orders run out by themselves. A market's own `exchange_index` says which shard counts
    (null is shard 0). A shard whose status or cash is not known (collateral is per shard) is not traded on, and said
    so.
    """

    age_max: Nanos
    name: ClassVar[str] = "exchange_status"
    scope: ClassVar[Scope] = Scope.WINDOW
    pulls: ClassVar[bool] = True

    def judge_window(self, state: DaemonState, context: WindowContext, now: Nanos) -> Verdict:
        status = state.venue.status
        limit = to_s(self.age_max)
        if status is None:
            return refuse(self, None, limit, "s", note="exchange status never read")
        if not (status.exchange_active and status.trading_active):
            stopped = "exchange" if not status.exchange_active else "trading"
            return refuse(self, f"{stopped} paused", "trading", closing=RefusalEffect.PULL)
        shards = {shard: status.of_shard(shard) for shard in state.venue.far_shards(context.window.event_ticker)}
        for shard, said in shards.items():
            if said is not None and not all(said):
                stopped = "exchange" if not said[0] else "trading"
                return refuse(self, f"{stopped} paused on shard {shard}", "trading", closing=RefusalEffect.PULL)
        for shard, said in shards.items():
            if said is not None and shard in state.shard_balances:
                continue
            unread = "status" if said is None else "cash"
            note = f"a market of the event is on shard {shard}, whose {unread} is not read"
            return refuse(self, f"shard {shard}", "shard 0", note=note)
        age = Nanos(now - status.read_ns)
        return answer(self, to_s(age), limit, "s", passed=age <= self.age_max, note="exchange status is too old")


@dataclass(frozen=True, slots=True)
class FeesKnown:
    """Refuse while we cannot say what a fill costs: no schedule, an old one, an alarm, or an override of the event.

    The old index half rate ended without the daemon being told by anything but this reading
    (docs/reference/venue.md 7.1).
    """

    age_max: Nanos
    name: ClassVar[str] = "fee_schedule"
    scope: ClassVar[Scope] = Scope.WINDOW
    pulls: ClassVar[bool] = True

    def judge_window(self, state: DaemonState, context: WindowContext, now: Nanos) -> Verdict:
        series, event = context.window.series.ticker, context.window.event_ticker
        limit = to_s(self.age_max)
        alarm = state.venue.fee_alarm.get(series) or state.venue.event_fee_override.get(event)
        if alarm is not None:
            return refuse(self, "changed", "unchanged", closing=RefusalEffect.PULL, note=alarm)
        schedule = state.venue.fees.get(series)
        if schedule is None:
            return refuse(self, None, limit, "s", note=f"fee schedule of {series} unknown")
        age = Nanos(now - schedule.read_ns)
        return answer(self, to_s(age), limit, "s", passed=age <= self.age_max, note="fee schedule is too old")


@dataclass(frozen=True, slots=True)
class MarketOpen:
    """Refuse unless the quote's market is listed, of the window's event, active and inside its own trading hours."""

    name: ClassVar[str] = "market_status"
    pulls: ClassVar[bool] = False

    def judge_quote(self, state: DaemonState, quote: Quote, context: QuoteContext, now: Nanos) -> Verdict:
        window = context.plan.window
        market = state.venue.markets.get(quote.market_ticker)
        wanted = MarketStatus.ACTIVE.value
        if market is None:
            return refuse(self, None, wanted, note="market not listed")
        if quote.window != window or market.contract.event_ticker != window.event_ticker:
            # The window guards answered for the plan's window only; a quote of another one was never judged.
            return refuse(self, market.contract.event_ticker, window.event_ticker, note="another event")
        if market.status is not MarketStatus.ACTIVE:
            return refuse(self, market.status.value, wanted)
        inside = market.open_ns <= now < min(market.close_ns, window.target_ns)
        return answer(self, wanted if inside else "outside its hours", wanted, passed=inside)


@dataclass(frozen=True, slots=True)
class OnGrid:
    """Refuse a price off the market's own grid (half cents were sent: docs/reference/predecessor.md 9.10)."""

    name: ClassVar[str] = "price_grid"
    pulls: ClassVar[bool] = False

    def judge_quote(self, state: DaemonState, quote: Quote, _context: QuoteContext, _now: Nanos) -> Verdict:
        market = state.venue.markets.get(quote.market_ticker)
        if market is None:
            return refuse(self, None, "on the grid", note="market not listed")
        return answer(
            self,
            format_price(quote.price),
            "on the grid",
            "dollars",
            passed=market.grid.contains(quote.price),
        )
