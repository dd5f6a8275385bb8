"""Settings that make a daemon quote within seconds of its start."""

QUICK = {
    "KALSHI_DAEMON_CALIBRATION__READY_AFTER_MINUTES": "0",
    # A model that knows nothing of its day may be three times as wide as the books, for minutes: the guard is right.
    "KALSHI_DAEMON_GUARDS__SIGMA_BOOKS_RATIO_MAX": "100",
    "KALSHI_DAEMON_PROFILES__WIDE__SCAN_EVERY_S": "1",
    "KALSHI_DAEMON_PROFILES__SIZE__SCAN_EVERY_S": "1",
    "KALSHI_DAEMON_PROFILES__CLOSE__SCAN_EVERY_S": "1",
}
"""A daemon on the clock of life cannot wait three minutes for its model and three more for its next scan."""

SLICE = {name: "20" if "SCAN_EVERY" in name else value for name, value in QUICK.items()}
"""The same where a minute takes less than a second."""


def stopping_within(seconds: int) -> dict[str, str]:
    """A short stop deadline, and time-outs that leave a stop its second request."""
    timeout_ms = str(seconds * 500)
    return {
        "KALSHI_DAEMON_ORDERS__STOP_DEADLINE_S": str(seconds),
        "KALSHI_DAEMON_KALSHI__READ_TIMEOUT_MS": timeout_ms,
        "KALSHI_DAEMON_KALSHI__WRITE_TIMEOUT_MS": timeout_ms,
    }
