from pathlib import Path

import pytest

from kalshi_daemon.ground.errors import ConfigurationError, ExitCode, LiveNotAcknowledged
from kalshi_daemon.settings.loader import (
    ACKNOWLEDGEMENT,
    Credentials,
    load_settings,
    require_live_acknowledgement,
)
from kalshi_daemon.settings.rules import is_loopback

REST, WS, FEED = "KALSHI_DAEMON_KALSHI__REST_URL", "KALSHI_DAEMON_KALSHI__WS_URL", "KALSHI_DAEMON_INDEX_FEED__URL"


def load(needs=Credentials.NONE, **env: str):
    return load_settings(None, env, None, {}, needs=needs)


HISTORY = "KALSHI_DAEMON_INDEX_FEED__REST_URL"


def refused(needs=Credentials.NONE, **env: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(needs, **env)
    assert caught.value.exit_code is ExitCode.CONFIG
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- hosts ----


def test_each_mode_has_its_hosts():
    sim = load().settings
    assert (sim.kalshi.rest_url, sim.kalshi.ws_url, sim.index_feed.url) == ("", "", "")
    demo = load(KALSHI_DAEMON_MODE="demo")
    assert demo.settings.kalshi.rest_url == "https://external-api.demo.kalshi.co/trade-api/v2"
    assert demo.settings.kalshi.ws_url == "wss://external-api-ws.demo.kalshi.co/trade-api/ws/v2"
    assert demo.settings.index_feed.url == "wss://socket.massive.com/indices"
    assert demo.origins["kalshi.rest_url"] == "default of mode demo"
    live = load(KALSHI_DAEMON_MODE="live").settings
    assert live.kalshi.rest_url == "https://external-api.kalshi.com/trade-api/v2"
    assert live.kalshi.ws_url == "wss://external-api-ws.kalshi.com/trade-api/ws/v2"


def test_a_given_host_is_kept_and_only_the_others_are_filled():
    loaded = load(KALSHI_DAEMON_MODE="live", **{REST: "https://api.elections.kalshi.com/trade-api/v2"})
    assert loaded.settings.kalshi.rest_url == "https://api.elections.kalshi.com/trade-api/v2"
    assert loaded.origins["kalshi.rest_url"] == f"environment {REST}"
    assert loaded.settings.kalshi.ws_url.startswith("wss://external-api-ws.kalshi.com")
    everything = load(
        KALSHI_DAEMON_MODE="demo",
        **{
            REST: "http://127.0.0.1:8080/trade-api/v2",
            WS: "ws://127.0.0.1:8080/trade-api/ws/v2",
            FEED: "wss://socket.polygon.io/indices",
        },
    )
    assert everything.settings.index_feed.url == "wss://socket.polygon.io/indices"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "[::1]", "localhost"])
def test_sim_accepts_this_machine(host):
    env = {
        REST: f"http://{host}:80/trade-api/v2",
        WS: f"ws://{host}:80/trade-api/ws/v2",
        FEED: f"ws://{host}:80/indices",
        "KALSHI_DAEMON_SIM__CONNECT": f"http://{host}:80/admin",
    }
    assert load(**env).settings.sim.connect.endswith("/admin")


@pytest.mark.parametrize(
    ("name", "url"),
    [
        (REST, "https://external-api.kalshi.com/trade-api/v2"),
        (WS, "wss://external-api-ws.demo.kalshi.co/trade-api/ws/v2"),
        (FEED, "wss://socket.massive.com/indices"),
        ("KALSHI_DAEMON_SIM__CONNECT", "http://10.0.0.1:80"),
        (REST, "http://localhost.example.com/trade-api/v2"),
        (REST, "http://127.0.0.1.nip.io/trade-api/v2"),
        (REST, "http://0.0.0.0/trade-api/v2"),
    ],
)
def test_sim_refuses_every_other_machine(name, url):
    line = refused(**{name: url})
    assert line.startswith(f"environment {name}: ")
    assert "is not this machine (mode sim talks to loopback only)" in line


@pytest.mark.parametrize(
    ("mode", "name", "url", "problem"),
    [
        ("demo", REST, "https://api.elections.kalshi.com/trade-api/v2", "is the real exchange"),
        ("demo", WS, "wss://kalshi.com/trade-api/ws/v2", "is the real exchange"),
        ("demo", WS, "wss://KALSHI.com./trade-api/ws/v2", "is the real exchange"),
        ("live", REST, "https://demo-api.kalshi.co/trade-api/v2", "is the demo exchange"),
        ("live", WS, "wss://demo-api.kalshi.co/trade-api/ws/v2", "is the demo exchange"),
        ("live", REST, "https://kalshi.com.example.org/trade-api/v2", "is not a host of the exchange"),
        ("live", REST, "https://notkalshi.com/trade-api/v2", "is not a host of the exchange"),
        ("live", REST, "http://external-api.kalshi.com/trade-api/v2", "http:// is not encrypted (use https://)"),
        ("demo", WS, "ws://demo-api.kalshi.co/trade-api/ws/v2", "ws:// is not encrypted (use wss://)"),
        ("demo", FEED, "ws://socket.massive.com/indices", "ws:// is not encrypted (use wss://)"),
        ("live", "KALSHI_DAEMON_SIM__CONNECT", "http://127.0.0.1:1", "has no meaning in mode live"),
        ("demo", REST, "https://demo-api.kalshi.co/v2", "does not end in /trade-api/v2"),
        ("demo", REST, "wss://demo-api.kalshi.co/trade-api/v2", "is not an address (wanted https or http://host/path)"),
        ("demo", REST, "demo-api.kalshi.co", "is not an address"),
        ("demo", REST, "https:///trade-api/v2", "is not an address"),
        ("demo", REST, "https://demo-api.kalshi.co:99999/trade-api/v2", "is not an address"),
        ("demo", REST, "https://[::1/trade-api/v2", "is not an address"),
        ("demo", REST, "https://me:super-secret@demo-api.kalshi.co/trade-api/v2", "more than host and path"),
        ("demo", FEED, "wss://socket.massive.com/indices?apiKey=super-secret", "more than host and path"),
    ],
)
def test_addresses_that_no_mode_should_talk_to(mode, name, url, problem):
    line = refused(KALSHI_DAEMON_MODE=mode, **{name: url})
    assert line.startswith(f"environment {name}: ")
    assert problem in line
    assert "super-secret" not in line


@pytest.mark.parametrize("mode", ["demo", "live"])
def test_loopback_stands_in_for_the_exchange_without_encryption(mode):
    loaded = load(KALSHI_DAEMON_MODE=mode, **{REST: "http://127.0.0.1:9/trade-api/v2"})
    assert loaded.settings.kalshi.rest_url == "http://127.0.0.1:9/trade-api/v2"


def test_loopback_is_decided_by_address_not_by_spelling():
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert not is_loopback("127.0.0.1.example.com")
    assert not is_loopback("")


# ---- credentials ----


def key_file(tmp_path: Path, mode: int = 0o600) -> Path:
    path = tmp_path / "key.pem"
    path.write_text("not read here")
    path.chmod(mode)
    return path


def demo(tmp_path: Path, **changes: str) -> dict[str, str]:
    return {
        "KALSHI_DAEMON_MODE": "demo",
        "KALSHI_DAEMON_KALSHI__KEY_ID": "key-id",
        "KALSHI_DAEMON_KALSHI__PRIVATE_KEY_PATH": str(tmp_path / "key.pem"),
        "KALSHI_DAEMON_INDEX_FEED__API_KEY": "feed-key",
    } | changes


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_private_key_only_its_owner_can_read_is_accepted(tmp_path, mode):
    key_file(tmp_path, mode)
    assert load(Credentials.ALL, **demo(tmp_path)).settings.kalshi.key_id == "key-id"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o700, 0o604, 0o4600])
def test_a_private_key_others_could_use_is_refused(tmp_path, mode):
    path = key_file(tmp_path, mode)
    line = refused(Credentials.ALL, **demo(tmp_path))
    assert f"{path} has mode {mode:04o}, others could use the key (chmod 600 {path})" in line
    assert line.startswith("environment KALSHI_DAEMON_KALSHI__PRIVATE_KEY_PATH: ")


def test_a_key_that_systemd_guards_by_an_access_list_shows_a_group_bit_and_is_accepted(tmp_path):
    path = tmp_path / "kalshi_private_key"
    path.write_text("not read here")
    path.chmod(0o440)
    settings = load_settings(None, demo(tmp_path), tmp_path, {}, needs=Credentials.ALL).settings
    assert settings.kalshi.private_key_path == path
    named = demo(tmp_path, KALSHI_DAEMON_KALSHI__PRIVATE_KEY_PATH=str(path))
    assert "has mode 0440" in refused(Credentials.ALL, **named), "anywhere else it is a group that can read"
    path.chmod(0o444)
    with pytest.raises(ConfigurationError, match="has mode 0444"):
        load_settings(None, demo(tmp_path), tmp_path, {}, needs=Credentials.ALL)


def test_a_missing_private_key_file_is_refused(tmp_path):
    assert "key.pem: No such file or directory" in refused(Credentials.ALL, **demo(tmp_path))


def test_a_directory_is_no_private_key(tmp_path):
    line = refused(Credentials.ALL, **demo(tmp_path, KALSHI_DAEMON_KALSHI__PRIVATE_KEY_PATH=str(tmp_path)))
    assert "is not a file" in line


def test_a_private_key_this_user_cannot_read_is_refused(tmp_path, monkeypatch):
    key_file(tmp_path)
    monkeypatch.setattr("kalshi_daemon.settings.rules.os.access", lambda path, how: False)
    assert "cannot be read by this user" in refused(Credentials.ALL, **demo(tmp_path))


@pytest.mark.parametrize(
    ("missing", "needs", "also_fine"),
    [
        ("KALSHI_DAEMON_KALSHI__KEY_ID", Credentials.KALSHI, Credentials.FEED),
        ("KALSHI_DAEMON_KALSHI__PRIVATE_KEY_PATH", Credentials.KALSHI, Credentials.FEED),
        ("KALSHI_DAEMON_INDEX_FEED__API_KEY", Credentials.FEED, Credentials.KALSHI),
    ],
)
def test_what_a_command_needs_must_be_there_and_nothing_more(tmp_path, missing, needs, also_fine):
    key_file(tmp_path)
    env = demo(tmp_path)
    del env[missing]
    line = refused(needs, **env)
    assert "is required in mode demo" in line
    assert missing in line, "the fix names the variable"
    load(also_fine, **env)
    load(Credentials.NONE, **env)


def test_a_given_key_file_is_checked_even_when_it_is_not_needed(tmp_path):
    key_file(tmp_path, 0o644)
    assert "has mode 0644" in refused(Credentials.NONE, **demo(tmp_path))


def test_sim_demands_and_checks_no_credentials(tmp_path):
    env = demo(tmp_path, KALSHI_DAEMON_MODE="sim")
    assert load(Credentials.ALL, **env).settings.kalshi.private_key_path == tmp_path / "key.pem"
    load(Credentials.ALL)


# ---- windows ----


@pytest.mark.parametrize(
    ("env", "problem"),
    [
        ({"NEW_QUOTES_UNTIL_S": "129"}, "windows.new_quotes_until_s 129 s is after cancelling starts (130 s"),
        ({"GONE_BY_S": "300"}, "300 s is after cancelling starts (310 s"),
        ({"CANCEL_LEAD_S": "181"}, "300 s is after cancelling starts (301 s"),
        ({"FIRST_QUOTES": "09:29:59"}, "windows.first_quotes is not a time between 09:30 and 16:00"),
        ({"FIRST_QUOTES": "16:00"}, "windows.first_quotes is not a time between"),
        ({"FIRST_QUOTES": "10:00Z"}, "windows.first_quotes is not a time between"),
        ({"GONE_BY_S": "1.9"}, "windows.gone_by_s: wanted greater than or equal to 2"),
    ],
)
def test_edges_out_of_order_are_refused(env, problem):
    assert problem in refused(**{f"KALSHI_DAEMON_WINDOWS__{name}": value for name, value in env.items()})


def test_gone_by_goes_down_to_two_seconds():
    windows = load(
        KALSHI_DAEMON_WINDOWS__GONE_BY_S="2",
        KALSHI_DAEMON_WINDOWS__CANCEL_LEAD_S="1",
        KALSHI_DAEMON_WINDOWS__NEW_QUOTES_UNTIL_S="3",
        KALSHI_DAEMON_KALSHI__READ_TIMEOUT_MS="500",
        KALSHI_DAEMON_KALSHI__WRITE_TIMEOUT_MS="500",
        KALSHI_DAEMON_GUARDS__CLOCK_SKEW_MS_MAX="999",
    ).settings.windows
    assert (windows.gone_by_s, windows.new_quotes_until_s) == (2.0, 3.0)


def test_a_simulated_session_ends_after_it_starts_and_knows_no_offsets():
    assert "sim.until is not after sim.start" in refused(KALSHI_DAEMON_SIM__UNTIL="09:00")
    assert "takes no offset" in refused(KALSHI_DAEMON_SIM__START="09:25Z")


# ---- arming ----


def test_live_needs_the_exact_sentence():
    for words in ("", "yes", ACKNOWLEDGEMENT.upper()):
        settings = load(KALSHI_DAEMON_MODE="live", KALSHI_DAEMON_LIVE__ACKNOWLEDGEMENT=words).settings
        with pytest.raises(LiveNotAcknowledged, match="live trading is not acknowledged"):
            require_live_acknowledgement(settings)
    require_live_acknowledgement(
        load(KALSHI_DAEMON_MODE="live", KALSHI_DAEMON_LIVE__ACKNOWLEDGEMENT=ACKNOWLEDGEMENT).settings
    )
    require_live_acknowledgement(load(KALSHI_DAEMON_MODE="demo").settings)
    require_live_acknowledgement(load().settings)


@pytest.mark.parametrize(
    ("feed", "history"),
    [
        ("", "https://api.massive.com"),
        ("wss://socket.massive.com/indices", "https://api.massive.com"),
        ("wss://delayed.polygon.io/indices", "https://api.polygon.io"),
        ("wss://feed.example.com/indices", ""),
        ("wss://notmassive.com/indices", ""),
        ("ws://127.0.0.1:9/indices", ""),
    ],
)
def test_the_key_is_shown_to_the_history_of_the_feeds_own_brand_and_to_nobody_else(feed, history):
    env = {FEED: feed} if feed else {}
    assert load(KALSHI_DAEMON_MODE="demo", **env).settings.index_feed.rest_url == history
    named = load(KALSHI_DAEMON_MODE="demo", **env, **{HISTORY: "https://x.example"})
    assert named.settings.index_feed.rest_url == "https://x.example"


@pytest.mark.parametrize(
    ("mode", "url", "problem"),
    [
        ("live", "http://api.massive.com", "not encrypted"),
        ("live", "wss://api.massive.com", "is not an address"),
        ("live", "https://key@api.massive.com", "more than host and path"),
        ("sim", "https://api.massive.com", "not this machine"),
    ],
)
def test_the_address_of_history_is_checked(mode, url, problem):
    assert problem in refused(KALSHI_DAEMON_MODE=mode, **{HISTORY: url})
