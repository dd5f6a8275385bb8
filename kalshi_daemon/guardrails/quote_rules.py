"""Is this quote one of ours: maker-only, small, few, worth it, not leaning too hard, on a book that can be believed."""

import math
from dataclasses import dataclass
from typing import ClassVar

from kalshi_daemon.domain.book import Book
from kalshi_daemon.domain.order import Order
from kalshi_daemon.domain.quote import Quote, Side
from kalshi_daemon.domain.verdict import Verdict
from kalshi_daemon.ground.units import CONTRACT, PRICE_ONE, Dollars, Nanos, Price, to_ms, to_s
from kalshi_daemon.guardrails.guard import QuoteContext, answer, refuse
from kalshi_daemon.ladder.fair import edge
from kalshi_daemon.ladder.fees import maker_fee
from kalshi_daemon.state import DaemonState


@dataclass(frozen=True, slots=True)
class BookSane:
    """Refuse unless the others' book is in sync, undoubted, timely, fresh and two-sided.

    An empty side is no price: the predecessor read empty books as 0.50 and saw 50 cents of edge
    (docs/reference/predecessor.md 9.9). A doubt is what another witness said against it (docs/order-safety.md).
    """

    age_max: Nanos
    lag_max: Nanos
    name: ClassVar[str] = "book_sanity"
    pulls: ClassVar[bool] = False

    def judge_quote(self, state: DaemonState, quote: Quote, _context: QuoteContext, now: Nanos) -> Verdict:
        limit = to_s(self.age_max)
        book = state.venue.books.get(quote.market_ticker)
        if book is None:
            return refuse(self, None, limit, "s", note="no book")
        if not book.synced or book.crossed:
            return refuse(self, None, limit, "s", note="book out of sync" if not book.synced else "book is crossed")
        if book.doubt:
            return refuse(self, "doubtful", "undoubted", note=book.doubt)
        if book.lag_ns > self.lag_max:
            return refuse(self, to_ms(book.lag_ns), to_ms(self.lag_max), "ms", note="its last frame came late")
        view = state.others_view(book)
        if not view.two_sided:
            sides = "empty" if view.best_bid is None and view.best_ask is None else "one-sided"
            return refuse(self, sides, "two-sided", note="only our own orders, or none, on a side")
        age = Nanos(now - book.recv_ns)
        return answer(self, to_s(age), limit, "s", passed=age <= self.age_max, note="book is stale")


@dataclass(frozen=True, slots=True)
class MakerOnly:
    """Refuse a quote that would trade on arrival: with the live book, or with an order of our own.

    The venue is told post_only too; this guard spares the round trip and keeps our own profiles from meeting.
    """

    name: ClassVar[str] = "maker_only"
    pulls: ClassVar[bool] = False

    def judge_quote(self, state: DaemonState, quote: Quote, context: QuoteContext, _now: Nanos) -> Verdict:
        book = state.venue.books.get(quote.market_ticker)
        if book is None or not book.synced:
            return refuse(self, None, None, "dollars", note="no book in sync to compare with")
        facing = _facing(book, quote, state, context)
        price = quote.price / PRICE_ONE
        if facing is None:
            return answer(self, price, "nothing facing", "dollars", passed=True)
        inside = quote.price < facing if quote.side is Side.BID else quote.price > facing
        word = "bid at or above the ask" if quote.side is Side.BID else "ask at or below the bid"
        return answer(self, price, facing / PRICE_ONE, "dollars", passed=inside, note=f"{word}: would take")


def _facing(book: Book, quote: Quote, state: DaemonState, context: QuoteContext) -> Price | None:
    """The best price this quote could trade with: the full book's other side and our own orders on it."""
    top = book.best_ask if quote.side is Side.BID else book.best_bid
    prices = [] if top is None else [top]
    own: tuple[Order | Quote, ...] = (*state.live_orders(), *context.accepted)
    prices += [one.price for one in own if one.market_ticker == quote.market_ticker and one.side is not quote.side]
    return (min if quote.side is Side.BID else max)(prices, default=None)


@dataclass(frozen=True, slots=True)
class LotsPerQuote:
    """Refuse more contracts in one quote than docs/reference/predecessor.md 3 allows, whatever a profile asks for."""

    lots_max: int
    name: ClassVar[str] = "lots_per_quote"
    pulls: ClassVar[bool] = False

    def judge_quote(self, _state: DaemonState, quote: Quote, context: QuoteContext, _now: Nanos) -> Verdict:
        most = min(self.lots_max, context.plan.profile.lots)
        return answer(
            self,
            quote.count / CONTRACT,
            most,
            "contracts",
            passed=0 < quote.count <= most * CONTRACT,
            note="too many lots" if quote.count > 0 else "not a quantity",
        )


@dataclass(frozen=True, slots=True)
class UniqueBins:
    """Refuse a quote that would put the profile into more markets of the event than its bins.

    Counted: the profile's live orders in the event, without those this very plan cancels, plus the quotes accepted so
    far, plus this one. A second order on a side of a market that the
    profile is already on is refused as well.
    """

    name: ClassVar[str] = "unique_bins"
    pulls: ClassVar[bool] = False

    def judge_quote(self, state: DaemonState, quote: Quote, context: QuoteContext, _now: Nanos) -> Verdict:
        plan = context.plan
        leaving = {client_order_id for client_order_id, _reason in plan.cancel}
        taken = {
            (order.market_ticker, order.side)
            for order in state.live_orders()
            if order.profile == plan.profile.name
            and order.event_ticker == plan.window.event_ticker
            and order.client_order_id not in leaving
        }
        taken.update((one.market_ticker, one.side) for one in context.accepted)
        doubled = (quote.market_ticker, quote.side) in taken
        bins = len({ticker for ticker, _side in taken} | {quote.market_ticker})
        note = "the profile already has an order on this side of this market" if doubled else "too many markets"
        return answer(
            self, bins, plan.profile.bins, "markets", passed=bins <= plan.profile.bins and not doubled, note=note
        )


@dataclass(frozen=True, slots=True)
class MinEv:
    """Refuse a quote whose expected value per contract, after the maker fee, is below the profile's least.

    Computed again from the quote's own fair value and today's fee schedule; the lower of that and the plan's figure
    counts. A fair value outside 0..1 is nothing to measure.
    """

    name: ClassVar[str] = "min_ev"
    pulls: ClassVar[bool] = False

    def judge_quote(self, state: DaemonState, quote: Quote, context: QuoteContext, _now: Nanos) -> Verdict:
        least = context.plan.profile.min_ev
        shown = least / PRICE_ONE
        schedule = state.venue.fees.get(context.plan.window.series.ticker)
        if schedule is None:
            return refuse(self, None, shown, "dollars", note="fee schedule unknown")
        if not 0.0 <= quote.fair <= 1.0 or quote.count <= 0:  # NaN fails the comparison too
            return refuse(self, None, shown, "dollars", note="no fair value")
        fee = Dollars(max(quote.fee, maker_fee(schedule, quote.price, quote.count)))
        again = edge(quote.side, quote.price, quote.fair, fee, quote.count / CONTRACT) * PRICE_ONE
        ev = min(math.floor(again), quote.ev)
        return answer(self, ev / PRICE_ONE, shown, "dollars", passed=ev >= least, note="not worth the risk")


@dataclass(frozen=True, slots=True)
class ImpactCap:
    """Refuse a quote that improves on the others' best price of its own side by more than the profile's cap.

    A quote far inside a wide spread is a bet against whoever left it wide (docs/reference/predecessor.md 3).
    """

    name: ClassVar[str] = "impact_cap"
    pulls: ClassVar[bool] = False

    def judge_quote(self, state: DaemonState, quote: Quote, context: QuoteContext, _now: Nanos) -> Verdict:
        cap = context.plan.profile.impact_cap
        limit = cap / PRICE_ONE
        book = state.venue.books.get(quote.market_ticker)
        if book is None or not book.synced:
            return refuse(self, None, limit, "dollars", note="no book in sync to compare with")
        view = state.others_view(book)
        best = view.best_bid if quote.side is Side.BID else view.best_ask
        if best is None:
            return refuse(self, None, limit, "dollars", note=f"nobody else on the {quote.side.value} side")
        improves = (quote.price - best) * quote.side.sign
        return answer(self, improves / PRICE_ONE, limit, "dollars", passed=improves <= cap, note="leans too far inside")
