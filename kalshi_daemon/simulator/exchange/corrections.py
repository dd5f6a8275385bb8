"""What the venue takes back or does without a word: disputes, other results, amended settlements, cash that moves.

Every function brings the exchange to the present first. Ladders are decided by a level (`points`), by hand (`results`),
or, with neither, turned over: every YES becomes a NO.
"""

import dataclasses
from collections.abc import Iterable, Mapping

from kalshi_daemon.ground.units import PRICE_ONE, Dollars, Level, Nanos
from kalshi_daemon.simulator.exchange.exchange import Exchange
from kalshi_daemon.simulator.exchange.instruments import pays
from kalshi_daemon.simulator.exchange.lifecycle import settlement_level
from kalshi_daemon.simulator.exchange.listener import LifecycleEvent
from kalshi_daemon.simulator.exchange.sim_orders import Account, SimMarket

MICROS_PER_UNIT = 100


def dispute(exchange: Exchange, event_ticker: str, for_ns: Nanos) -> list[str]:
    """Hold a determined event's settlement for so long; its markets read `disputed`. No frame says so.

    Returns the markets concerned. Raises KeyError for an unknown event, ValueError when it is not determined or already
    settled.
    """
    now = exchange.enter()
    markets = _determined(exchange, event_ticker)
    exchange.lifecycle.disputes[event_ticker] = Nanos(now + for_ns)
    for market in markets:
        market.disputed, market.updated_ns = True, now
    return [market.spec.ticker for market in markets]


def determine_again(
    exchange: Exchange,
    event_ticker: str,
    *,
    points: float | None = None,
    results: Mapping[str, str] | None = None,
) -> list[str]:
    """A second `determined` before the settlement. Returns the markets whose result changed. Raises as `dispute`."""
    now = exchange.enter()
    changed = _decide(_determined(exchange, event_ticker), points, results)
    for market in changed:
        market.updated_ns = now
        exchange.matcher.listener.market_changed(market, LifecycleEvent.DETERMINED, now)
    return [market.spec.ticker for market in changed]


def amend_settlement(
    exchange: Exchange,
    event_ticker: str,
    *,
    points: float | None = None,
    results: Mapping[str, str] | None = None,
    silent: bool = False,
    finalized: bool = False,
) -> list[str]:
    """Pay a settled event again by other results: cash, positions and the list of settlements change.

    Markets read `amended` (`finalized`: they read as before). `determined` and `settled` are sent again unless
    `silent`. Accounts without a history are left alone. Returns the markets whose result changed. Raises KeyError for
    an unknown event, ValueError when it is not settled.
    """
    now = exchange.enter()
    markets = exchange.catalogue.by_event[event_ticker]
    if any(market.settled_ns is None for market in markets):
        raise ValueError(f"{event_ticker} is not settled")
    changed = _decide(markets, points, results)
    for market in changed:
        market.amended, market.updated_ns = not finalized, now
        for account in exchange.accounts.values():
            if account.keeps_history:
                _pay_again(account, market)
        if not silent:
            for event in (LifecycleEvent.DETERMINED, LifecycleEvent.SETTLED):
                exchange.matcher.listener.market_changed(market, event, now)
    return [market.spec.ticker for market in changed]


def change_cash(exchange: Exchange, account_name: str, by: Dollars) -> None:
    """Add to (or take from) an account's cash without any message. Raises KeyError for an unknown account."""
    exchange.enter()
    exchange.accounts[account_name].cash += by * MICROS_PER_UNIT


def move_to_shard(exchange: Exchange, tickers: Iterable[str], shard: int) -> None:
    """Say from now on that these markets live on a shard, which is listed as open if it is new.

    The member's money is one pool all the same: the shard decides whose status counts, and what the answers say.
    Raises KeyError for an unknown market, ValueError for a negative shard.
    """
    if shard < 0:
        raise ValueError(f"shard {shard} is negative")
    now = exchange.enter()
    for market in [exchange.catalogue.markets[ticker] for ticker in tickers]:
        market.shard, market.updated_ns = shard, now
        market.static_json.clear()
    exchange.venue.shard(shard)


def _determined(exchange: Exchange, event_ticker: str) -> tuple[SimMarket, ...]:
    markets = exchange.catalogue.by_event[event_ticker]
    if any(market.determined_ns is None or market.settled_ns is not None for market in markets):
        raise ValueError(f"{event_ticker} is not between its determination and its settlement")
    return markets


def _decide(markets: Iterable[SimMarket], points: float | None, results: Mapping[str, str] | None) -> list[SimMarket]:
    value: Level | None = None if points is None else settlement_level(points)
    changed = []
    for market in markets:
        if value is not None:
            market.settlement_value = value
            wanted = "yes" if pays(market.spec, value) else "no"
        elif results is not None:
            wanted = results.get(market.spec.ticker, market.result)
        else:
            wanted = "no" if market.result == "yes" else "yes"
        if wanted not in ("yes", "no"):
            raise ValueError(f"{wanted!r} is not a result")
        if wanted != market.result:
            market.result = wanted
            changed.append(market)
    return changed


def _pay_again(account: Account, market: SimMarket) -> None:
    for place, paid in enumerate(account.settlements):
        if paid.ticker != market.spec.ticker:
            continue
        revenue = (paid.yes_count if market.result == "yes" else paid.no_count) * PRICE_ONE
        account.cash += revenue - paid.revenue
        account.holdings[paid.ticker].realized += revenue - paid.revenue
        account.settlements[place] = dataclasses.replace(paid, result=market.result, revenue=revenue)
