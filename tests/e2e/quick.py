"""Settings that make a daemon quote within seconds of its start."""

QUICK = {
    "KALSHI_DAEMON_CALIBRATION__READY_AFTER_MINUTES": "0",
    "KALSHI_DAEMON_PROFILES__WIDE__SCAN_EVERY_S": "1",
    "KALSHI_DAEMON_PROFILES__SIZE__SCAN_EVERY_S": "1",
    "KALSHI_DAEMON_PROFILES__CLOSE__SCAN_EVERY_S": "1",
}
"""A daemon on the clock of life cannot wait three minutes for its model and three more for its next scan."""

MANY = QUICK | {
    "KALSHI_DAEMON_PROFILES__WIDE__BINS": "120",
    "KALSHI_DAEMON_PROFILES__WIDE__IMPACT_CAP": "0.5",
    "KALSHI_DAEMON_PROFILES__WIDE__MIN_EV": "-1",
    "KALSHI_DAEMON_PROFILES__SIZE__ENABLED": "false",
    "KALSHI_DAEMON_PRICING__BASE_EDGE": "0",
    "KALSHI_DAEMON_PRICING__K_STALE": "0",
    "KALSHI_DAEMON_PRICING__K_VOL": "0",
    "KALSHI_DAEMON_PRICING__K_CALIBRATION": "0",
    "KALSHI_DAEMON_PRICING__TAIL_PROBABILITY": "0",
    "KALSHI_DAEMON_PRICING__KEEP_EDGE_SHARE": "0",
    "KALSHI_DAEMON_GUARDS__DAILY_LOSS_DOLLARS": "100000",
    "KALSHI_DAEMON_GUARDS__WEEKLY_LOSS_DOLLARS": "100000",
    "KALSHI_DAEMON_GUARDS__PAL_HOURLY_DOLLARS": "100000",
}
"""As many resting orders as the ladders give: no edge asked for, no budget in the way."""
