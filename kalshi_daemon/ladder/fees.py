"""Fees of a fill as the venue rounds them (docs/reference/venue.md 7.1, 7.2).

fee = multiplier x rate x C x P x (1-P), rate 0.07 taker and 0.0175 maker (maker only with maker fees), rounded up to
$0.0001 per fill. What rounding of the balance adds to that is at most a cent a fill and is not priced.
"""

from typing import Final

from kalshi_daemon.domain.contract import FeeSchedule, FeeType
from kalshi_daemon.ground.units import PRICE_ONE, Count, Dollars, Price

TAKER_RATE: Final = 700
"""0.07 in 1/10 000."""
MAKER_RATE: Final = 175
"""0.0175 in 1/10 000."""
_SCALE: Final = 10**16
"""ppm x rate(1e-4) x count(1e-2) x price(1e-4) x price(1e-4), brought to 1/10 000 dollar."""


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
