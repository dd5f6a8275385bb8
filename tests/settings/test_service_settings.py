"""Settings of alerts and page: what would show the account to others, or tell nobody, is refused."""

import pytest

from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.settings.loader import Credentials, load_settings
from kalshi_daemon.settings.rules import page_address


def load(**environ: str):
    return load_settings(None, environ, None, {}, needs=Credentials.NONE).settings


@pytest.mark.parametrize(
    ("bind", "found"),
    [
        ("127.0.0.1:8484", ("127.0.0.1", 8484)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:8484", ("::1", 8484)),
        ("0.0.0.0:65535", ("0.0.0.0", 65535)),
        ("127.0.0.1", None),
        (":8484", None),
        ("127.0.0.1:65536", None),
        ("127.0.0.1:-1", None),
        ("127.0.0.1:\u0664", None),
        ("127.0.0.1:x", None),
    ],
)
def test_the_address_of_the_page(bind, found):
    assert page_address(bind) == found


@pytest.mark.parametrize(
    ("bind", "token", "problem"),
    [
        ("8484", "", "page.bind is not an address"),
        ("0.0.0.0:8484", "", "page.bind 0.0.0.0 is not this machine alone"),
        ("[::]:8484", "", "page.bind :: is not this machine alone"),
        ("example.com:8484", "", "page.bind example.com is not this machine alone"),
        ("0.0.0.0:8484", "tiny", "page.token is shorter than 16 characters"),
        ("127.0.0.1:8484", "tiny", "page.token is shorter than 16 characters"),
    ],
)
def test_a_page_that_others_could_open_is_refused(bind, token, problem):
    with pytest.raises(ConfigurationError) as caught:
        load(KALSHI_DAEMON_PAGE__BIND=bind, KALSHI_DAEMON_PAGE__TOKEN=token)
    assert problem in str(caught.value)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize(("bind", "token"), [("", ""), ("127.0.0.1:0", ""), ("0.0.0.0:8484", "t" * 16)])
def test_a_page_for_this_machine_or_behind_a_token_is_fine(bind, token):
    assert load(KALSHI_DAEMON_PAGE__BIND=bind, KALSHI_DAEMON_PAGE__TOKEN=token).page.bind == bind


@pytest.mark.parametrize("url", ["ftp://x/y", "x", "https://", "https://x:0/", "https://[x"])
def test_a_ping_that_asks_nobody_is_refused_unseen(url):
    with pytest.raises(ConfigurationError) as caught:
        load(KALSHI_DAEMON_ALERTS__PING_URL=url)
    assert "alerts.ping_url is not an address" in str(caught.value)
    assert "ftp" not in str(caught.value)
