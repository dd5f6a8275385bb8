"""What a fill does to the balance by the venue's own rule (docs/reference/venue.md 7.2): the judge of `fill_checks`.

The balance change (signed revenue minus fee) is floored to the account's precision; the difference is a rounding fee,
and an accumulator per order gives back $0.01 whenever the rounding exceeds $0.01.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import PRICE_ONE, Count, Dollars, Price

_MICRO: Final = 100
"""Millionths of a dollar in 1/10 000 dollar: price x count is exact in millionths."""
_REBATE_MICRO: Final = 10_000


class Precision(IntEnum):
    """What an account's balance is kept to, in millionths of a dollar."""

    DIRECT = 100
    """Direct members: $0.0001."""
    CENT = 10_000
    """Accounts behind a broker: $0.01."""


@dataclass(frozen=True, slots=True)
class FillCharge:
    """What one fill does to the balance; micro = millionths of a dollar.

    balance_change is signed and a multiple of the account's precision plus any rebate; net fee is never negative.
    """

    trade_fee: Dollars
    rounding_micro: int
    rebate_micro: int
    balance_change_micro: int
    accumulated_micro: int
    """The order's rounding accumulator after this fill; give it to the next fill of the same order."""

    @property
    def net_fee_micro(self) -> int:
        return self.trade_fee * _MICRO + self.rounding_micro - self.rebate_micro


def charge_fill(
    side: Side,
    price: Price,
    count: Count,
    trade_fee: Dollars,
    *,
    precision: Precision = Precision.DIRECT,
    accumulated_micro: int = 0,
) -> FillCharge:
    """Round one opening fill as the venue does.

    side BID buys YES at `price`, ASK buys NO at the complement; both revenues are negative. A rebate that would make
    the net fee negative waits in the accumulator: the venue promises a net fee >= 0 and rebates in whole cents, and
    does not say which yields on a fill without a trade fee.
    """
    paid = price if side is Side.BID else PRICE_ONE - price
    change = -paid * count - trade_fee * _MICRO
    floored = change // precision * precision
    rounding = change - floored
    accumulated = accumulated_micro + rounding
    rebate = 0
    if accumulated > _REBATE_MICRO and trade_fee * _MICRO + rounding >= _REBATE_MICRO:
        rebate = _REBATE_MICRO
        accumulated -= _REBATE_MICRO
    return FillCharge(
        trade_fee=trade_fee,
        rounding_micro=rounding,
        rebate_micro=rebate,
        balance_change_micro=floored + rebate,
        accumulated_micro=accumulated,
    )
