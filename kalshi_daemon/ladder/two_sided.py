"""A plan with both sides of a market: each side has its own edge to earn, and its own order that stays or goes. Pure.

What is asked of a market as a whole (`ladder.selection`), what may be offered at one price (`ladder.ideal`) and the
words are the same as for one side. Different is what each side must earn: the edge of the contract, moved by what is
held (`ladder.reservation`) and by what the side has cost lately.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kalshi_daemon.domain.book_view import BookView
from kalshi_daemon.domain.contract import Market
from kalshi_daemon.domain.order import Order, Status
from kalshi_daemon.domain.quote import QuotePlan, Side
from kalshi_daemon.ground.units import PRICE_ONE, Dollars
from kalshi_daemon.ladder import outcomes
from kalshi_daemon.ladder.ideal import Needs, SidePrice, best_price, certain_loss, tick_at
from kalshi_daemon.ladder.payoff import Holding, Resting, worst_by_group
from kalshi_daemon.ladder.selection import KEEP_DISTANCE_SHARE, Appraisal, Position, Scan, ScanInputs, lost_edge


@dataclass(frozen=True, slots=True)
class SideTerms:
    """What one side of one market is asked for on top of the contract's own edge."""

    shift: float = 0.0
    """Dollars a contract: what inventory adds to the edge this side must earn; below 0 it is let off that much."""
    loading: float = 0.0
    """Dollars a contract, >= 0: what fills of this side have lately been worth less than they seemed."""
    closed: str = ""
    """Why this side is not quoted at all, a word of `ladder.outcomes`; "" when it is."""


@dataclass(frozen=True, slots=True)
class Room:
    """How much one fixing may lose, everything counted."""

    holdings: tuple[Holding, ...]
    resting: tuple[Resting, ...]
    """Of every order that may still trade."""
    loss_max: Dollars


Terms = Mapping[tuple[str, Side], SideTerms]
PLAIN: Final = SideTerms()
_FAR: Final = 3
"""So many times the room of one that can join the others' best is left to an order that cannot."""


@dataclass(frozen=True, slots=True)
class _Offer:
    market: Market
    appraisal: Appraisal
    choice: SidePrice


def propose_both(inputs: ScanInputs, terms: Terms, room: Room) -> QuotePlan:
    """The plan of one scan, both sides: at most one order a side and market, at most `bins` markets.

    Markets are ranked by what their sides earn together. A quote that would let the fixing lose more than `room` is
    left out, the best ones first served. A side that `terms` does not name has none.
    """
    return _BothSides(inputs, terms, room).run()


class _BothSides(Scan):
    def __init__(self, inputs: ScanInputs, terms: Terms, room: Room) -> None:
        super().__init__(inputs)
        self._terms = terms
        self._room = room
        self._offers: list[_Offer] = []
        self._taken: set[tuple[str, Side]] = {
            (order.market_ticker, order.side)
            for orders in self.mine.values()
            for order in orders
            if order.status is not Status.RESTING
        }

    def look_at(self, market: Market) -> None:
        """Judge both sides of one market."""
        found = self._appraised(market)
        if found is None:
            return
        view, appraisal, mine = found
        self._settle(market, view, appraisal, mine)
        offers: list[_Offer] = []
        reasons: list[str] = []
        for side in Side:
            if (market.ticker, side) in self._taken:
                continue
            closed = self._of(market.ticker, side).closed
            choice = SidePrice(side, None, closed) if closed else self._best(market, view, appraisal, side)
            if choice.price is None:
                reasons.append(choice.reason)
            else:
                offers.append(_Offer(market, appraisal, choice))
        kept = market.ticker in self.kept_markets
        if offers:
            best = max(offers, key=lambda one: one.choice.score)
            self._note(market.ticker, view, appraisal, "candidate", choice=best.choice)
        elif kept:
            self._note(market.ticker, view, appraisal, "kept")
        else:
            needs = self._side_needs(market.ticker, appraisal, Side.BID)
            self._note(market.ticker, view, appraisal, _first(reasons), outcomes.no_price(view, needs))
        self._offers += offers

    def choose(self) -> None:
        """Fill the free bins by what a market's sides earn together; then take what coherence and room allow."""
        going = self._going()
        offered: list[tuple[str, Position]] = [
            (order.market_ticker, (self.contracts[order.market_ticker], order.side, order.price))
            for order in self.inputs.own
            if order.status.live and order.market_ticker in self.contracts and order.client_order_id not in going
        ]
        by_market: dict[str, list[_Offer]] = {}
        for one in self._offers:
            by_market.setdefault(one.market.ticker, []).append(one)
        ranked = sorted(by_market.values(), key=_rank)
        scores: list[int] = []
        bins, extra = self.inputs.profile.bins, list[Resting]()
        chosen = set(self.kept_markets)
        for both in ranked:
            ticker, score = both[0].market.ticker, _score(both)
            if ticker not in chosen and len(chosen) >= bins:
                why = outcomes.crowded_out(score, scores, bins, len(self.kept_markets))
                self._outcome(ticker, "not_in_top_bins", why)
                continue
            outcome, why = ("kept", "") if ticker in self.kept_markets else ("no_edge", "")
            for one in both:
                word, detail = self._take(one, offered, extra)
                if outcome != "quoted":
                    outcome, why = word, detail
            if outcome == "quoted":
                chosen.add(ticker)
                scores.append(score)
            self._outcome(ticker, outcome, why)

    def _take(self, one: _Offer, offered: list[tuple[str, Position]], extra: list[Resting]) -> tuple[str, str]:
        """Quote one side, if coherence and room allow: the outcome and its numbers."""
        price = one.choice.price
        assert price is not None, "an offer has a price"
        ticker, side = one.market.ticker, one.choice.side
        offer: Position = (one.market.contract, side, price)
        against = next((there for there in offered if certain_loss(offer, there[1])), None)
        if against is not None:
            other, (_contract, other_side, at) = against
            return "certain_loss", outcomes.loses_with(price, side, other, other_side, at)
        order = Resting(ticker, one.market.contract, side, price, self.count, one.choice.fee)
        loss = self._loss((*extra, order))
        if loss > self._room.loss_max and loss > self._loss(tuple(extra)):
            return "no_room", outcomes.no_room(loss, self._room.loss_max)
        extra.append(order)
        offered.append((ticker, offer))
        needs = self._side_needs(ticker, one.appraisal, side)
        self.quotes.append(self._quote(one.market, one.appraisal, one.choice, max(needs.required, 0.0)))
        return "quoted", ""

    def _loss(self, extra: tuple[Resting, ...]) -> Dollars:
        """The most the window's fixing can lose with these on top; orders that are being pulled may fill, and count."""
        window = self.inputs.window
        key = f"{window.series.index}@{window.target_ns}"
        found = worst_by_group(self._room.holdings, (*self._room.resting, *extra)).get(key)
        return Dollars(0) if found is None else found.loss

    def _going(self) -> set[str]:
        return {client_order_id for client_order_id, _reason in self.cancel}

    def _settle(self, market: Market, view: BookView, appraisal: Appraisal, mine: Sequence[Order]) -> None:
        """Keep at most one good order a side, pull the others. What is on its way takes its side whatever we think."""
        for order in mine:
            if order.status is not Status.RESTING:
                self._keep(order)
        crowded = market.ticker not in self.kept_markets and len(self.kept_markets) >= self.inputs.profile.bins
        for order in sorted(mine, key=lambda one: (one.created_ns, one.client_order_id)):
            if order.status is not Status.RESTING:
                continue
            reason = self._problem(order, market, view, appraisal)
            if not reason and (market.ticker, order.side) in self._taken:
                reason = "duplicate"
            if not reason and crowded:
                reason = "not_in_top_bins"
            if reason:
                self.cancel.append((order.client_order_id, reason))
            else:
                self._keep(order)
                self._taken.add((market.ticker, order.side))

    def _problem(self, order: Order, market: Market, view: BookView, appraisal: Appraisal) -> str:
        terms = self._of(market.ticker, order.side)
        if terms.closed:
            return terms.closed
        needs = self._side_needs(market.ticker, appraisal, order.side)
        asked = Appraisal(appraisal.fair, appraisal.model_fair, max(needs.required, 0.0))
        reason = lost_edge(order, asked, self.inputs.fees, self.inputs.pricing.keep_edge_share)
        if reason:
            return reason
        ideal = self._best(market, view, appraisal, order.side)
        if ideal.price is None:
            return ideal.reason
        sign = order.side.sign
        best = view.best_bid if order.side is Side.BID else view.best_ask
        # Too eager, and still earning enough: its place in the queue is worth more than the difference. Behind the
        # others' best, it is moved when it could join them, or when it stands far from where it could.
        behind = best is not None and order.price * sign < best * sign
        joins = best is not None and ideal.price * sign >= best * sign
        closer = (ideal.price - order.price) * sign
        room = max(tick_at(market.grid, ideal.price), int(KEEP_DISTANCE_SHARE * appraisal.required * PRICE_ONE))
        return "repriced" if behind and closer > (room if joins else _FAR * room) else ""

    def _best(self, market: Market, view: BookView, appraisal: Appraisal, side: Side) -> SidePrice:
        own = [order for order in self.inputs.own if order.client_order_id not in self._going()]
        return best_price(side, market.grid, view, self._side_needs(market.ticker, appraisal, side), own)

    def _side_needs(self, ticker: str, appraisal: Appraisal, side: Side) -> Needs:
        terms, profile = self._of(ticker, side), self.inputs.profile
        return Needs(
            fair=appraisal.fair,
            model_fair=appraisal.model_fair,
            required=appraisal.required + terms.shift + terms.loading,
            min_ev=profile.min_ev,
            impact_cap=profile.impact_cap,
            count=self.count,
            fees=self.inputs.fees,
        )

    def _of(self, ticker: str, side: Side) -> SideTerms:
        return self._terms.get((ticker, side), PLAIN)


def _score(both: Sequence[_Offer]) -> int:
    """What the sides of a market earn together, 1/10 000 dollar."""
    return sum(one.choice.score for one in both)


def _rank(both: Sequence[_Offer]) -> tuple[int, float, str]:
    """Best first; ties nearer the money, then by ticker."""
    return -_score(both), abs(both[0].appraisal.fair - 0.5), both[0].market.ticker


def _first(reasons: Sequence[str]) -> str:
    """One word for two sides that are not quoted: the more telling one."""
    return next((word for word in reasons if word != "no_edge"), "no_edge")
