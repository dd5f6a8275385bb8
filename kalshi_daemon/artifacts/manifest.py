"""The manifest of a scan: what went in, what each guard measured, what was sent. Accepted or refused, one per scan.

Prices, counts and dollars are written in the venue's text form, exact; probabilities are numbers; a number we did not
have is null. Fields stand in the order of the file; those with a default are younger than the first manifests.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Annotated, ClassVar

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from kalshi_daemon.domain.order import Order
from kalshi_daemon.domain.quote import Look, Profile, Quote, QuotePlan
from kalshi_daemon.domain.verdict import JudgedQuote, Judgement, Verdict
from kalshi_daemon.domain.window import Window
from kalshi_daemon.ground.clock import iso_utc
from kalshi_daemon.ground.units import Nanos, Price, format_count, format_dollars, format_level, format_price, to_s


def _whole(found: object) -> object:
    """A verdict that is read says everything: what has a default in the code was written too."""
    if isinstance(found, dict):
        for one in fields(Verdict):
            if one.name not in found:
                raise PydanticCustomError("lacks", "lacks {name}", {"name": repr(one.name)})
    return found


VerdictRow = Annotated[Verdict, BeforeValidator(_whole)]
"""A verdict in a document."""


@dataclass(frozen=True, slots=True)
class WindowRow:
    """The window that was scanned. Times: UTC."""

    event_ticker: str
    session: str
    opens: str
    new_until: str
    gone_by: str
    target: str


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """Whose quotes they are. Prices in dollars."""

    name: str
    lots: int
    bins: int
    impact_cap: str
    min_ev: str


@dataclass(frozen=True, slots=True)
class InputsRow:
    """What the forecast stood on. `level` in points, `sigma` of ln(fixing / level)."""

    index: str
    level: float | None
    sigma: float | None
    seconds_to_fixing: float


@dataclass(frozen=True, slots=True)
class LookRow:
    """One market as the scan saw it; `best_bid` and `best_ask` are the others'."""

    market: str
    fair: float | None
    model_fair: float | None
    best_bid: str | None
    best_ask: str | None
    outcome: str
    """A word of `ladder.outcomes`."""
    detail: str
    pays_from: str | None = None
    pays_to: str | None = None
    """The settlement values for which YES pays, ends included; null is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteRow:
    """A quote that was proposed. `price` on the YES scale, `ev`, `fee` and `max_loss` in dollars."""

    market: str
    side: str
    price: str
    count: str
    profile: str
    fair: float | None
    model_fair: float | None
    required_edge: float | None
    ev: str
    fee: str
    max_loss: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedRow(QuoteRow):
    """The same with what the guards said of it."""

    accepted: bool
    verdicts: tuple[VerdictRow, ...]


@dataclass(frozen=True, slots=True)
class CancelRow:
    """An order that the plan takes back, and why."""

    client_order_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An order that was placed for the scan, as it stood then."""

    client_order_id: str
    order_id: str | None
    market: str
    side: str
    price: str
    count: str
    status: str
    expires: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The document `manifest.json`."""

    WHAT: ClassVar[str] = "manifest"
    SCHEMA: ClassVar[int] = 1

    schema: int = SCHEMA
    plan_id: str
    run_id: str
    mode: str
    generated_at: str
    series: str
    outcome: str
    """What `outcome_of` says."""
    trigger: str
    window: WindowRow
    profile: ProfileRow
    inputs: InputsRow
    verdicts: tuple[VerdictRow, ...]
    """The window's; a quote has its own."""
    looks: tuple[LookRow, ...]
    quotes: tuple[JudgedRow, ...]
    keep: tuple[str, ...]
    """Client ids of resting orders that stay."""
    cancel: tuple[CancelRow, ...]
    orders: tuple[OrderRow, ...]


def build_manifest(
    plan: QuotePlan, judgement: Judgement, orders: Iterable[Order], *, run_id: str, mode: str
) -> Manifest:
    """Everything about one scan. `orders` are the ones placed for it (empty when refused)."""
    return Manifest(
        plan_id=plan.plan_id,
        run_id=run_id,
        mode=mode,
        generated_at=iso_utc(plan.made_ns),
        series=plan.window.series.ticker,
        outcome=outcome_of(plan, judgement),
        trigger=plan.trigger,
        window=_window(plan.window),
        profile=_profile(plan.profile),
        inputs=InputsRow(
            index=plan.window.series.index.value,
            level=plan.forecast_level,
            sigma=plan.forecast_sigma,
            seconds_to_fixing=to_s(Nanos(plan.window.target_ns - plan.made_ns)),
        ),
        verdicts=judgement.plan_verdicts,
        looks=tuple(_look(look) for look in plan.looks),
        quotes=tuple(_judged(one) for one in judgement.quotes),
        keep=tuple(plan.keep),
        cancel=tuple(CancelRow(name, reason) for name, reason in plan.cancel),
        orders=tuple(_order(order) for order in orders),
    )


def outcome_of(plan: QuotePlan, judgement: Judgement) -> str:
    """One word for the scan: `quoted`, `window_closed`, `quotes_refused`, `kept` or `nothing_worth_quoting`."""
    if judgement.accepted:
        return "quoted"
    if judgement.closed:
        return "window_closed"
    if plan.quotes:
        return "quotes_refused"
    return "kept" if plan.keep else "nothing_worth_quoting"


def quote_row(quote: Quote) -> QuoteRow:
    """A proposed quote as the manifest writes it: price in dollars, count in contracts, as text."""
    return QuoteRow(
        market=quote.market_ticker,
        side=quote.side.value,
        price=format_price(quote.price),
        count=format_count(quote.count),
        profile=quote.profile,
        fair=quote.fair,
        model_fair=quote.model_fair,
        required_edge=quote.required_edge,
        ev=_dollars(quote.ev),
        fee=format_dollars(quote.fee),
        max_loss=format_dollars(quote.max_loss),
    )


def _judged(one: JudgedQuote) -> JudgedRow:
    proposed = quote_row(one.quote)
    row = {one.name: getattr(proposed, one.name) for one in fields(QuoteRow)}
    return JudgedRow(**row, accepted=one.accepted, verdicts=one.verdicts)


def _window(window: Window) -> WindowRow:
    return WindowRow(
        event_ticker=window.event_ticker,
        session=window.session,
        opens=iso_utc(window.opens_ns),
        new_until=iso_utc(window.new_until_ns),
        gone_by=iso_utc(window.gone_by_ns),
        target=iso_utc(window.target_ns),
    )


def _order(order: Order) -> OrderRow:
    return OrderRow(
        client_order_id=order.client_order_id,
        order_id=order.order_id,
        market=order.market_ticker,
        side=order.side.value,
        price=format_price(order.price),
        count=format_count(order.count),
        status=order.status.value,
        expires=iso_utc(order.expires_ns),
        reason=order.reason,
    )


def _look(look: Look) -> LookRow:
    return LookRow(
        market=look.market_ticker,
        fair=look.fair,
        model_fair=look.model_fair,
        best_bid=None if look.best_bid is None else format_price(look.best_bid),
        best_ask=None if look.best_ask is None else format_price(look.best_ask),
        outcome=look.outcome,
        detail=look.detail,
        pays_from=None if look.lowest is None else format_level(look.lowest),
        pays_to=None if look.highest is None else format_level(look.highest),
    )


def _profile(profile: Profile) -> ProfileRow:
    return ProfileRow(
        name=profile.name,
        lots=profile.lots,
        bins=profile.bins,
        impact_cap=format_price(profile.impact_cap),
        min_ev=_dollars(profile.min_ev),
    )


def _dollars(amount: Price) -> str:
    """A price-like amount that may be negative."""
    sign = "-" if amount < 0 else ""
    return f"{sign}{format_price(Price(abs(amount)))}"
