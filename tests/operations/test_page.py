"""What a running daemon serves over HTTP: to whom, and what it may not hold up."""

from dataclasses import replace

import aiohttp
import pytest

from kalshi_daemon.operations import page
from kalshi_daemon.operations.page import serve_page
from kalshi_daemon.settings.service import PageSettings
from tests.operations.test_alert_rules import CALM

HERE = PageSettings(bind="127.0.0.1:0")
TOKEN = "t" * 16


async def get(url: str, **headers: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        return answer.status, await answer.text()


async def test_metrics_health_and_readiness():
    status = CALM
    async with serve_page(HERE, lambda: status) as url:
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
    async with serve_page(HERE, lambda: CALM) as url:
        for host, code in (("localhost:1", 200), ("[::1]:8484", 200), ("evil.example:8484", 403), ("", 403)):
            assert (await get(f"{url}healthz", Host=host))[0] == code, host


async def test_with_a_token_only_who_knows_it_is_answered():
    settings = PageSettings.model_validate({"bind": "127.0.0.1:0", "token": TOKEN})
    async with serve_page(settings, lambda: CALM) as url:
        assert (await get(f"{url}metrics"))[0] == 401
        assert (await get(f"{url}metrics", Authorization="Bearer wrong"))[0] == 401
        assert (await get(f"{url}metrics", Authorization=f"Bearer {TOKEN}", Host="proxy.example"))[0] == 200


async def test_a_port_that_is_taken_is_said_and_costs_nothing_else(monkeypatch):
    said = []
    monkeypatch.setattr(page.log, "warning", lambda event, **fields: said.append((event, fields)), raising=False)
    async with serve_page(HERE, lambda: CALM) as url:
        taken = PageSettings(bind=url.removeprefix("http://").removesuffix("/"))
        async with serve_page(taken, lambda: CALM) as second:
            assert second == ""
        assert [(event, fields["bind"]) for event, fields in said] == [("page.not_served", taken.bind)]
        assert (await get(f"{url}healthz"))[0] == 200


async def test_nothing_is_served_when_it_is_off():
    async with serve_page(PageSettings(bind=""), lambda: CALM) as url:
        assert url == ""


async def test_a_bug_costs_one_answer(monkeypatch):
    said = []
    monkeypatch.setattr(page.log, "exception", lambda event, **fields: said.append(fields), raising=False)

    def broken():
        raise ZeroDivisionError

    async with serve_page(HERE, broken) as url:
        assert (await get(f"{url}metrics"))[0] == 500
    assert said == [{"path": "/metrics", "error": "ZeroDivisionError"}]


@pytest.mark.parametrize("open_now", [page.REQUESTS_MAX])
async def test_more_than_may_at_once_are_turned_away(open_now):
    made = page.Page(lambda: CALM, "")
    made._open = open_now
    refusal = made._refusal(None)  # type: ignore[arg-type]  # not looked at
    assert refusal is not None
    assert refusal.status == 503
