"""The digest as one JSON object. Money and counts in the venue's text form, exact; shares and edges are numbers.

What is not known is null, never 0.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Final

from kalshi_daemon.artifacts.monitors import ReadingLine, RecordOfIndex
from kalshi_daemon.digest.digest import Digest
from kalshi_daemon.digest.fills import FillLine, FillSums
from kalshi_daemon.digest.markouts import MarketEdge, MarketMeans
from kalshi_daemon.digest.means import Mean
from kalshi_daemon.digest.money import Fixing, Money, OpenLine, Part
from kalshi_daemon.digest.quoting import Quoting, Refusal, WindowQuoting
from kalshi_daemon.digest.records import Json, ranked
from kalshi_daemon.digest.service import Delay, Link, Service
from kalshi_daemon.ground.clock import iso_utc
from kalshi_daemon.ground.units import (
    MILLISECOND,
    SECOND,
    Count,
    Dollars,
    Nanos,
    format_count,
    format_dollars,
    format_price,
)

SCHEMA: Final = 2
"""2: markouts against the others' prices, and the errors of means."""
_UNKNOWN_SHOWN: Final = 20


def document(digest: Digest) -> Json:
    """The digest as JSON: money as strings of dollars, times in UTC."""
    records = digest.records
    return {
        "schema": SCHEMA,
        "date": records.day.isoformat(),
        "mode": records.mode,
        "generated_at": iso_utc(records.now_ns),
        "money": _money(digest.money),
        "fills": _fills(digest.fills),
        "quoting": _quoting(digest.quoting),
        "forecast": {
            "readings": None if records.forecast is None else _readings(records.forecast),
            "alarms": [_refusal(one) for one in digest.quoting.alarms],
        },
        "service": None if digest.service is None else _service(digest.service),
        "notes": list(records.notes),
    }


def _readings(record: Mapping[str, RecordOfIndex]) -> Json:
    """As `read_forecast` reads them again."""
    return {
        index: {name: asdict(one) if isinstance(one, ReadingLine) else one for name, one in figures.items()}
        for index, figures in record.items()
    }


def _money(money: Money) -> Json:
    return {
        "profit_dollars": format_dollars(money.profit),
        "week_profit_dollars": format_dollars(money.week_profit),
        "fees_dollars": format_dollars(money.fees),
        "open_profit_dollars": _round(money.open_profit),
        "by_series": [_part(one) for one in money.by_series],
        "by_window": [_part(one) for one in money.by_window],
        "by_profile": [_part(one) for one in money.by_profile],
        "open": [_open(one) for one in money.open],
        "budgets": [
            {
                "guard": peak.guard,
                "dollars_max": peak.measured,
                "limit_dollars": peak.limit,
                "at": iso_utc(peak.at_ns),
                "note": peak.note,
            }
            for peak in money.peaks
        ],
        "fixings": [_fixing(one) for one in money.fixings],
        "corrections": [
            {
                "market": one.market_ticker,
                "count": format_count(one.count),
                "result": one.result,
                "previous_result": one.previous_result,
                "at": iso_utc(one.booked_ns),
                "profit_dollars": format_dollars(one.profit),
            }
            for one in money.corrections
        ],
    }


def _part(part: Part) -> Json:
    return {
        "name": part.name,
        "profit_dollars": format_dollars(Dollars(part.profit)),
        "fees_dollars": format_dollars(Dollars(part.fees)),
        "fills": part.fills,
        "contracts": format_count(Count(part.contracts)),
        "markets_settled": len(part.markets),
    }


def _open(line: OpenLine) -> Json:
    return {
        "market": line.market.market_ticker,
        "count": format_count(line.market.count),
        "cash_dollars": format_dollars(line.market.cash),
        "fair": line.fair,
        "fair_at": _at(line.fair_ns),
        "profit_dollars": _round(line.profit),
    }


def _fixing(one: Fixing) -> Json:
    return {
        "window": one.window.event,
        "at": iso_utc(one.window.target_ns),
        "index": one.window.index.value,
        "our_last_value": _round(one.index, 2),
        "settled_yes": one.yes,
        "settled_no": one.no,
        "disagree": list(one.disagree),
        "paid_dollars": format_dollars(one.paid),
        "profit_dollars": format_dollars(one.profit),
    }


def _fills(fills: FillSums) -> Json:
    return {
        "count": fills.count,
        "contracts": format_count(fills.contracts),
        "maker_share": fills.maker_share,
        "fees_dollars": format_dollars(fills.fees),
        "expected_edge": _mean(fills.expected),
        "market_markouts": [_market(one) for one in fills.market],
        "markouts": [
            {
                "seconds": one.horizon_s,
                **_mean(one.every),
                "by_source": {source: _mean(mean) for source, mean in one.by_source.items()},
            }
            for one in fills.markouts
        ],
        "realised_edge": _mean(fills.realised),
        "worst": [_fill(line) for line in fills.worst],
        "lines": [_fill(line) for line in fills.lines],
    }


def _market(one: MarketMeans) -> Json:
    return {
        "seconds": one.horizon_s,
        "mid": _mean(one.mid),
        "microprice": _mean(one.microprice),
        "half_spread": _mean(one.half_spread),
        "adverse": _mean(one.adverse),
    }


def _market_edge(one: MarketEdge | None) -> Json | None:
    return None if one is None else {name: _round(value) for name, value in asdict(one).items()}


def _mean(mean: Mean) -> Json:
    return {
        "per_contract_dollars": _round(mean.per_contract),
        "error_dollars": _round(mean.error),
        "windows": mean.windows,
        "dollars": _round(mean.dollars) if mean.fills else None,
        "fills": mean.fills,
        "missing": mean.missing,
    }


def _fill(line: FillLine) -> Json:
    booked, fill = line.record.booked, line.record.booked.fill
    return {
        "at": iso_utc(fill.event_ns),
        "market": fill.market_ticker,
        "window": booked.event_ticker,
        "profile": line.record.profile,
        "side": fill.side.value,
        "price": format_price(fill.price),
        "count": format_count(fill.count),
        "fee_dollars": format_dollars(fill.fee),
        "cash_dollars": format_dollars(line.cash),
        "taker": fill.is_taker,
        "fair": line.record.fair,
        "expected_edge": _round(line.expected),
        "market_markouts": {f"{horizon}s": _market_edge(one) for horizon, one in line.market.items()},
        "markouts": {
            f"{horizon}s": None if one is None else {"edge": _round(one.edge), "source": one.source}
            for horizon, one in line.markouts.items()
        },
        "realised_edge": _round(line.realised),
        "trade_id": fill.trade_id,
    }


def _quoting(quoting: Quoting) -> Json:
    return {
        "windows_scanned": len(quoting.windows),
        "scans": quoting.scans,
        "orders_placed": quoting.placed,
        "orders_not_placed": dict(quoting.not_placed),
        "orders_by_status": dict(quoting.ends),
        "orders_cancelled": quoting.cancelled,
        "cancelled_by_reason": dict(quoting.cancelled_why),
        "contracts_placed": format_count(quoting.placed_contracts),
        "contracts_filled": format_count(quoting.filled_contracts),
        "orders_filled": quoting.filled_orders,
        "fill_ratio": _round(quoting.fill_ratio),
        "guards": [_refusal(one) for one in quoting.refusals],
        "windows": [_window(one) for one in quoting.windows],
    }


def _refusal(one: Refusal) -> Json:
    return {
        "guard": one.guard,
        "scans_refused": one.count.scans,
        "quotes_refused": one.count.quotes,
        "forced": one.count.forced,
        "closed_s": one.closed_ns // SECOND,
        "last": one.count.last,
    }


def _window(one: WindowQuoting) -> Json:
    return {
        "window": one.window.event,
        "series": one.window.series,
        "fixing": iso_utc(one.window.target_ns),
        "scans": one.window.scans,
        "proposed": one.window.proposed,
        "accepted": one.window.accepted,
        "orders": one.orders,
        "orders_filled": one.filled,
        "open_s": one.open_ns // SECOND,
        "quoted_s": one.quoted_ns // SECOND,
        "quoted_share": _round(one.share),
    }


def _service(service: Service) -> Json:
    log = service.log
    early = log.early_ms
    return {
        "runs": [
            {
                "run_id": run.run_id,
                "first": iso_utc(run.first_ns),
                "last": iso_utc(run.last_ns),
                "ready": run.ready,
                "stop_reason": run.stop_reason or None,
                "finished": run.finished,
            }
            for run in log.runs.values()
        ],
        "restarts": service.restarts,
        "up_s": service.up_ns // SECOND,
        "feed": _link(log.feed),
        "stream": _link(log.stream),
        "ticks": [
            {
                "index": one.index.value,
                "ticks": one.ticks,
                "delay_ms": delay_ms(one.delay),
                "silent_minutes": one.silent_minutes,
            }
            for one in service.ticks
        ],
        "order_ack_ms": delay_ms(service.ack),
        "cancel_ack_ms": delay_ms(service.cancel),
        "scan_ms": delay_ms(service.scan),
        "stream_lag_ms": delay_ms(service.stream_lag_ms, 1),
        "cutoffs_verified": log.cutoffs_verified,
        "cutoffs_unverified": list(log.cutoffs_unverified),
        "smallest_early_ms": None if early is None else {"early_ms": early[0], "window": early[1]},
        "stops_unverified": log.stops_unverified,
        "unknown_outcomes": len(service.unknown),
        "unknown": [
            {
                "client_order_id": one.client_order_id,
                "since": iso_utc(one.since_ns),
                "unknown_ms": None if one.took_ns is None else one.took_ns // MILLISECOND,
            }
            for one in service.unknown[:_UNKNOWN_SHOWN]
        ],
        "rate_limited": log.rate_limited,
        "warnings_and_errors": ranked(log.levels),
        "log_lines": log.lines,
        "log_unreadable": log.unreadable,
    }


def _link(link: Link) -> Json:
    return {
        "sessions": link.opened,
        "reconnects": link.reconnects,
        "down_s": round(link.down_ns / SECOND, 3),
        "ends": ranked(link.ends),
    }


def delay_ms(delay: Delay, unit: int = MILLISECOND) -> Json:
    """Percentiles in ms; `unit`: ns (or what else was counted) in one."""

    def say(value: int | None) -> float | None:
        return None if value is None else round(value / unit, 3)

    return {"n": delay.n, "p50": say(delay.p50), "p99": say(delay.p99), "most": say(delay.most)}


def _round(value: float | None, digits: int = 6) -> float | None:
    return None if value is None else round(value, digits)


def _at(ns: Nanos | None) -> str | None:
    return None if ns is None else iso_utc(ns)
