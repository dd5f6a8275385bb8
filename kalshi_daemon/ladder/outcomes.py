"""What a scan can say about a market, and about an order it pulls: every word with its meaning, and its numbers. Pure.

The words are what manifests, monitors and `why` carry; docs/log-events.md prints both tables, and a test holds them
complete. A sentence of numbers always has what was measured and what was allowed.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from kalshi_daemon.domain.book_view import BookView
from kalshi_daemon.domain.contract import Market, MarketStatus
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import CONTRACT, DOLLAR, PRICE_ONE, SECOND, Dollars, Nanos, Price
from kalshi_daemon.ladder.fair import edge
from kalshi_daemon.ladder.fees import maker_fee
from kalshi_daemon.ladder.ideal import Needs

OUTCOMES: Final[Mapping[str, str]] = {
    "quoted": "proposed to the guards; the quote's own verdicts follow",
    "kept": "an order of ours rests here, or is on its way, and is left as it is",
    "market_inactive": "the listing says that the market cannot be traded now",
    "no_forecast": "the model has no probability for this market",
    "stale_book": "the book is not known well enough: not in sync, crossed, doubted, or without a frame of its own for "
    "longer than guards.book_age_s_max",
    "one_sided": "the others do not quote both sides, so there is no price to compare with",
    "mid_jump": "the others' mid moved further than the profile's impact_cap since the profile's last look; it is "
    "compared anew at the next",
    "tail": "fair value or model is nearer to 0 or 1 than pricing.tail_probability, where the model is least to be "
    "trusted",
    "no_edge": "no price of either side earns the required edge",
    "model_disagrees": "only the others' mid makes it look worth while: by the model alone a fill loses",
    "not_in_top_bins": "worth quoting, but the profile's bins are taken by what rests already and by better candidates",
    "no_room": "the fixing could lose more than reservation.fixing_loss_dollars with it, everything counted",
    "one_way_fills": "fills came one way within seconds: for a while nothing more is offered that way",
    "last_minutes": "so near to the fixing only what makes the position smaller is offered",
    "certain_loss": "together with what is offered already it would lose whatever is settled",
}
"""Of a look at a market."""

PULLS: Final[Mapping[str, str]] = {
    "edge_lost": "less than pricing.keep_edge_share of the required edge is left",
    "model_disagrees": "by the model alone a fill would lose",
    "repriced": "the best price has moved away from it",
    "duplicate": "a second order of the profile in the same market",
    "not_in_top_bins": "the profile's bins are taken",
    "no_edge": "no price of its side earns the required edge any more",
    "one_sided": "the others left one side",
    "not_listed": "the market is no longer listed or could not be read",
    "cannot_price": "no forecast or no fee schedule to judge it by",
    "market_inactive": "the market cannot be traded",
    "no_forecast": "no probability for the market",
    "stale_book": "the book is lost",
    "doubtful_book": "the book was caught lying",
    "mid_jump": "the others' mid jumped",
    "tail": "fair value or model came too near to 0 or 1",
    "one_way_fills": "fills came that way within seconds",
    "last_minutes": "so near to the fixing it would make the position larger",
}
"""Of an order that a scan or a look in between takes off the book, besides `guard:NAME` and `replaced`."""


def inactive(market: Market, now: Nanos) -> str:
    """The numbers of `market_inactive`, or "" for a market that may be traded."""
    if market.status is not MarketStatus.ACTIVE:
        return f"status {market.status.value}, needed {MarketStatus.ACTIVE.value}"
    if now < market.open_ns:
        return f"opens in {_seconds(market.open_ns - now)} s"
    if now >= market.close_ns:
        return f"closed {_seconds(now - market.close_ns)} s ago"
    return ""


def stale(view: BookView | None, now: Nanos, age_max: Nanos) -> str:
    """The numbers of `stale_book`, or "" for a book that may be quoted on."""
    if view is None:
        return "no book"
    age = f"last frame of its own {_seconds(now - view.recv_ns)} s ago, limit {_seconds(age_max)} s"
    if not view.synced:
        return f"not usable: out of sync, crossed or doubted; {age}"
    return age if now - view.recv_ns > age_max else ""


def one_sided(view: BookView) -> str:
    """The numbers of `one_sided`."""
    return f"others bid {_offer(view.best_bid)}, ask {_offer(view.best_ask)}; both are needed"


def jump(mid: Price, last: Price, cap: Price) -> str:
    """The numbers of `mid_jump`."""
    return f"mid {_price(mid)}, at the last look {_price(last)}: moved {_price(abs(mid - last))}, limit {_price(cap)}"


def tail(fair: float, model: float, least: float) -> str:
    """The numbers of `tail`. `fair`, `model` and `least` are probabilities."""
    return f"fair {fair:.4f}, model {model:.4f}, limit {least:.4f} to {1.0 - least:.4f}"


def no_price(view: BookView, needs: Needs) -> str:
    """The numbers of `no_edge` and `model_disagrees`: what joining the others would earn on either side."""
    parts = []
    for side, best in ((Side.BID, view.best_bid), (Side.ASK, view.best_ask)):
        if best is None:
            continue
        fee, contracts = maker_fee(needs.fees, best, needs.count), needs.count / CONTRACT
        blended = edge(side, best, needs.fair, fee, contracts)
        alone = edge(side, best, needs.model_fair, fee, contracts)
        parts.append(f"{side.value} {_price(best)} earns {blended:.4f}, by the model alone {alone:.4f}")
    return f"required {needs.edge_min:.4f}; joining the others' " + ", ".join(parts)


def crowded_out(score: int, taken: Sequence[int], bins: int, kept: int) -> str:
    """The numbers of `not_in_top_bins`: the scores (1/10 000 dollar) of the quotes that were taken before it.

    `score` in 1/10 000 dollar, `kept`: quotes that rest already.
    """
    least = f", the least of the quotes taken has {_signed(min(taken))}" if taken else ""
    return f"score {_signed(score)}{least}; {kept} kept and {len(taken)} new, limit {bins} bins"


def no_room(loss: Dollars, loss_max: Dollars) -> str:
    """The numbers of `no_room`."""
    return f"the fixing could lose {loss / DOLLAR:.2f} dollars with it, limit {loss_max / DOLLAR:.2f}"


def loses_with(price: Price, side: Side, other_ticker: str, other_side: Side, other_price: Price) -> str:
    """The numbers of `certain_loss`."""
    return f"{side.value} {_price(price)} with {other_side.value} {_price(other_price)} in {other_ticker}"


def _price(price: int) -> str:
    return f"{price / PRICE_ONE:.4f}"


def _signed(amount: int) -> str:
    return f"{amount / PRICE_ONE:.4f}"


def _offer(price: Price | None) -> str:
    return "none" if price is None else _price(price)


def _seconds(ns: int) -> str:
    return f"{ns / SECOND:.1f}"
