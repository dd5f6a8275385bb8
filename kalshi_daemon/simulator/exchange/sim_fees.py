"""What a fill costs, with the venue's rounding (docs/reference/venue.md 7.1, 7.2).

Amounts here are in micro-dollars (1e-6), the finest a price of 1/10 000 dollar times 1/100 contract can be.

Per fill: the trade fee is rounded up to $0.0001; the balance change (revenue minus trade fee) is rounded down to the
member's balance precision and the difference is a rounding fee; an accumulator per order gives back one cent each time
more than one cent of rounding has gathered. The net fee of a fill is never below zero.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kalshi_daemon.ground.units import PRICE_ONE, Count, Price

CENT: Final = 10_000
"""One cent in micro-dollars."""
CENTICENT: Final = 100
"""$0.0001 in micro-dollars: the balance precision of a direct member. Others have CENT."""
_RATE_TAKER: Final = 700
_RATE_MAKER: Final = 175
_ONE_MILLION: Final = 1_000_000
_FEE_DENOMINATOR: Final = _ONE_MILLION * 10_000 * 100 * 10_000 * 10_000 // 10_000
"""multiplier_ppm x rate/10 000 x count/100 x price/10 000 x (1 - price)/10 000, counted in $0.0001."""


class FeeKind(StrEnum):
    """The venue's `fee_type`s (Get Series)."""

    QUADRATIC = "quadratic"
    QUADRATIC_WITH_MAKER_FEES = "quadratic_with_maker_fees"
    QUADRATIC_WITH_COMBO_MAKER_FEES = "quadratic_with_combo_maker_fees"
    FLAT = "flat"


@dataclass(frozen=True, slots=True)
class FeeModel:
    """One series' (or event's) schedule. `multiplier_ppm` is the multiplier in millionths."""

    kind: FeeKind = FeeKind.QUADRATIC
    multiplier_ppm: int = _ONE_MILLION


@dataclass(frozen=True, slots=True)
class FillFee:
    """The parts of one fill's fee in micro-dollars, and the order's accumulator after it."""

    trade_fee: int
    rounding_fee: int
    rebate: int
    accumulated: int

    @property
    def net(self) -> int:
        return self.trade_fee + self.rounding_fee - self.rebate


def trade_fee(model: FeeModel, price: Price, count: Count, *, taker: bool) -> int:
    """Micro-dollars, rounded up to $0.0001. `flat` is not published in detail and priced like `quadratic` here."""
    if taker:
        rate = _RATE_TAKER
    elif model.kind in (FeeKind.QUADRATIC, FeeKind.FLAT):
        return 0
    else:
        rate = _RATE_MAKER
    exact = model.multiplier_ppm * rate * count * price * (PRICE_ONE - price)
    return -(-exact // _FEE_DENOMINATOR) * CENTICENT


def fee_max(model: FeeModel, count: Count) -> int:
    """The largest taker fee this many contracts can cost, in micro-dollars (at a price of one half), plus a cent."""
    return trade_fee(model, Price(PRICE_ONE // 2), count, taker=True) + CENT


def fill_fee(revenue: int, fee: int, precision: int, accumulated: int) -> FillFee:
    """Round one fill.

    revenue: signed micro-dollars before fees, negative for a payer.
    fee: the trade fee in micro-dollars; precision: CENTICENT or CENT; accumulated: the order's so far.
    """
    change = revenue - fee
    rounding = change % precision
    accumulated += rounding
    # A rebate that would make the net fee negative waits for a fill that carries it.
    rebate = CENT if accumulated > CENT and fee + rounding >= CENT else 0
    return FillFee(fee, rounding, rebate, accumulated - rebate)
