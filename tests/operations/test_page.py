"""What a running daemon serves over HTTP: to whom, and what it may not hold up."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from kalshi_daemon.operations import page
from kalshi_daemon.operations.page import Shown, serve_page
from kalshi_daemon.operations.status import DaemonStatus
from kalshi_daemon.settings.service import PageSettings
from tests.operations.test_alert_rules import CALM

HERE = PageSettings(bind="127.0.0.1:0")
TOKEN = "t" * 16
NOWHERE = Path("/nonexistent/kill_switch")


def shown(look: Callable[[], DaemonStatus], switch: Path = NOWHERE) -> Shown:
    """A run of which a test says how it stands, and whose document is nearly empty."""
    return Shown(look, lambda: {"mode": look().facts.mode}, switch)


async def get(url: str, **headers: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        return answer.status, await answer.text()


async def test_metrics_health_and_readiness():
    status = CALM
    async with serve_page(HERE, shown(lambda: status)) as url:
        code, text = await get(f"{url}metrics")
        assert code == 200
        assert "kalshi_daemon_quoting 1.0" in text
        assert "process_resident_memory_bytes" in text
        assert await get(f"{url}healthz") == (200, "last turn 400 ms ago\n")
        assert await get(f"{url}readyz") == (200, "ready\n")
        status = replace(CALM, facts=replace(CALM.facts, progress_age_ms=31_000))
        assert (await get(f"{url}healthz"))[0] == 503
        status = replace(CALM, reconciled=False, reconciled_problem="2 orders here, 3 there")
        assert await get(f"{url}readyz") == (503, "2 orders here, 3 there\n")
        status = replace(CALM, stopping="SIGTERM")
        assert await get(f"{url}readyz") == (503, "SIGTERM\n")
        assert (await get(f"{url}nothing"))[0] == 404


async def test_a_name_that_is_not_this_machines_is_refused():
    async with serve_page(HERE, shown(lambda: CALM)) as url:
        for host, code in (("localhost:1", 200), ("[::1]:8484", 200), ("evil.example:8484", 403), ("", 403)):
            assert (await get(f"{url}healthz", Host=host))[0] == code, host


async def test_a_page_of_others_in_a_browser_here_gets_nothing_but_a_link_may_lead_here():
    async with serve_page(HERE, shown(lambda: CALM)) as url:
        across = {"Sec-Fetch-Site": "cross-site"}
        for route in ("events", "metrics", "page/main.js"):
            assert (await get(f"{url}{route}", **across))[0] == 403, route
            assert (await get(f"{url}{route}", **across, **{"Sec-Fetch-Mode": "no-cors"}))[0] == 403, route
        assert (await get(url, **across, **{"Sec-Fetch-Mode": "navigate"}))[0] == 200
        assert (await get(f"{url}metrics", **{"Sec-Fetch-Site": "same-origin"}))[0] == 200


async def test_files_that_cannot_be_read_are_said_and_cost_the_page_alone(monkeypatch):
    said = []
    monkeypatch.setattr(page.log, "warning", lambda event, **fields: said.append((event, fields)), raising=False)

    def unreadable() -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(page, "PageFiles", unreadable)
    async with serve_page(HERE, shown(lambda: CALM)) as url:
        assert url == ""
    assert said == [("page.not_served", {"bind": HERE.bind, "problem": "its files cannot be read: Permission denied"})]


async def test_with_a_token_only_who_knows_it_is_answered():
    settings = PageSettings.model_validate({"bind": "127.0.0.1:0", "token": TOKEN})
    async with serve_page(settings, shown(lambda: CALM)) as url:
        assert (await get(f"{url}metrics"))[0] == 401
        assert (await get(f"{url}metrics", Authorization="Bearer wrong"))[0] == 401
        assert (await get(f"{url}metrics", Authorization=f"Bearer {TOKEN}", Host="proxy.example"))[0] == 200


async def test_a_browser_gives_the_token_as_a_password():
    settings = PageSettings.model_validate({"bind": "127.0.0.1:0", "token": TOKEN})
    async with serve_page(settings, shown(lambda: CALM)) as url:
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
        for user, password, code in (("me", TOKEN, 200), ("", TOKEN, 200), (TOKEN, "", 401), ("me", TOKEN[1:], 401)):
            said = b64encode(f"{user}:{password}".encode()).decode()
            assert (await get(url, Authorization=f"Basic {said}"))[0] == code, (user, password)
        for said in ("Basic", "Basic ***", "Basic ü", f"Digest {TOKEN}", TOKEN):
            assert (await get(url, Authorization=said))[0] == 401, said


async def test_every_route_but_healthz_wants_the_token():
    settings = PageSettings.model_validate({"bind": "127.0.0.1:0", "token": TOKEN})
    async with serve_page(settings, shown(lambda: CALM)) as url:
        for route in ("", "page/main.js", "events", "metrics", "readyz", "nothing", "healthz/", "page/../healthz/x"):
            assert (await get(f"{url}{route}"))[0] == 401, route
        assert await get(f"{url}healthz") == (200, "last turn 400 ms ago\n")
        async with aiohttp.ClientSession() as session:
            for route in ("kill", "unkill"):
                async with session.post(f"{url}{route}", json={"word": route}) as answer:
                    assert answer.status == 401


async def test_every_answer_says_what_a_browser_may_do_with_it():
    async with serve_page(HERE, shown(lambda: CALM)) as url, aiohttp.ClientSession() as session:
        for route, host in (
            ("", None),
            ("page/main.js", None),
            ("events", None),
            ("nothing", None),
            ("metrics", "evil"),
        ):
            headers = {} if host is None else {"Host": host}
            async with session.get(f"{url}{route}", headers=headers) as answer:
                assert answer.headers.items() >= page.HEADERS.items(), route
                policy = answer.headers["Content-Security-Policy"]
                assert policy.startswith("default-src 'self';")
                assert "unsafe" not in policy
                assert answer.headers["Cache-Control"] in {"no-store", "no-cache"}


async def test_a_port_that_is_taken_is_said_and_costs_nothing_else(monkeypatch):
    said = []
    monkeypatch.setattr(page.log, "warning", lambda event, **fields: said.append((event, fields)), raising=False)
    async with serve_page(HERE, shown(lambda: CALM)) as url:
        taken = PageSettings(bind=url.removeprefix("http://").removesuffix("/"))
        async with serve_page(taken, shown(lambda: CALM)) as second:
            assert second == ""
        assert [(event, fields["bind"]) for event, fields in said] == [("page.not_served", taken.bind)]
        assert (await get(f"{url}healthz"))[0] == 200


async def test_nothing_is_served_when_it_is_off():
    async with serve_page(PageSettings(bind=""), shown(lambda: CALM)) as url:
        assert url == ""


async def test_a_bug_costs_one_answer(monkeypatch):
    said = []
    monkeypatch.setattr(page.log, "exception", lambda event, **fields: said.append(fields), raising=False)

    def broken():
        raise ZeroDivisionError

    async with serve_page(HERE, shown(broken)) as url:
        assert (await get(f"{url}metrics"))[0] == 500
        assert (await get(url))[0] == 200, "the page itself needs no picture"
    assert said == [{"path": "/metrics", "error": "ZeroDivisionError"}]


@pytest.mark.parametrize("open_now", [page.REQUESTS_MAX])
async def test_more_than_may_at_once_are_turned_away(open_now):
    made = page.Page(shown(lambda: CALM), "")
    made._open = open_now
    refusal = made._refusal(None)  # type: ignore[arg-type]  # not looked at
    assert refusal is not None
    assert refusal.status == 503
