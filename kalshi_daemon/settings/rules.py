"""Rules over several settings at once: hosts of a mode, credentials; `settings.contradictions` has those of numbers.

A wrong combination is a ConfigurationError naming the key and where its value came from, never a later surprise.
"""

import os
import stat
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from kalshi_daemon.settings.contradictions import Origins, broken, check_contradictions
from kalshi_daemon.settings.model import Mode, Settings

DEFAULT_HOSTS: Final[Mapping[Mode, Mapping[str, str]]] = {
    # docs/reference/venue.md 1 (the recommended hosts), docs/reference/feed.md 1.1; `sim` is given its addresses when
    # it starts.
    Mode.SIM: {},
    Mode.DEMO: {
        "kalshi.rest_url": "https://external-api.demo.kalshi.co/trade-api/v2",
        "kalshi.ws_url": "wss://external-api-ws.demo.kalshi.co/trade-api/ws/v2",
        "index_feed.url": "wss://socket.massive.com/indices",
    },
    Mode.LIVE: {
        "kalshi.rest_url": "https://external-api.kalshi.com/trade-api/v2",
        "kalshi.ws_url": "wss://external-api-ws.kalshi.com/trade-api/ws/v2",
        "index_feed.url": "wss://socket.massive.com/indices",
    },
}
HISTORY_HOSTS: Final[Mapping[str, str]] = {
    "massive.com": "https://api.massive.com",
    "polygon.io": "https://api.polygon.io",
}
"""The vendor's REST side by the domain of its feed. A feed elsewhere has none: nobody else gets the key."""
_SCHEMES: Final = {
    "kalshi.rest_url": ("https", "http"),
    "kalshi.ws_url": ("wss", "ws"),
    "index_feed.url": ("wss", "ws"),
    "index_feed.rest_url": ("https", "http"),
    "sim.connect": ("https", "http"),
}
_PATH_ENDS: Final = {"kalshi.rest_url": "/trade-api/v2", "kalshi.ws_url": "/trade-api/ws/v2"}
_LIVE_DOMAIN: Final = "kalshi.com"
_DEMO_DOMAIN: Final = "kalshi.co"
_PORT_MAX: Final = 65_535
_TOKEN_CHARS_MIN: Final = 16
_KEY_MODES: Final = (0o600, 0o400)
_GUARDED_KEY_MODE: Final = 0o440
"""systemd (tmpfs instead of ramfs) lets the service's user read by an access list, which shows as a group bit."""


def with_default_hosts(settings: Settings) -> tuple[Settings, tuple[str, ...]]:
    """Fill empty addresses with the hosts of the mode. Returns the settings and the keys that were filled."""
    hosts = DEFAULT_HOSTS[settings.mode]
    kalshi, feed = settings.kalshi, settings.index_feed
    filled = [key for key in hosts if not _address(settings, key)]
    feed_url = feed.url or hosts.get("index_feed.url", "")
    history = feed.rest_url or _history_host(feed_url)
    if history and not feed.rest_url:
        filled.append("index_feed.rest_url")
    if not filled:
        return settings, ()
    rest = kalshi.rest_url or hosts.get("kalshi.rest_url", "")
    stream = kalshi.ws_url or hosts.get("kalshi.ws_url", "")
    return settings.model_copy(
        update={
            "kalshi": kalshi.model_copy(update={"rest_url": rest, "ws_url": stream}),
            "index_feed": feed.model_copy(update={"url": feed_url, "rest_url": history}),
        }
    ), tuple(filled)


def _history_host(feed_url: str) -> str:
    """The vendor's REST side that belongs to a feed; "" when it is not the vendor's. The address is checked later."""
    try:
        host = (urlsplit(feed_url).hostname or "").rstrip(".")
    except ValueError:
        return ""
    return next((rest for domain, rest in HISTORY_HOSTS.items() if _within(host, domain)), "")


def check_rules(
    settings: Settings, origins: Origins, *, kalshi: bool, feed: bool, credentials_dir: Path | None
) -> None:
    """Raise ConfigurationError for the first broken rule.

    kalshi, feed: demand their credentials (not in sim). credentials_dir: systemd's, which guards what lies in it.
    """
    _check_addresses(settings, origins)
    check_contradictions(settings, origins)
    _check_page(settings, origins)
    _check_ping(settings, origins)
    if settings.mode is not Mode.SIM:
        _check_credentials(settings, origins, kalshi=kalshi, feed=feed)
        if (path := settings.kalshi.private_key_path) is not None:
            guarded = credentials_dir is not None and path.is_relative_to(credentials_dir)
            _check_key_file(path, origins, guarded=guarded)


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only mean this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def page_address(bind: str) -> tuple[str, int] | None:
    """Host and port of `page.bind`, an IPv6 address without its brackets; None when it is no address."""
    host, colon, port = bind.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > _PORT_MAX:
        return None
    return (host[1:-1] if bracketed else host), int(port)


def _check_page(settings: Settings, origins: Origins) -> None:
    """Whoever can open the page sees the account: that is this machine alone, or who knows the token."""
    bind, token = settings.page.bind, settings.page.token.get_secret_value()
    if not bind:
        return
    found = page_address(bind)
    if found is None:
        raise broken("page.bind", "is not an address", origins, "wanted host:port, or nothing to switch it off")
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise broken("page.token", "holds what no header can carry", origins, "openssl rand -hex 16")
    if token and len(token) < _TOKEN_CHARS_MIN:
        raise broken("page.token", f"is shorter than {_TOKEN_CHARS_MIN} characters", origins, "openssl rand -hex 16")
    if not token and not is_loopback(found[0]):
        fix = "set page.token and let a proxy add TLS, or bind 127.0.0.1"
        raise broken("page.bind", f"{found[0]} is not this machine alone", origins, fix)


def _check_ping(settings: Settings, origins: Origins) -> None:
    url = settings.alerts.ping_url.get_secret_value()
    try:
        parts = urlsplit(url)
        fine = not url or (parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0)
    except ValueError:
        fine = False
    if not fine:
        raise broken("alerts.ping_url", "is not an address", origins, "wanted https://host/path")


def _check_addresses(settings: Settings, origins: Origins) -> None:
    for key, schemes in _SCHEMES.items():
        text = _address(settings, key)
        if not text:
            continue
        url = _split(key, text, schemes, origins)
        host = (url.hostname or "").rstrip(".")
        if settings.mode is Mode.SIM:
            if not is_loopback(host):
                raise broken(key, f"{host} is not this machine", origins, "mode sim talks to loopback only")
            continue
        if key == "sim.connect":
            raise broken(
                key, f"has no meaning in mode {settings.mode.value}", origins, "it joins a simulator: mode sim"
            )
        if url.scheme == schemes[1] and not is_loopback(host):
            raise broken(key, f"{schemes[1]}:// is not encrypted", origins, f"use {schemes[0]}://")
        if key.startswith("kalshi."):
            _check_venue_host(settings.mode, key, host, origins)


def _check_venue_host(mode: Mode, key: str, host: str, origins: Origins) -> None:
    """Demo never speaks to the real exchange, and live signs requests for nobody else.

    A signature covers neither host nor body (docs/reference/venue.md 1): whoever receives one could use it at the
    exchange.
    """
    real, demo = _within(host, _LIVE_DOMAIN), _within(host, _DEMO_DOMAIN)
    if mode is Mode.DEMO and real:
        raise broken(key, f"{host} is the real exchange", origins, "mode demo; real money needs mode live")
    if mode is Mode.LIVE and demo:
        raise broken(key, f"{host} is the demo exchange", origins, "mode live; use mode demo")
    if mode is Mode.LIVE and not real and not is_loopback(host):
        raise broken(key, f"{host} is not a host of the exchange", origins, f"mode live wants *.{_LIVE_DOMAIN}")


def _split(key: str, text: str, schemes: tuple[str, ...], origins: Origins) -> SplitResult:
    try:
        url = urlsplit(text)
        complete = bool(url.hostname) and url.port != 0
    except ValueError:
        raise broken(key, "is not an address", origins, f"wanted {schemes[0]}://host/path") from None
    if url.scheme not in schemes or not complete:
        raise broken(key, "is not an address", origins, f"wanted {' or '.join(schemes)}://host/path")
    if url.username or url.password or url.query or url.fragment:
        raise broken(key, "carries more than host and path", origins, "credentials have keys of their own")
    ending = _PATH_ENDS.get(key, "")
    if not url.path.endswith(ending):
        raise broken(key, f"does not end in {ending}", origins)
    return url


def _check_credentials(settings: Settings, origins: Origins, *, kalshi: bool, feed: bool) -> None:
    mode = settings.mode.value
    if kalshi and not settings.kalshi.key_id:
        raise broken("kalshi.key_id", f"is required in mode {mode}", origins, "KALSHI_DAEMON_KALSHI__KEY_ID")
    if kalshi and settings.kalshi.private_key_path is None:
        fix = "KALSHI_DAEMON_KALSHI__PRIVATE_KEY_PATH"
        raise broken("kalshi.private_key_path", f"is required in mode {mode}", origins, fix)
    if feed and not settings.index_feed.api_key.get_secret_value():
        raise broken("index_feed.api_key", f"is required in mode {mode}", origins, "KALSHI_DAEMON_INDEX_FEED__API_KEY")


def _check_key_file(path: Path, origins: Origins, *, guarded: bool) -> None:
    key = "kalshi.private_key_path"
    try:
        found = path.stat()
    except OSError as error:
        raise broken(key, f"{path}: {error.strerror}", origins) from error
    if not stat.S_ISREG(found.st_mode):
        raise broken(key, f"{path} is not a file", origins)
    mode = stat.S_IMODE(found.st_mode)
    if mode not in _KEY_MODES and not (guarded and mode == _GUARDED_KEY_MODE):
        raise broken(key, f"{path} has mode {mode:04o}, others could use the key", origins, f"chmod 600 {path}")
    if not os.access(path, os.R_OK):
        raise broken(key, f"{path} cannot be read by this user", origins)


def _address(settings: Settings, key: str) -> str:
    section, _, name = key.partition(".")
    return str(getattr(getattr(settings, section), name))


def _within(host: str, domain: str) -> bool:
    return host == domain or host.endswith("." + domain)
