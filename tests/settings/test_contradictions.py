"""Settings that are each in range and together make no sense are refused with both keys, exit code 78."""

import pytest

from kalshi_daemon.ground.errors import ConfigurationError, ExitCode
from kalshi_daemon.settings.loader import Credentials, load_settings


def load(**env: str):
    return load_settings(None, env, None, {}, needs=Credentials.NONE)


def refused(**env: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(**env)
    assert caught.value.exit_code is ExitCode.CONFIG
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "keys"),
    [
        ("PROFILES__SIZE__LOTS", "3", ("profiles.size.lots", "guards.lots_per_quote_max")),
        ("GUARDS__FEED_AGE_SOFT_MS", "5001", ("guards.feed_age_soft_ms", "guards.feed_age_pull_ms")),
        ("GUARDS__SIGMA_BOOKS_RATIO_MIN", "4", ("guards.sigma_books_ratio_min", "guards.sigma_books_ratio_max")),
        (
            "RETENTION__DISK_FREE_HARD_MEGABYTES_MIN",
            "1001",
            ("retention.disk_free_hard_megabytes_min", "retention.disk_free_soft_megabytes_min"),
        ),
        (
            "RETENTION__DISK_FREE_HARD_INODES_MIN",
            "20001",
            ("retention.disk_free_hard_inodes_min", "retention.disk_free_soft_inodes_min"),
        ),
        ("INDEX_FEED__BACKOFF_FIRST_S", "31", ("index_feed.backoff_first_s", "index_feed.backoff_s_max")),
        ("WINDOWS__NEW_QUOTES_UNTIL_S", "3600", ("windows.new_quotes_until_s", "windows.close_opens_before_s")),
        ("WINDOWS__FIRST_QUOTES", "15:55", ("windows.first_quotes", "windows.new_quotes_until_s")),
        ("WINDOWS__GONE_BY_S", "290.1", ("windows.gone_by_s", "windows.new_quotes_until_s", "windows.cancel_lead_s")),
        ("GUARDS__FEED_AGE_FINAL_MINUTE_MS", "2501", ("guards.feed_age_final_minute_ms", "guards.feed_age_soft_ms")),
        ("GUARDS__DAILY_LOSS_DOLLARS", "250.01", ("guards.daily_loss_dollars", "guards.weekly_loss_dollars")),
        ("ORDERS__GROUP_CONTRACTS_LIMIT", "1", ("profiles.size.lots", "orders.group_contracts_limit")),
        ("ORDERS__LEASE_S", "15.9", ("orders.lease_s", "kalshi.write_timeout_ms")),
        ("KALSHI__STATUS_POLL_S", "60", ("kalshi.status_poll_s", "guards.exchange_status_age_s_max")),
        ("GUARDS__FEE_AGE_S_MAX", "1800", ("kalshi.fee_poll_s", "guards.fee_age_s_max")),
        ("GUARDS__BOOK_AGE_S_MAX", "20", ("kalshi.book_silence_s", "guards.book_age_s_max")),
        ("ORDERS__RECONCILE_EVERY_S", "180", ("orders.reconcile_every_s", "guards.reconciliation_age_s_max")),
        ("GUARDS__BALANCE_AGE_S_MAX", "60", ("orders.reconcile_every_s", "guards.balance_age_s_max")),
        ("PROFILES__WIDE__SERIES", "[]", ("profiles.wide.series", "profiles.wide.enabled")),
        ("SIM__UNTIL", "09:25", ("sim.until", "sim.start")),
        ("ORDERS__STOP_DEADLINE_S", "9.9", ("orders.stop_deadline_s", "kalshi.read_timeout_ms")),
        ("WINDOWS__CANCEL_LEAD_S", "9.9", ("windows.cancel_lead_s", "kalshi.read_timeout_ms")),
        ("KALSHI__READ_TIMEOUT_MS", "5001", ("windows.cancel_lead_s", "kalshi.read_timeout_ms")),
        ("KALSHI__WRITE_TIMEOUT_MS", "5001", ("windows.cancel_lead_s", "kalshi.write_timeout_ms")),
        ("ORDERS__UNKNOWN_ASK_AFTER_MS", "10000", ("orders.unknown_ask_after_ms", "windows.cancel_lead_s")),
        ("GUARDS__CLOCK_SKEW_MS_MAX", "10000", ("guards.clock_skew_ms_max", "windows.cancel_lead_s")),
        ("LOG__FILE_MEGABYTES_MAX", "1001", ("log.file_megabytes_max", "retention.megabytes_max")),
        ("KALSHI__WRITE_TIMEOUT_MS", "10001", ("orders.stop_deadline_s", "kalshi.write_timeout_ms")),
    ],
)
def test_a_contradiction_is_refused_with_both_keys(name, value, keys):
    problem = refused(**{f"KALSHI_DAEMON_{name}": value})
    assert all(key in problem for key in keys)


def test_a_limit_just_inside_is_no_contradiction():
    load(KALSHI_DAEMON_ORDERS__LEASE_S="16", KALSHI_DAEMON_GUARDS__DAILY_LOSS_DOLLARS="250")
    load(KALSHI_DAEMON_WINDOWS__FIRST_QUOTES="15:54:59", KALSHI_DAEMON_GUARDS__BOOK_AGE_S_MAX="20.1")
    load(KALSHI_DAEMON_WINDOWS__CANCEL_LEAD_S="10", KALSHI_DAEMON_KALSHI__WRITE_TIMEOUT_MS="5000")
    load(KALSHI_DAEMON_ORDERS__UNKNOWN_ASK_AFTER_MS="9999", KALSHI_DAEMON_GUARDS__CLOCK_SKEW_MS_MAX="9999")
    load(KALSHI_DAEMON_LOG__FILE_MEGABYTES_MAX="1000")
    load(KALSHI_DAEMON_ORDERS__GROUP_CONTRACTS_LIMIT="2", KALSHI_DAEMON_GUARDS__FEED_AGE_FINAL_MINUTE_MS="2500")


def test_a_fill_is_accepted_or_dismissed():
    env = {"FILLS_ACCEPTED": '["a", "b"]', "FILLS_DISMISSED": '["c", "b"]'}
    problem = refused(**{f"KALSHI_DAEMON_ORDERS__{name}": value for name, value in env.items()})
    assert "orders.fills_dismissed names b, which orders.fills_accepted books" in problem


def test_a_clock_as_wrong_as_is_allowed_must_leave_time_to_renew():
    problem = refused(KALSHI_DAEMON_ORDERS__LEASE_S="16", KALSHI_DAEMON_GUARDS__CLOCK_SKEW_MS_MAX="8000")
    assert "guards.clock_skew_ms_max 8000 is too much for orders.lease_s" in problem


def test_an_hour_without_new_quotes_leaves_no_hourly_window():
    env = {"NEW_QUOTES_UNTIL_S": "3600", "CLOSE_OPENS_BEFORE_S": "7200"}
    problem = refused(**{f"KALSHI_DAEMON_WINDOWS__{name}": value for name, value in env.items()})
    assert "windows.new_quotes_until_s 3600 s is an hour or more" in problem
    assert "profiles.wide.series" in problem


def test_a_series_is_quoted_once_by_a_profile():
    assert "names a series twice" in refused(KALSHI_DAEMON_PROFILES__WIDE__SERIES='["KXINXU", "KXINXU"]')


def test_what_a_disabled_profile_would_do_is_no_contradiction():
    load(KALSHI_DAEMON_PROFILES__SIZE__ENABLED="false", KALSHI_DAEMON_PROFILES__SIZE__LOTS="9")


@pytest.mark.parametrize("channels", ["[]", '["AM"]'])
def test_a_feed_without_values_is_refused_before_anything_starts(channels):
    problem = refused(KALSHI_DAEMON_INDEX_FEED__CHANNELS=channels)
    assert problem.startswith("environment KALSHI_DAEMON_INDEX_FEED__CHANNELS: index_feed.channels (")
    assert "minute bars alone carry no values (add V)" in problem


def test_a_channel_is_named_once():
    assert "names a channel twice" in refused(KALSHI_DAEMON_INDEX_FEED__CHANNELS='["V", "V"]')
    load(KALSHI_DAEMON_INDEX_FEED__CHANNELS='["A"]')
