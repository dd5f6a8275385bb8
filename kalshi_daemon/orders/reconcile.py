"""Our view against the exchange's lists: findings, never inventions. Pure.

What the exchange lists and we do not know is adopted only when it carries an id of ours; a foreign order is cancelled
(scope `account`) or reported (scope `own`). What we know and the exchange does not list is asked about, one by one:
absence from a list proves nothing, and reads lag writes (docs/reference/venue.md 2.1). A number that differs on both
sides becomes a disagreement with both numbers; nobody is right until the exchange has been asked twice (the caller
holds that rule).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from kalshi_daemon.domain.events import RemoteOrder
from kalshi_daemon.domain.order import Fill, Order, Settlement, Status, VenuePosition
from kalshi_daemon.ground.units import Count, Dollars, Nanos, format_count, format_dollars, format_price
from kalshi_daemon.orders.ids import is_ours
from kalshi_daemon.orders.ledger import revenue

Scope = Literal["account", "own"]


class Act(StrEnum):
    """What a finding asks for."""

    UPDATE = "update"
    """Ours, known on both sides: take over what the exchange shows."""
    ADOPT = "adopt"
    """Carries our id, our journal does not know it: take it in, then cancel it (nobody knows why it rests)."""
    CANCEL_GHOST = "cancel_ghost"
    """Ended in our books, resting at the exchange: cancel it again."""
    CANCEL_FOREIGN = "cancel_foreign"
    REPORT_FOREIGN = "report_foreign"
    ASK = "ask"
    """Live in our books, not in the exchange's list: ask by order id, or by ticker when there is none."""
    DISAGREE = "disagree"
    """Two numbers that should be one."""
    UNREADABLE = "unreadable"
    """A record of the exchange's lists that cannot be read: certain at the first look, and until it can be."""
    IMPOSSIBLE = "impossible"
    """A record that can be read and cannot be meant: certain at the first look too."""


CERTAIN: Final = frozenset({Act.UNREADABLE, Act.IMPOSSIBLE})
"""Findings that need no second look."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference. `key` names the subject, so that two looks can be compared; `text` has both sides' values."""

    act: Act
    key: str
    text: str
    order: Order | None = None
    remote: RemoteOrder | None = None


def compare_orders(
    ours: Mapping[str, Order],
    ended: Mapping[str, Order],
    moving: Collection[str],
    remote: Iterable[RemoteOrder],
    scope: Scope,
) -> list[Finding]:
    """Findings about resting orders.

    `ours` are our live orders that did not change while the list was read; `ended` are ended ones among those the list
    names (client id -> order); `moving` are ids of ours whose state changed too lately to be compared.
    """
    findings: list[Finding] = []
    listed: set[str] = set()
    for theirs in remote:
        name = theirs.client_order_id
        listed.add(name)
        if name in moving:
            continue
        if name in ours:
            findings += _same_order(ours[name], theirs)
        elif name in ended:
            text = f"order {name} is {ended[name].status.value} in our books and resting at the exchange"
            if ended[name].order_id not in (None, theirs.order_id):
                text += f" as {theirs.order_id}, not {ended[name].order_id}"
            findings.append(Finding(Act.CANCEL_GHOST, f"ghost:{name}", text, ended[name], theirs))
        elif is_ours(name):
            text = f"order {name} rests at the exchange and is not in the journal"
            findings.append(Finding(Act.ADOPT, f"adopt:{name}", text, None, theirs))
        else:
            findings.append(_foreign(theirs, scope))
    findings += [
        Finding(Act.ASK, f"ask:{name}", f"order {name} is {order.status.value} and not in the exchange's list", order)
        for name, order in ours.items()
        if name not in listed
    ]
    return findings


def same_terms(order: Order, theirs: RemoteOrder) -> bool:
    """Whether the exchange shows an order as our books have it: market, side, price, count and the exchange's id."""
    said = (theirs.market_ticker, theirs.side, theirs.price, theirs.initial)
    return said == (order.market_ticker, order.side, order.price, order.count) and order.order_id in (
        None,
        theirs.order_id,
    )


def _same_order(order: Order, theirs: RemoteOrder) -> list[Finding]:
    if not same_terms(order, theirs):
        text = (
            f"order {order.client_order_id}: we have {_terms(order.market_ticker, order)} as {order.order_id},"
            f" the exchange {_terms(theirs.market_ticker, theirs)} as {theirs.order_id}"
        )
        return [Finding(Act.DISAGREE, f"order:{order.client_order_id}", text, order, theirs)]
    return [Finding(Act.UPDATE, f"update:{order.client_order_id}", "", order, theirs)]


def _terms(ticker: str, order: Order | RemoteOrder) -> str:
    count = order.count if isinstance(order, Order) else order.initial
    return f"{order.side.value} {format_count(count)} at {format_price(order.price)} in {ticker}"


def _foreign(theirs: RemoteOrder, scope: Scope) -> Finding:
    act = Act.CANCEL_FOREIGN if scope == "account" else Act.REPORT_FOREIGN
    text = f"order {theirs.order_id} ({_terms(theirs.market_ticker, theirs)}) is not ours"
    return Finding(act, f"foreign:{theirs.order_id}", text, None, theirs)


def compare_fills(
    ours: Mapping[str, Fill], remote: Iterable[Fill], since_ns: Nanos, until_ns: Nanos
) -> tuple[list[Fill], list[Finding]]:
    """(fills the exchange lists and we lack, disagreements).

    A fill of ours that the exchange does not list counts as a disagreement only when it happened in [since, until):
    younger ones may not be in the list yet.
    """
    missed: list[Fill] = []
    findings: list[Finding] = []
    listed: set[str] = set()
    for theirs in remote:
        listed.add(theirs.trade_id)
        known = ours.get(theirs.trade_id)
        if known is None:
            missed.append(theirs)
        elif _trade(known) != _trade(theirs):
            text = f"fill {theirs.trade_id}: we have {_trade(known)}, the exchange {_trade(theirs)}"
            findings.append(Finding(Act.DISAGREE, f"fill:{theirs.trade_id}", text))
    for trade_id, fill in ours.items():
        if trade_id not in listed and since_ns <= fill.event_ns < until_ns:
            text = f"fill {trade_id}: we have {_trade(fill)}, the exchange lists none"
            findings.append(Finding(Act.DISAGREE, f"fill:{trade_id}", text))
    return missed, findings


def _trade(fill: Fill) -> str:
    return (
        f"{fill.side.value} {format_count(fill.count)} at {format_price(fill.price)} in {fill.market_ticker}"
        f" (order {fill.order_id}, fee {format_dollars(fill.fee)})"
    )


def compare_positions(
    ours: Mapping[str, Count], remote: Iterable[VenuePosition], leave_out: Collection[str]
) -> list[Finding]:
    """Disagreements of net positions, both numbers named.

    `ours` are our unsettled counts, flat ones included or not; `leave_out` are markets that nobody can compare now
    (changed during the read, waiting for their settlement, or not of our series).
    """
    theirs = {position.market_ticker: position.count for position in remote}
    return [
        Finding(Act.DISAGREE, f"position:{ticker}", position_text(ticker, ours.get(ticker, 0), theirs.get(ticker, 0)))
        for ticker in sorted({*ours, *theirs})
        if ticker not in leave_out and ours.get(ticker, 0) != theirs.get(ticker, 0)
    ]


def position_text(ticker: str, ours: int, theirs: int) -> str:
    """Both positions in words. `ours` and `theirs` in 1/100 contract, negative for NO."""
    return f"position in {ticker}: ours {format_count(Count(ours))}, exchange {format_count(Count(theirs))}"


def compare_settlement(settlement: Settlement, count: Count) -> list[Finding]:
    """Disagreements between a listed settlement and the position we held."""
    ticker = settlement.market_ticker
    findings = []
    net = settlement.yes_count - settlement.no_count
    if net != count:
        text = f"settlement of {ticker}: ours {format_count(count)}, exchange {format_count(Count(net))}"
        findings.append(Finding(Act.DISAGREE, f"settled:{ticker}", text))
    due = revenue(settlement.result, count)
    # The exchange's figure is in whole cents (docs/reference/venue.md 6), so a fraction of a contract may be cut or
    # rounded.
    if due is not None and net == count and abs(due - settlement.revenue) >= _CENT:
        text = (
            f"settlement of {ticker} ({settlement.result}): ours {format_dollars(due)},"
            f" exchange {format_dollars(settlement.revenue)}"
        )
        findings.append(Finding(Act.DISAGREE, f"revenue:{ticker}", text))
    return findings


_CENT: Final = 100
"""In 1/10 000 dollar."""


def compare_balance(expected: Dollars, read: Dollars) -> list[Finding]:
    """A disagreement when cash moved by something else than our fills and settlements."""
    if expected == read:
        return []
    text = f"cash: our fills and settlements leave {format_dollars(expected)}, exchange {format_dollars(read)}"
    return [Finding(Act.DISAGREE, "cash", text)]


def compare_filled(orders: Iterable[Order], totals: Mapping[str, Count]) -> list[Finding]:
    """Orders of which the exchange reported more traded than the fills we know add up to: a fill was missed."""
    return [
        Finding(
            Act.DISAGREE,
            f"filled:{order.client_order_id}",
            f"order {order.client_order_id}: exchange says {format_count(order.filled)} filled, its fills add up to"
            f" {format_count(totals.get(order.client_order_id, Count(0)))}",
            order,
        )
        for order in orders
        if order.status is not Status.REJECTED and order.filled != totals.get(order.client_order_id, Count(0))
    ]


def disagreements(findings: Sequence[Finding]) -> dict[str, str]:
    """key -> text of what is in dispute."""
    return {finding.key: finding.text for finding in findings if finding.act in {Act.DISAGREE, *CERTAIN}}
