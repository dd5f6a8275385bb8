"""When today's own forecasts are taken and when they are scored: the record the online layer learns from.

Bounded by construction: at most seven fixings and five marks each, plus two early ones of the close.
"""

from dataclasses import dataclass
from typing import Final

from kalshi_daemon.calibration.recalibration import BUCKET_CENTRES_MIN
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.units import SECOND, Nanos, from_s

HOURLY_MIN_MAX: Final = 60.0
"""Full-hour fixings are scored up to here; longer horizons belong to the close."""
PRICE_AGE_MAX: Final = Nanos(20 * SECOND)
"""A mark or fixing whose last price is older than this is dropped: a wrong price teaches worse than none."""


@dataclass(frozen=True, slots=True, order=True)
class Item:
    """Due once a later price has arrived. `bucket` None: the fixing itself."""

    at_ns: Nanos
    target_ns: Nanos
    bucket: int | None = None


def fixings(session: Session) -> tuple[Nanos, ...]:
    """The full hours after the open up to the close, which is always one of them (also at 13:00)."""
    return (*(at for at in session.full_hours if at < session.close_ns), session.close_ns)


def agenda_of(session: Session, from_ns: Nanos) -> tuple[Item, ...]:
    """Everything due from `from_ns`, the first price, on, by time; marks come before a fixing of their instant."""
    items = []
    for target in fixings(session):
        if target <= from_ns:
            continue
        items.append((target, 1, Item(target, target)))
        for bucket, centre in enumerate(BUCKET_CENTRES_MIN):
            at = Nanos(target - from_s(60.0 * centre))
            if at >= from_ns and (centre <= HOURLY_MIN_MAX or target == session.close_ns):
                items.append((at, 0, Item(at, target, bucket)))
    return tuple(item for _, _, item in sorted(items, key=lambda entry: (entry[0], entry[1])))
