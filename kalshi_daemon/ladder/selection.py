"""The quotes of one profile in one window: which markets, which side, what price, what stays and what goes.

One pure function, `propose`, from a frozen picture of the moment to a QuotePlan; `lost_edge` is the shorter question
asked between scans. A market that may not be quoted (not active, no forecast, no believable book, a jump, a tail) holds
no quotes either: what rests there is cancelled with the same reason.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from kalshi_daemon.domain.book_view import BookView
from kalshi_daemon.domain.contract import Contract, FeeSchedule, Market, StrikeType
from kalshi_daemon.domain.order import Order, Status
from kalshi_daemon.domain.quote import Look, Profile, Quote, QuotePlan, Side
from kalshi_daemon.domain.window import Window
from kalshi_daemon.ground.units import CONTRACT, PRICE_ONE, Count, Nanos, Price, lots, to_s
from kalshi_daemon.ladder import outcomes
from kalshi_daemon.ladder.fair import believable_mid, blend, edge, required_edge
from kalshi_daemon.ladder.fees import maker_fee
from kalshi_daemon.ladder.ideal import Needs, SidePrice, best_price, certain_loss, tick_at
from kalshi_daemon.settings.model import PricingSettings

KEEP_DISTANCE_SHARE: Final = 0.35
"""A resting price within this share of the required edge (at least one tick) of the ideal is left alone: moving it
would cost its place in the queue and a cancel and a create of the rate limit."""

Position = tuple[Contract, Side, Price]


@dataclass(frozen=True, slots=True)
class ScanInputs:
    """Everything one scan looks at."""

    plan_id: str
    trigger: str
    now_ns: Nanos
    profile: Profile
    window: Window
    markets: tuple[Market, ...]
    """The window's listed markets that were parsed."""
    model: Mapping[str, float]
    """P(YES pays) of the forecast by market ticker; a missing market is not quoted."""
    forecast_level: float
    forecast_sigma: float
    calibration_error: float
    views: Mapping[str, BookView]
    """Books without any order of ours; a missing market is not quoted."""
    last_mids: Mapping[str, Price]
    """Mid of each market at this profile's previous look; absent at the first."""
    own: tuple[Order, ...]
    """Every order of ours that may still trade, of every profile and series."""
    fees: FeeSchedule
    pricing: PricingSettings
    tick_age_ns: Nanos
    """now minus the index tick's own time."""
    book_age_ns_max: Nanos


@dataclass(frozen=True, slots=True)
class Appraisal:
    """What we think a contract is worth now and the edge a quote on it must have."""

    fair: float
    model_fair: float
    required: float


@dataclass(frozen=True, slots=True)
class _Candidate:
    market: Market
    appraisal: Appraisal
    choice: SidePrice


def propose(inputs: ScanInputs) -> QuotePlan:
    """The plan of one scan: new quotes (best first), orders that stay, orders to cancel, and one Look per market.

    Never more than `bins` unique markets over kept and new, one quote per market, at most one Look per market. Ranked
    by `SidePrice.score`, ties nearer the money, then by ticker, so that equal inputs give equal plans.
    """
    return Scan(inputs).run()


def appraise(
    market: Market,
    model_fair: float,
    view: BookView,
    *,
    pricing: PricingSettings,
    tau_ns: Nanos,
    tick_age_ns: Nanos,
    calibration_error: float,
) -> Appraisal:
    """Fair value of a contract (model blended with a believable mid) and its required edge.

    tau_ns: until the fixing; tick_age_ns: age of the index value by its own time. `model_fair` and
    `calibration_error` are probabilities.
    """
    fair = blend(model_fair, believable_mid(view, pricing), pricing.book_weight)
    required = required_edge(
        fair,
        between=market.contract.strike_type is StrikeType.BETWEEN,
        tau_s=to_s(tau_ns),
        delay_s=to_s(tick_age_ns) + pricing.order_delay_s,
        calibration_error=calibration_error,
        pricing=pricing,
    )
    return Appraisal(fair, model_fair, required)


def lost_edge(order: Order, appraisal: Appraisal, fees: FeeSchedule, keep_edge_share: float) -> str:
    """Why a resting order no longer pays for its risk, or "".

    `edge_lost`: less than `keep_edge_share` of the required edge is left against the blended fair.
    `model_disagrees`: the forecast alone sees no profit in a fill.
    """
    count = order.leaves
    if count <= 0:
        return ""
    fee, contracts = maker_fee(fees, order.price, count), count / CONTRACT
    if math.isinf(appraisal.required) or edge(order.side, order.price, appraisal.fair, fee, contracts) < (
        keep_edge_share * appraisal.required
    ):
        return "edge_lost"
    if edge(order.side, order.price, appraisal.model_fair, fee, contracts) <= 0.0:
        return "model_disagrees"
    return ""


def mids(plan: QuotePlan) -> dict[tuple[str, str], Price]:
    """(profile, market ticker) -> the others' mid, for every two-sided market this scan looked at."""
    return {
        (plan.profile.name, look.market_ticker): Price((look.best_bid + look.best_ask) // 2)
        for look in plan.looks
        if look.best_bid is not None and look.best_ask is not None
    }


class Scan:
    """The working state of one `propose`; another way to settle and to choose is a subclass."""

    def __init__(self, inputs: ScanInputs) -> None:
        self.inputs = inputs
        self.count: Count = lots(inputs.profile.lots)
        self.mine: dict[str, list[Order]] = {}
        self.kept_markets: set[str] = set()
        for order in inputs.own:
            here = order.profile == inputs.profile.name and order.event_ticker == inputs.window.event_ticker
            if here and order.status.live:
                self.mine.setdefault(order.market_ticker, []).append(order)
                if order.status is not Status.RESTING:
                    self.kept_markets.add(order.market_ticker)  # on its way: its bin is taken whatever we decide
        self.contracts = {market.ticker: market.contract for market in inputs.markets}
        self.keep: list[str] = []
        self.cancel: list[tuple[str, str]] = []
        self.candidates: list[_Candidate] = []
        self.quotes: list[Quote] = []
        self.looks: dict[str, Look] = {}

    def run(self) -> QuotePlan:
        """Look at every market, choose, and say what came of it."""
        for market in self.inputs.markets:
            self.look_at(market)
        self.cancel_unlisted()
        self.choose()
        return self.plan()

    def look_at(self, market: Market) -> None:
        """Judge one market: what rests in it, and whether a new quote would be worth it."""
        found = self._appraised(market)
        if found is None:
            return
        view, appraisal, mine = found
        if self._settle_resting(market, view, appraisal, mine):
            self._note(market.ticker, view, appraisal, "kept")
            self.kept_markets.add(market.ticker)
            return
        self._consider(market, view, appraisal)

    def _appraised(self, market: Market) -> tuple[BookView, Appraisal, list[Order]] | None:
        """The market's book, what it is worth, and our orders in it; None, with those pulled, when it is not quoted."""
        view = self.inputs.views.get(market.ticker)
        model = self.inputs.model.get(market.ticker)
        mine = self.mine.pop(market.ticker, [])
        reason, detail = self._unquotable(market, model, view)
        if reason or model is None or view is None:
            self._note(market.ticker, view, None, reason, detail, model=model)
            self._pull(mine, reason)
            return None
        appraisal = appraise(
            market,
            model,
            view,
            pricing=self.inputs.pricing,
            tau_ns=Nanos(self.inputs.window.target_ns - self.inputs.now_ns),
            tick_age_ns=self.inputs.tick_age_ns,
            calibration_error=self.inputs.calibration_error,
        )
        tail = self.inputs.pricing.tail_probability
        if not (tail <= appraisal.fair <= 1.0 - tail and tail <= model <= 1.0 - tail):
            self._note(market.ticker, view, appraisal, "tail", outcomes.tail(appraisal.fair, model, tail))
            self._pull(mine, "tail")
            return None
        return view, appraisal, mine

    def cancel_unlisted(self) -> None:
        """What rests in a market of this window that is no longer listed cannot be judged."""
        for ticker in sorted(self.mine):
            self._pull(self.mine[ticker], "not_listed")

    def choose(self) -> None:
        """Fill the free bins with the best candidates that do not lock in a loss with what we already offer."""
        offered: list[tuple[str, Position]] = [
            (order.market_ticker, (self.contracts[order.market_ticker], order.side, order.price))
            for order in self.inputs.own
            if order.status.live and order.market_ticker in self.contracts
        ]
        ranked = sorted(
            self.candidates,
            key=lambda one: (-one.choice.score, abs(one.appraisal.fair - 0.5), one.market.ticker),
        )
        scores: list[int] = []
        for one in ranked:
            price = one.choice.price
            assert price is not None, "a candidate has a price"
            offer: Position = (one.market.contract, one.choice.side, price)
            bins, kept = self.inputs.profile.bins, len(self.kept_markets)
            against = next((there for there in offered if certain_loss(offer, there[1])), None)
            if kept + len(self.quotes) >= bins:
                why = outcomes.crowded_out(one.choice.score, scores, bins, kept)
                self._outcome(one.market.ticker, "not_in_top_bins", why)
            elif against is not None:
                other, (_contract, side, at) = against
                why = outcomes.loses_with(price, one.choice.side, other, side, at)
                self._outcome(one.market.ticker, "certain_loss", why)
            else:
                offered.append((one.market.ticker, offer))
                scores.append(one.choice.score)
                self.quotes.append(self._quote(one.market, one.appraisal, one.choice, one.appraisal.required))
                self._outcome(one.market.ticker, "quoted")

    def plan(self) -> QuotePlan:
        """The finished plan; looks are in the order of the markets given."""
        inputs = self.inputs
        return QuotePlan(
            plan_id=inputs.plan_id,
            profile=inputs.profile,
            window=inputs.window,
            made_ns=inputs.now_ns,
            quotes=tuple(self.quotes),
            keep=tuple(self.keep),
            cancel=tuple(self.cancel),
            looks=tuple(self.looks.values()),
            forecast_level=inputs.forecast_level,
            forecast_sigma=inputs.forecast_sigma,
            trigger=inputs.trigger,
        )

    def _unquotable(self, market: Market, model: float | None, view: BookView | None) -> tuple[str, str]:
        """Why the market may not be quoted at all, with its numbers, or two empty texts."""
        now = self.inputs.now_ns
        if detail := outcomes.inactive(market, now):
            return "market_inactive", detail
        if model is None or not 0.0 <= model <= 1.0:
            return "no_forecast", f"probability {'none' if model is None else model}, needed 0 to 1"
        detail = outcomes.stale(view, now, self.inputs.book_age_ns_max)
        if view is None or detail:
            return "stale_book", detail
        mid = view.mid
        if mid is None:
            # An empty or half-empty book has no price, least of all 0.50.
            return "one_sided", outcomes.one_sided(view)
        last = self.inputs.last_mids.get(market.ticker)
        if last is not None and abs(mid - last) > self.inputs.profile.impact_cap:
            return "mid_jump", outcomes.jump(mid, last, self.inputs.profile.impact_cap)
        return "", ""

    def _pull(self, orders: Sequence[Order], reason: str) -> None:
        """Cancel what rests; what is still in flight or unknown is the order room's to resolve, and stays counted."""
        for order in orders:
            if order.status is Status.RESTING:
                self.cancel.append((order.client_order_id, reason))
            else:
                self._keep(order)

    def _keep(self, order: Order) -> None:
        self.keep.append(order.client_order_id)
        self.kept_markets.add(order.market_ticker)

    def _settle_resting(self, market: Market, view: BookView, appraisal: Appraisal, mine: Sequence[Order]) -> bool:
        """Keep at most one good order of ours and pull the others; True when the market is taken.

        Orders on their way (in or out, or unknown) take the market: a second quote beside one of them could double the
        position.
        """
        resting = [order for order in mine if order.status is Status.RESTING]
        for order in mine:
            if order.status is not Status.RESTING:
                self._keep(order)
        taken = market.ticker in self.kept_markets or len(self.kept_markets) >= self.inputs.profile.bins
        for order in sorted(resting, key=lambda one: (one.created_ns, one.client_order_id)):
            reason = self._resting_problem(order, market, view, appraisal)
            if not reason and taken:
                reason = "duplicate" if market.ticker in self.kept_markets else "not_in_top_bins"
            if reason:
                self.cancel.append((order.client_order_id, reason))
            else:
                self._keep(order)
                taken = True
        return market.ticker in self.kept_markets

    def _resting_problem(self, order: Order, market: Market, view: BookView, appraisal: Appraisal) -> str:
        reason = lost_edge(order, appraisal, self.inputs.fees, self.inputs.pricing.keep_edge_share)
        if reason:
            return reason
        ideal = best_price(order.side, market.grid, view, self._needs(appraisal), self.inputs.own)
        if ideal.price is None:
            return ideal.reason
        room = max(tick_at(market.grid, ideal.price), int(KEEP_DISTANCE_SHARE * appraisal.required * PRICE_ONE))
        return "" if abs(order.price - ideal.price) <= room else "repriced"

    def _consider(self, market: Market, view: BookView, appraisal: Appraisal) -> None:
        """Price both sides and keep the better as a candidate."""
        needs = self._needs(appraisal)
        sides = [best_price(side, market.grid, view, needs, self.inputs.own) for side in Side]
        priced = [side for side in sides if side.price is not None]
        if not priced:
            disagrees = any(side.reason == "model_disagrees" for side in sides)
            outcome = "model_disagrees" if disagrees else "no_edge"
            self._note(market.ticker, view, appraisal, outcome, outcomes.no_price(view, needs))
            return
        choice = max(priced, key=lambda side: side.score)  # a tie keeps the bid
        self._note(market.ticker, view, appraisal, "candidate", choice=choice)
        self.candidates.append(_Candidate(market, appraisal, choice))

    def _needs(self, appraisal: Appraisal) -> Needs:
        profile = self.inputs.profile
        return Needs(
            fair=appraisal.fair,
            model_fair=appraisal.model_fair,
            required=appraisal.required,
            min_ev=profile.min_ev,
            impact_cap=profile.impact_cap,
            count=self.count,
            fees=self.inputs.fees,
        )

    def _quote(self, market: Market, appraisal: Appraisal, choice: SidePrice, required: float) -> Quote:
        """What a choice becomes; `required` is the edge it was asked for, in dollars a contract."""
        assert choice.price is not None, "what is quoted has a price"
        return Quote(
            market_ticker=market.ticker,
            side=choice.side,
            price=choice.price,
            count=self.count,
            profile=self.inputs.profile.name,
            window=self.inputs.window,
            fair=appraisal.fair,
            model_fair=appraisal.model_fair,
            required_edge=required,
            ev=choice.ev,
            fee=choice.fee,
        )

    def _note(
        self,
        ticker: str,
        view: BookView | None,
        appraisal: Appraisal | None,
        outcome: str,
        detail: str = "",
        *,
        model: float | None = None,
        choice: SidePrice | None = None,
    ) -> None:
        if not detail and appraisal is not None:
            detail = f"required {appraisal.required:.4f}"
        if choice is not None and choice.price is not None:
            detail += f", {choice.side.value} {choice.price / PRICE_ONE:.4f}, ev {choice.ev / PRICE_ONE:.4f}"
        known = float("nan") if model is None else model
        self.looks[ticker] = Look(
            market_ticker=ticker,
            fair=known if appraisal is None else appraisal.fair,
            model_fair=known if appraisal is None else appraisal.model_fair,
            best_bid=None if view is None else view.best_bid,
            best_ask=None if view is None else view.best_ask,
            outcome=outcome,
            detail=detail,
            lowest=self.contracts[ticker].lowest,
            highest=self.contracts[ticker].highest,
        )

    def _outcome(self, ticker: str, outcome: str, why: str = "") -> None:
        look = self.looks[ticker]
        self.looks[ticker] = replace(look, outcome=outcome, detail=f"{look.detail}; {why}" if why else look.detail)
