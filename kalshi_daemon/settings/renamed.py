"""Settings that had another name before 0.1.0: an old one is refused with the new one named, never taken silently."""

from collections.abc import Mapping
from typing import Final

RENAMED: Final[Mapping[str, str]] = {
    "index_feed.backoff_most_s": "index_feed.backoff_s_max",
    "calibration.memory_sessions_most": "calibration.memory_sessions_max",
    "calibration.memory_slow_days_most": "calibration.memory_slow_days_max",
    "pricing.book_width_most": "pricing.book_width_max",
    "pricing.rescan_least_s": "pricing.rescan_s_min",
    "guards.clock_skew_most_ms": "guards.clock_skew_ms_max",
    "guards.calibration_age_most_s": "guards.calibration_age_s_max",
    "guards.book_age_most_s": "guards.book_age_s_max",
    "guards.book_lag_most_ms": "guards.book_lag_ms_max",
    "guards.exchange_status_age_most_s": "guards.exchange_status_age_s_max",
    "guards.fee_age_most_s": "guards.fee_age_s_max",
    "guards.balance_age_most_s": "guards.balance_age_s_max",
    "guards.reconciliation_age_most_s": "guards.reconciliation_age_s_max",
    "guards.lots_per_quote_most": "guards.lots_per_quote_max",
    "orders.batch_most": "orders.batch_max",
    "log.file_megabytes_most": "log.file_megabytes_max",
}
_FEED_AGE: Final = "age_most_hours"


def new_name(key: str) -> str:
    """What a dotted key is called now, or "" when it was never another one."""
    section, _, last = key.rpartition(".")
    if last == _FEED_AGE and section.startswith("macro.feeds."):
        return f"{section}.age_hours_max"
    return RENAMED.get(key, "")
