"""Kill and unkill from the page: the file that the commands write, for who typed the word on our own page."""

import asyncio

import aiohttp
import pytest

from kalshi_daemon.operations import page_switch
from kalshi_daemon.operations.kill_switch import read_kill_switch
from kalshi_daemon.operations.page import serve_page
from kalshi_daemon.settings.service import PageSettings
from tests.operations.test_alert_rules import CALM
from tests.operations.test_page import HERE, TOKEN, shown


async def post(url: str, body: object, **headers: str) -> tuple[int, str]:
    origin = url.rpartition("/")[0]
    given = {"Origin": origin, "Content-Type": "application/json", **headers}
    given = {name: value for name, value in given.items() if value != "-"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=body if isinstance(body, bytes | str) else repr(body), headers=given) as answer,
    ):
        return answer.status, await answer.text()


async def test_the_word_engages_and_releases_the_switch_and_is_logged(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(page_switch.log, "warning", lambda event, **fields: said.append((event, fields)), raising=False)
    path = tmp_path / "data" / "kill_switch"
    async with serve_page(HERE, shown(lambda: CALM, path)) as url:
        assert await post(f"{url}kill", '{"word": "kill"}') == (200, '{"engaged": true}')
        found = read_kill_switch(path)
        assert (found.engaged, found.reason) == (True, "from the page")
        assert found.since.endswith("Z")
        assert await post(f"{url}unkill", '{"word": "unkill"}') == (200, '{"engaged": false}')
        assert not path.exists()
        assert await post(f"{url}unkill", '{"word": "unkill"}') == (200, '{"engaged": false}'), "twice is fine"
    assert [(event, fields["word"]) for event, fields in said] == [
        ("page.switch_turned", "kill"), ("page.switch_turned", "unkill"), ("page.switch_turned", "unkill"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        ('{"word": "unkill"}', {}, 400),
        ('{"word": "KILL"}', {}, 400),
        ('{"word": ["kill"]}', {}, 400),
        ("{}", {}, 400),
        ("[]", {}, 400),
        ("kill", {}, 400),
        (b"\xff", {}, 400),
        ('{"word": "kill", "reason": "' + "x" * 2_000 + '"}', {}, 413),
        ('{"word": "kill"}', {"Content-Type": "text/plain"}, 415),
        ("word=kill", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ('{"word": "kill"}', {"Origin": "-"}, 403),
        ('{"word": "kill"}', {"Origin": "null"}, 403),
        ('{"word": "kill"}', {"Origin": "https://evil.example"}, 403),
        ('{"word": "kill"}', {"Origin": "http://127.0.0.1:1"}, 403),
        ('{"word": "kill"}', {"Origin": "http://["}, 403),
        ('{"word": "kill"}', {"Sec-Fetch-Site": "cross-site"}, 403),
        ('{"word": "kill"}', {"Origin": "http://evil.example:8484", "Host": "evil.example:8484"}, 403),
    ],
)  # fmt: skip
async def test_anything_else_changes_nothing(tmp_path, body, headers, code):
    path = tmp_path / "kill_switch"
    async with serve_page(HERE, shown(lambda: CALM, path)) as url:
        assert (await post(f"{url}kill", body, **headers))[0] == code
    assert not path.exists()


async def test_a_get_is_no_way_to_ask(tmp_path):
    path = tmp_path / "kill_switch"
    async with (
        serve_page(HERE, shown(lambda: CALM, path)) as url,
        aiohttp.ClientSession() as session,
        session.get(f"{url}kill") as answer,
    ):
        assert answer.status == 405
    assert not path.exists()


async def test_behind_a_proxy_the_name_it_passes_on_is_the_one_that_counts(tmp_path):
    path = tmp_path / "kill_switch"
    settings = PageSettings.model_validate({"bind": "127.0.0.1:0", "token": TOKEN})
    given = {"Authorization": f"Bearer {TOKEN}", "Host": "desk.example"}
    async with serve_page(settings, shown(lambda: CALM, path)) as url:
        assert (await post(f"{url}kill", '{"word": "kill"}', Origin="https://evil.example", **given))[0] == 403
        assert not path.exists()
        assert (await post(f"{url}kill", '{"word": "kill"}', Origin="https://desk.example", **given))[0] == 200
    assert path.exists()


async def test_a_disk_that_refuses_is_said_to_who_asked(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    async with serve_page(HERE, shown(lambda: CALM, blocked / "kill_switch")) as url:
        code, text = await post(f"{url}kill", '{"word": "kill"}')
    assert code == 500
    assert "kill switch cannot be written" in text


async def test_the_loop_goes_on_while_the_disk_takes_its_time(tmp_path, monkeypatch):
    release = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(*_args: object) -> None:
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result(5)

    monkeypatch.setattr(page_switch, "engage", slow)
    async with serve_page(HERE, shown(lambda: CALM, tmp_path / "x")) as url:
        asked = loop.create_task(post(f"{url}kill", '{"word": "kill"}'))
        async with aiohttp.ClientSession() as session, session.get(f"{url}healthz") as answer:
            assert answer.status == 200
        release.set()
        assert (await asked)[0] == 200
