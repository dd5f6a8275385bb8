"""Fees of a fill as the venue rounds them (docs/reference/venue.md 7.1, 7.2).

fee = multiplier x rate x C x P x (1-P), rate 0.07 taker and 0.0175 maker (maker only with maker fees), rounded up to
$0.0001 per fill. Then the balance change (signed revenue minus fee) is floored to the account's precision; the
difference is a rounding fee, and an accumulator per order gives back $0.01 whenever the rounding exceeds $0.01.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from kalshi_daemon.domain.contract import FeeSchedule, FeeType
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import PRICE_ONE, Count, Dollars, Price

TAKER_RATE: Final = 700
"""0.07 in 1/10 000."""
MAKER_RATE: Final = 175
"""0.0175 in 1/10 000."""
_SCALE: Final = 10**16
"""ppm x rate(1e-4) x count(1e-2) x price(1e-4) x price(1e-4), brought to 1/10 000 dollar."""
_MICRO: Final = 100
"""Millionths of a dollar in 1/10 000 dollar: price x count is exact in millionths."""
_REBATE_MICRO: Final = 10_000


class Precision(IntEnum):
    """What an account's balance is kept to, in millionths of a dollar."""

    DIRECT = 100
    """Direct members: $0.0001."""
    CENT = 10_000
    """Accounts behind a broker: $0.01."""


def taker_fee(schedule: FeeSchedule, price: Price, count: Count) -> Dollars:
    """Trade fee of a taker's fill, rounded up to $0.0001, before balance rounding."""
    return _trade_fee(schedule.multiplier_ppm * TAKER_RATE, price, count)


def maker_fee(schedule: FeeSchedule, price: Price, count: Count) -> Dollars:
    """Trade fee of a maker's fill, rounded up to $0.0001, before balance rounding: 0 on `quadratic` series."""
    if schedule.fee_type is not FeeType.QUADRATIC_WITH_MAKER_FEES:
        return Dollars(0)
    return _trade_fee(schedule.multiplier_ppm * MAKER_RATE, price, count)


def _trade_fee(ppm_rate: int, price: Price, count: Count) -> Dollars:
    exact = ppm_rate * count * price * (PRICE_ONE - price)
    return Dollars(-(-exact // _SCALE))


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
