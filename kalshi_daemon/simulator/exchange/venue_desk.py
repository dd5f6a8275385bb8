"""What the venue does on its own: pauses, (de)activation of markets, changes of grids and fees."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from kalshi_daemon.domain.contract import PriceGrid
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.simulator.exchange.agenda import Agenda, Turn
from kalshi_daemon.simulator.exchange.catalogue import Catalogue, FeeChange
from kalshi_daemon.simulator.exchange.listener import LifecycleEvent
from kalshi_daemon.simulator.exchange.matching import Matcher
from kalshi_daemon.simulator.exchange.order_terms import Reason
from kalshi_daemon.simulator.exchange.sim_fees import FeeModel
from kalshi_daemon.simulator.exchange.sim_orders import Account, SimOrder


@dataclass(slots=True)
class Shard:
    """The flags of a shard other than 0."""

    exchange_active: bool = True
    trading_active: bool = True


class VenueDesk:
    """Owns the two flags of /exchange/status, which are those of shard 0, and the other shards there are.

    `enter` brings the exchange to the present before an act.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        accounts: Mapping[str, Account],
        matcher: Matcher,
        agenda: Agenda,
        enter: Callable[[], Nanos],
        new_id: Callable[[], str],
    ) -> None:
        self.trading_active = True
        self.exchange_active = True
        self.shards: dict[int, Shard] = {}
        """By `exchange_index`; shard 0 is not among them."""
        self._catalogue = catalogue
        self._accounts = accounts
        self._matcher = matcher
        self._agenda = agenda
        self._enter = enter
        self._new_id = new_id

    def shard(self, number: int) -> Shard:
        """The flags of a shard, listed as open if it is new; of shard 0 a copy."""
        if number == 0:
            return Shard(self.exchange_active, self.trading_active)
        return self.shards.setdefault(number, Shard())

    def flags(self, number: int) -> tuple[bool, bool]:
        """`exchange_active` and `trading_active` of the shard a market lives on."""
        found = self.shard(number)
        return found.exchange_active, found.trading_active

    def pause_shard(self, number: int, *, exchange: bool = False) -> None:
        """As `pause`, for the markets of one shard other than 0. ValueError for shard 0."""
        if number == 0:
            raise ValueError("shard 0 is paused by `pause`")
        now = self._enter()
        for order in self._all_resting():
            if order.cancel_on_pause and order.market.shard == number:
                self._matcher.cancel(order, Reason.HALT, now)
        self.shards[number] = Shard(exchange_active=not exchange, trading_active=False)

    def resume_shard(self, number: int) -> None:
        """A shard trades again."""
        self._enter()
        self.shards[number] = Shard()

    def pause(self, *, exchange: bool = False) -> None:
        """Stop trading (cancels still work) or the whole exchange (nothing does); asked-for orders are canceled."""
        now = self._enter()
        for order in self._all_resting():
            if order.cancel_on_pause and order.market.shard == 0:
                self._matcher.cancel(order, Reason.HALT, now)
        self.trading_active = False
        if exchange:
            self.exchange_active = False
            self._agenda.freeze()

    def resume(self) -> None:
        """Open again; what fell due during an exchange pause happens now."""
        self.trading_active = True
        self.exchange_active = True
        self._agenda.thaw()
        self._enter()

    def deactivate(self, tickers: Iterable[str]) -> None:
        """Pause single markets, as the exchange does by hand."""
        now = self._enter()
        for ticker in tickers:
            market = self._catalogue.markets[ticker]
            market.inactive, market.updated_ns = True, now
            self._matcher.listener.market_changed(market, LifecycleEvent.DEACTIVATED, now)

    def activate(self, tickers: Iterable[str]) -> None:
        """Reactivation cancels all resting orders (docs/reference/venue.md 8)."""
        now = self._enter()
        for ticker in tickers:
            market = self._catalogue.markets[ticker]
            for order in list(market.book.orders()):
                self._matcher.cancel(order, Reason.HALT, now)
            market.inactive, market.updated_ns = False, now
            self._matcher.listener.market_changed(market, LifecycleEvent.ACTIVATED, now)

    def change_grid(self, ticker: str, grid: PriceGrid, label: str) -> None:
        """A finer or coarser grid; resting orders stay."""
        now = self._enter()
        market = self._catalogue.markets[ticker]
        market.grid, market.grid_label, market.updated_ns = grid, label, now
        market.static_json.clear()
        self._matcher.listener.market_changed(market, LifecycleEvent.PRICE_LEVEL_STRUCTURE_UPDATED, now)

    def change_series_fees(self, series_ticker: str, fees: FeeModel, at_ns: Nanos) -> None:
        """Schedule a change; it shows in the fee-change feed at once and applies from `at_ns`. KeyError if unknown."""
        if series_ticker not in self._catalogue.series:
            raise KeyError(series_ticker)
        self._catalogue.fee_changes.append(FeeChange(self._new_id(), series_ticker, fees, at_ns))
        self._agenda.add(at_ns, Turn.CHANGE, lambda _now: self._catalogue.set_series_fees(series_ticker, fees))

    def change_event_fees(self, event_ticker: str, fees: FeeModel | None) -> None:
        """Override (or clear) one event's fees at once. KeyError if unknown."""
        self._enter()
        self._catalogue.set_event_fees(event_ticker, fees)
        self._matcher.listener.event_fees_changed(event_ticker, fees)

    def _all_resting(self) -> list[SimOrder]:
        return [
            order
            for account in self._accounts.values()
            for orders in account.resting.values()
            for order in orders.values()
        ]
