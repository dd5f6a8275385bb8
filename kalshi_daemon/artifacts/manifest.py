"""The manifest of a scan: what went in, what each guard measured, what was sent. Accepted or refused, one per scan.

Prices, counts and dollars are written in the venue's text form, exact; probabilities are numbers; a number we did not
have is null.
"""

from collections.abc import Iterable
from typing import Any, Final

from kalshi_daemon.domain.order import Order
from kalshi_daemon.domain.quote import Look, Profile, Quote, QuotePlan
from kalshi_daemon.domain.verdict import Verdict
from kalshi_daemon.domain.window import Window
from kalshi_daemon.ground.clock import iso_utc
from kalshi_daemon.ground.units import Price, format_count, format_dollars, format_level, format_price, to_s
from kalshi_daemon.guardrails.chain import JudgedQuote, Judgement

Json = dict[str, Any]

SCHEMA: Final = 1


def build_manifest(plan: QuotePlan, judgement: Judgement, orders: Iterable[Order], *, run_id: str, mode: str) -> Json:
    """Everything about one scan as a JSON object. `orders` are the ones placed for it (empty when refused)."""
    return {
        "schema": SCHEMA,
        "plan_id": plan.plan_id,
        "run_id": run_id,
        "mode": mode,
        "generated_at": iso_utc(plan.made_ns),
        "series": plan.window.series.ticker,
        "outcome": outcome_of(plan, judgement),
        "trigger": plan.trigger,
        "window": window_json(plan.window),
        "profile": _profile(plan.profile),
        "inputs": {
            "index": plan.window.series.index.value,
            "level": plan.forecast_level,
            "sigma": plan.forecast_sigma,
            "seconds_to_fixing": to_s(type(plan.made_ns)(plan.window.target_ns - plan.made_ns)),
        },
        "verdicts": [verdict_json(verdict) for verdict in judgement.plan_verdicts],
        "looks": [_look(look) for look in plan.looks],
        "quotes": [_judged(one) for one in judgement.quotes],
        "keep": list(plan.keep),
        "cancel": [{"client_order_id": name, "reason": reason} for name, reason in plan.cancel],
        "orders": [order_json(order) for order in orders],
    }


def outcome_of(plan: QuotePlan, judgement: Judgement) -> str:
    """One word for the scan: `quoted`, `window_closed`, `quotes_refused`, `kept` or `nothing_worth_quoting`."""
    if judgement.accepted:
        return "quoted"
    if judgement.closed:
        return "window_closed"
    if plan.quotes:
        return "quotes_refused"
    return "kept" if plan.keep else "nothing_worth_quoting"


def verdict_json(verdict: Verdict) -> Json:
    return {
        "guard": verdict.guard,
        "passed": verdict.passed,
        "measured": verdict.measured,
        "limit": verdict.limit,
        "unit": verdict.unit,
        "closing": verdict.closing.value,
        "forced": verdict.forced,
        "note": verdict.note,
    }


def window_json(window: Window) -> Json:
    return {
        "event_ticker": window.event_ticker,
        "session": window.session,
        "opens": iso_utc(window.opens_ns),
        "new_until": iso_utc(window.new_until_ns),
        "gone_by": iso_utc(window.gone_by_ns),
        "target": iso_utc(window.target_ns),
    }


def quote_json(quote: Quote) -> Json:
    return {
        "market": quote.market_ticker,
        "side": quote.side.value,
        "price": format_price(quote.price),
        "count": format_count(quote.count),
        "profile": quote.profile,
        "fair": quote.fair,
        "model_fair": quote.model_fair,
        "required_edge": quote.required_edge,
        "ev": _dollars(quote.ev),
        "fee": format_dollars(quote.fee),
        "max_loss": format_dollars(quote.max_loss),
    }


def order_json(order: Order) -> Json:
    return {
        "client_order_id": order.client_order_id,
        "order_id": order.order_id,
        "market": order.market_ticker,
        "side": order.side.value,
        "price": format_price(order.price),
        "count": format_count(order.count),
        "status": order.status.value,
        "expires": iso_utc(order.expires_ns),
        "reason": order.reason,
    }


def _judged(one: JudgedQuote) -> Json:
    return {**quote_json(one.quote), "accepted": one.accepted, "verdicts": [verdict_json(v) for v in one.verdicts]}


def _look(look: Look) -> Json:
    return {
        "market": look.market_ticker,
        "fair": look.fair,
        "model_fair": look.model_fair,
        "best_bid": None if look.best_bid is None else format_price(look.best_bid),
        "best_ask": None if look.best_ask is None else format_price(look.best_ask),
        "outcome": look.outcome,
        "detail": look.detail,
        "pays_from": None if look.lowest is None else format_level(look.lowest),
        "pays_to": None if look.highest is None else format_level(look.highest),
    }


def _profile(profile: Profile) -> Json:
    return {
        "name": profile.name,
        "lots": profile.lots,
        "bins": profile.bins,
        "impact_cap": format_price(profile.impact_cap),
        "min_ev": _dollars(profile.min_ev),
    }


def _dollars(amount: Price) -> str:
    """A price-like amount that may be negative."""
    sign = "-" if amount < 0 else ""
    return f"{sign}{format_price(Price(abs(amount)))}"
