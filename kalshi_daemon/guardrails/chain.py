"""All guards in their fixed order, asked in full, closed on any failure.

Every guard is always asked, also after one refused: the trader sees everything that is closed. A guard that raises is a
refusal with its name and the error, never an exception to the caller and never a pass.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from types import MappingProxyType
from typing import Final

from kalshi_daemon.domain.index import Cadence
from kalshi_daemon.domain.quote import Profile, Quote, QuotePlan
from kalshi_daemon.domain.verdict import JudgedQuote, Judgement, RefusalEffect, Verdict
from kalshi_daemon.domain.window import Window
from kalshi_daemon.ground.units import HOUR, MEGABYTE, Nanos, dollars_from_float, from_ms, from_s
from kalshi_daemon.guardrails.budgets import CashCovers, DailyLoss, StrikeLoss, WeeklyLoss
from kalshi_daemon.guardrails.disk import DiskFree
from kalshi_daemon.guardrails.exchange import ExchangeTrading, FeesKnown, MarketOpen, OnGrid
from kalshi_daemon.guardrails.exposure import Exposure, ExposureMemo
from kalshi_daemon.guardrails.guard import (
    Guard,
    QuoteContext,
    QuoteGuard,
    ReleaseLookup,
    Scope,
    SessionLookup,
    WindowContext,
    WindowGuard,
)
from kalshi_daemon.guardrails.joint_tail import JointTail
from kalshi_daemon.guardrails.market_data import FeedAge, FeedMoving, IndexPlausible, MacroFresh, ModelHealthy
from kalshi_daemon.guardrails.permission import Armed, KillSwitch, LatchOpen, OrderGroup, Reconciled
from kalshi_daemon.guardrails.quote_rules import BookSane, ImpactCap, LotsPerQuote, MakerOnly, MinEv, UniqueBins
from kalshi_daemon.guardrails.record import ForecastRecord, MarketRecord
from kalshi_daemon.guardrails.timing import ClocksAgree, InSession, WindowOpen
from kalshi_daemon.settings.model import RetentionSettings, Settings
from kalshi_daemon.state import DaemonState

_SCOPES: Final = (Scope.ACCOUNT, Scope.INDEX, Scope.WINDOW, Scope.PROFILE)


@dataclass(frozen=True, slots=True)
class Chain:
    """The guards in order. The state is only read, and equal states get equal answers."""

    window_guards: tuple[WindowGuard, ...]
    quote_guards: tuple[QuoteGuard, ...]
    memo: ExposureMemo = field(default_factory=ExposureMemo, repr=False, compare=False)

    resting_guards: tuple[WindowGuard, ...] = field(init=False, repr=False, compare=False)
    """The window guards that may pull."""
    scope_ranks: Mapping[str, int] = field(init=False, repr=False, compare=False)
    """By name of a window guard: the place of its scope in `_SCOPES`. Enums hash slowly, and this is asked a lot."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "resting_guards", tuple(guard for guard in self.window_guards if guard.pulls))
        object.__setattr__(self, "scope_ranks", {one.name: _SCOPES.index(one.scope) for one in self.window_guards})

    @property
    def names(self) -> tuple[str, ...]:
        """Every guard once, in order; one that judges both windows and quotes appears where windows are judged."""
        return tuple(dict.fromkeys(guard.name for guard in (*self.window_guards, *self.quote_guards)))

    def judge_window(self, state: DaemonState, profile: Profile, window: Window, now: Nanos) -> tuple[Verdict, ...]:
        """What every window guard says, in order.

        Raises AssertionError for a window of a series the profile does not quote: a bug of the caller.
        """
        assert window.series.ticker in profile.series, f"{profile.name} does not quote {window.series.ticker}"
        return self.at(state, now).judge(self.window_guards, profile.name, window)

    def at(self, state: DaemonState, now: Nanos) -> "Instant":
        """The guards at one instant, for as long as the state stands: nothing may be awaited in between."""
        return Instant(self, state, now)

    def judge_resting(self, state: DaemonState, profile: str, window: Window, now: Nanos) -> tuple[Verdict, ...]:
        """What `Instant.judge_resting` says."""
        return self.at(state, now).judge_resting(profile, window)

    def judge_plan(self, state: DaemonState, plan: QuotePlan, now: Nanos) -> Judgement:
        """Judge the plan's window, then each quote in order, counting the quotes accepted before it.

        While the window is closed the quotes are still judged, each alone, so that `why` can show their numbers.
        """
        plan_verdicts = self.judge_window(state, plan.profile, plan.window, now)
        window_open = all(verdict.allows for verdict in plan_verdicts)
        judged: list[JudgedQuote] = []
        accepted: tuple[Quote, ...] = ()
        for quote in plan.quotes:
            verdicts = self._judge_quote(state, plan, quote, accepted, now)
            fine = window_open and all(verdict.allows for verdict in verdicts)
            judged.append(JudgedQuote(quote, verdicts, fine))
            if fine:
                accepted = (*accepted, quote)
        return Judgement(plan_verdicts, tuple(judged), accepted)

    def _judge_quote(
        self, state: DaemonState, plan: QuotePlan, quote: Quote, accepted: tuple[Quote, ...], now: Nanos
    ) -> tuple[Verdict, ...]:
        def exposure() -> Exposure:
            return self.memo.of(state).with_quotes((*accepted, quote), state.venue.markets)

        context = QuoteContext(plan, accepted, cache(exposure))
        return tuple(
            _protected(guard, partial(guard.judge_quote, state, quote, context, now)) for guard in self.quote_guards
        )


class Instant:
    """The window guards at one instant. What a guard says of its scope it is asked once, for all windows and profiles.

    A look at resting quotes asks of each window and each profile in it, and most guards know neither.
    """

    def __init__(self, chain: Chain, state: DaemonState, now: Nanos) -> None:
        self._chain = chain
        self._state = state
        self.now = now
        self._exposure = partial(chain.memo.of, state)
        self._said: dict[tuple[str, str], Verdict] = {}

    def judge_resting(self, profile: str, window: Window) -> tuple[Verdict, ...]:
        """What the guards that may pull say about a profile's resting quotes, in order.

        Pull when one does not allow and its closing is PULL. `profile` is the name an order carries.
        """
        return self.judge(self._chain.resting_guards, profile, window)

    def window_open(self, profile: Profile, window: Window, ask_first: Sequence[str] = ()) -> bool:
        """Whether no window guard refuses. The first refusal ends it; guards named in `ask_first` are asked first."""
        assert window.series.ticker in profile.series, f"{profile.name} does not quote {window.series.ticker}"
        context = WindowContext(window, self._exposure, profile.name)
        shared = _shared_by(context)
        ordered = sorted(self._chain.window_guards, key=lambda guard: guard.name not in ask_first)
        return all(self._verdict(guard, context, shared).allows for guard in ordered)

    def judge(self, guards: Sequence[WindowGuard], profile: str, window: Window) -> tuple[Verdict, ...]:
        """What these guards say about a window, in order."""
        context = WindowContext(window, self._exposure, profile)
        shared = _shared_by(context)
        return tuple([self._verdict(guard, context, shared) for guard in guards])

    def _verdict(self, guard: WindowGuard, context: WindowContext, shared: tuple[str, ...]) -> Verdict:
        key = guard.name, shared[self._chain.scope_ranks[guard.name]]
        said = self._said.get(key)
        if said is None:
            said = _protected(guard, partial(guard.judge_window, self._state, context, self.now))
            self._said[key] = said
        return said


def _shared_by(context: WindowContext) -> tuple[str, str, str, str]:
    """By place in `_SCOPES`: names all that share an answer."""
    event_ticker = context.window.event_ticker
    return "", context.window.series.index, event_ticker, f"{context.profile} {event_ticker}"


def build_chain(settings: Settings, *, session_of: SessionLookup, release_near: ReleaseLookup) -> Chain:
    """The chain of these settings. The order is part of the product: docs/guards.md lists it and a test compares."""
    guards = settings.guards
    skew_max = from_ms(guards.clock_skew_ms_max)
    daily = DailyLoss(dollars_from_float(guards.daily_loss_dollars))
    weekly = WeeklyLoss(dollars_from_float(guards.weekly_loss_dollars))
    balance = CashCovers(dollars_from_float(guards.balance_floor_dollars), from_s(guards.balance_age_s_max))
    return Chain(
        window_guards=(
            Armed(),
            KillSwitch(),
            LatchOpen(),
            OrderGroup(),
            _disk(settings.retention),
            ExchangeTrading(from_s(guards.exchange_status_age_s_max)),
            WindowOpen(),
            InSession(session_of),
            FeedAge(
                soft=from_ms(guards.feed_age_soft_ms),
                pull=from_ms(guards.feed_age_pull_ms),
                final_minute=from_ms(guards.feed_age_final_minute_ms),
                skew_max=skew_max,
            ),
            IndexPlausible(),
            FeedMoving(from_ms(guards.feed_age_pull_ms)),
            ClocksAgree(skew_max),
            _model_healthy(settings),
            ForecastRecord(),
            MarketRecord(),
            _macro(settings, skew_max, release_near),
            Reconciled(from_s(guards.reconciliation_age_s_max)),
            FeesKnown(from_s(guards.fee_age_s_max)),
            daily,
            weekly,
            balance,
        ),
        quote_guards=(
            MarketOpen(),
            OnGrid(),
            BookSane(from_s(guards.book_age_s_max), from_ms(guards.book_lag_ms_max)),
            MakerOnly(),
            LotsPerQuote(guards.lots_per_quote_max),
            UniqueBins(),
            MinEv(),
            ImpactCap(),
            StrikeLoss(
                MappingProxyType(
                    {
                        Cadence.HOURLY: dollars_from_float(guards.pal_hourly_dollars),
                        Cadence.CLOSE: dollars_from_float(guards.pal_close_dollars),
                    }
                )
            ),
            JointTail(dollars_from_float(guards.joint_tail_dollars)),
            daily,
            weekly,
            balance,
        ),
    )


def _model_healthy(settings: Settings) -> ModelHealthy:
    guards = settings.guards
    ratio = guards.sigma_books_ratio_min, guards.sigma_books_ratio_max
    return ModelHealthy(from_s(guards.calibration_age_s_max), ratio, settings.pricing)


def _disk(limits: RetentionSettings) -> DiskFree:
    return DiskFree(
        limits.disk_free_hard_megabytes_min * MEGABYTE,
        limits.disk_free_hard_inodes_min,
        from_s(limits.disk_free_age_s_max),
    )


def _macro(settings: Settings, skew_max: Nanos, release_near: ReleaseLookup) -> MacroFresh:
    macro = settings.macro
    return MacroFresh(
        age_max=tuple((name, Nanos(round(feed.age_hours_max * HOUR))) for name, feed in sorted(macro.feeds.items())),
        blackout_before=from_s(macro.blackout_before_s),
        blackout_after=from_s(macro.blackout_after_s),
        skew_max=skew_max,
        release_near=release_near,
    )


def _protected(guard: Guard, ask: Callable[[], Verdict]) -> Verdict:
    """The guard's verdict, or a refusal that says how the guard failed."""
    try:
        verdict = ask()
    except Exception as error:  # noqa: BLE001 - whatever goes wrong inside a guard closes it
        closing = RefusalEffect.PULL if guard.pulls else RefusalEffect.HOLD
        note = f"guard failed: {type(error).__name__}: {error}"
        return Verdict(guard.name, passed=False, measured=None, limit=None, closing=closing, note=note)
    if verdict.guard != guard.name:
        return Verdict(guard.name, passed=False, measured=None, limit=None, note=f"answered as {verdict.guard!r}")
    return verdict
