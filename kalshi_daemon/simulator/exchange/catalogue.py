"""Everything listed, by ticker, and the fee schedules in force and to come."""

import uuid
from dataclasses import dataclass

from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.simulator.exchange.instruments import EventSpec, Listing, MarketSpec, SeriesSpec
from kalshi_daemon.simulator.exchange.sim_book import SimBook
from kalshi_daemon.simulator.exchange.sim_fees import FeeModel
from kalshi_daemon.simulator.exchange.sim_orders import SimMarket


@dataclass(frozen=True, slots=True)
class FeeChange:
    """A scheduled change of a series' fees (GET /series/fee_changes)."""

    change_id: str
    series_ticker: str
    fees: FeeModel
    scheduled_ns: Nanos


class Catalogue:
    """Series, events and markets in listing order."""

    def __init__(self) -> None:
        self.series: dict[str, SeriesSpec] = {}
        self.series_fees: dict[str, FeeModel] = {}
        self.event_fees: dict[str, FeeModel] = {}
        self.fee_changes: list[FeeChange] = []
        self.events: dict[str, EventSpec] = {}
        self.markets: dict[str, SimMarket] = {}
        self.by_event: dict[str, tuple[SimMarket, ...]] = {}
        self.by_series: dict[str, list[str]] = {}
        """Series ticker -> event tickers."""

    def add(self, listing: Listing, now_ns: Nanos) -> list[EventSpec]:
        """List what is not listed yet; returns the new events."""
        for series in listing.series:
            if series.ticker not in self.series:
                self.series[series.ticker] = series
                self.series_fees[series.ticker] = series.fees
                self.by_series[series.ticker] = []
        fresh = [event for event in listing.events if event.ticker not in self.events]
        for event in fresh:
            self.events[event.ticker] = event
            self.by_series[event.series_ticker].append(event.ticker)
            self.by_event[event.ticker] = tuple(self._market(spec, now_ns) for spec in event.markets)
        return fresh

    def _market(self, spec: MarketSpec, now_ns: Nanos) -> SimMarket:
        market = SimMarket(
            spec=spec,
            market_id=str(uuid.uuid5(uuid.NAMESPACE_URL, spec.ticker)),
            book=SimBook(),
            fees=self.series_fees[spec.series_ticker],
            grid=spec.grid,
            grid_label=spec.grid_label,
            rank=len(self.markets),
            updated_ns=min(now_ns, spec.open_ns),
        )
        self.markets[spec.ticker] = market
        return market

    def set_series_fees(self, series_ticker: str, fees: FeeModel) -> None:
        """Charge every event of the series by a new schedule, except those with their own."""
        self.series_fees[series_ticker] = fees
        for event_ticker in self.by_series[series_ticker]:
            if event_ticker not in self.event_fees:
                self._charge(event_ticker, fees)

    def set_event_fees(self, event_ticker: str, fees: FeeModel | None) -> None:
        """Override one event's schedule; None goes back to the series'."""
        if fees is None:
            self.event_fees.pop(event_ticker, None)
            fees = self.series_fees[self.events[event_ticker].series_ticker]
        else:
            self.event_fees[event_ticker] = fees
        self._charge(event_ticker, fees)

    def _charge(self, event_ticker: str, fees: FeeModel) -> None:
        for market in self.by_event[event_ticker]:
            market.fees = fees
