"""The page in a real browser: each figure is the state's, each state is seen, whoever cannot see it well can use it.

`make page-pictures` has these tests write the pictures of README and docs.
"""

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from typing import Any, Final

import pytest
import pytest_asyncio

from kalshi_daemon.ground.new_york import eastern_clock
from kalshi_daemon.ground.units import SECOND, Count, Dollars, Nanos, Price
from kalshi_daemon.operations import page_frames, status_day
from kalshi_daemon.operations.page import serve_page
from kalshi_daemon.operations.status_day import day_document
from kalshi_daemon.settings.service import PageSettings
from kalshi_daemon.state import DaemonState, GroupHalt
from tests.operations import page_rig
from tests.operations.page_rig import NOW, Day, a_day

CHROMIUM: Final = which("chromium") or which("chromium-browser") or which("google-chrome")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium"),
]
FLAGS: Final = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
DESK: Final[Any] = {"width": 1440, "height": 1060}
PHONE: Final[Any] = {"width": 390, "height": 844}
PICTURES: Final = Path(__file__).resolve().parents[2] / "docs" / "images"
SPX_EVENT: Final = "KXINXU-26NOV23H1200"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(tmp_path_factory) -> AsyncIterator[Any]:
    from playwright.async_api import async_playwright  # noqa: PLC0415 - only where there is a browser

    profile = tmp_path_factory.mktemp("profile")
    async with async_playwright() as started:
        context = await started.chromium.launch_persistent_context(
            profile, executable_path=CHROMIUM, headless=True, args=[*FLAGS], viewport=DESK
        )
        context.set_default_timeout(20_000)
        yield context
        await context.close()


@dataclass
class Seen:
    """The page as it is looked at, and what it asked for."""

    page: Any
    day: Day
    url: str
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    async def text(self, figure: str) -> str:
        return str(await self.page.inner_text(f'[data-figure="{figure}"]'))

    async def row(self, kind: str, name: str) -> list[str]:
        """The cells of a row, its heading among them."""
        cells = await self.page.locator(f'tr[data-{kind}="{name}"] > *').all_inner_texts()
        return [re.sub(r"\s+", " ", cell).strip() for cell in cells]

    async def until(self, words: str) -> None:
        """Wait until these words stand on the page."""
        await self.page.get_by_text(words).first.wait_for()


@asynccontextmanager
async def looking(browser: Any, day: Day, bind: str = "127.0.0.1:0") -> AsyncIterator[Seen]:
    """The page of a run; nothing was asked of anybody else, and the browser did not complain."""
    async with serve_page(PageSettings(bind=bind), day.shown) as url:
        page = await browser.new_page()
        seen = Seen(page, day, url)
        page.on("request", lambda request: seen.asked.append(request.url))
        page.on("pageerror", lambda error: seen.said.append(str(error)))
        page.on("console", lambda line: seen.said.append(line.text) if line.type == "error" else None)
        await page.emulate_media(color_scheme="light")
        await page.set_viewport_size(DESK)
        await page.goto(url)
        try:
            yield seen
            assert {one for one in seen.asked if not one.startswith(url)} == set()
            assert seen.said == []
        finally:
            await page.close()


@pytest.fixture
def day(tmp_path) -> Day:
    made = Day(a_day(), tmp_path / "kill_switch")
    made.events.hear(
        "order.placed", {"level": "info", "market": f"{SPX_EVENT}-T6825", "side": "ask", "price": "0.4400"}
    )
    made.events.hear(
        "scan.done", {"level": "info", "window": SPX_EVENT, "profile": "wide", "outcome": "quoted", "placed": 1}
    )
    made.events.hear("book.lost", {"level": "warning", "market": f"{SPX_EVENT}-T6805", "reason": "gap"})
    return made


def money(amount: Dollars) -> str:
    """As it should stand on the page: cents, or all four places when there are parts of cents."""
    whole, parts = divmod(abs(amount), 10_000)
    places = f"{parts // 100:02d}" if parts % 100 == 0 else f"{parts:04d}"
    return f"{'−' if amount < 0 else ''}${whole:,}.{places}"  # noqa: RUF001 - a minus


def contracts(count: Count) -> str:
    assert count % 100 == 0
    return f"{'−' if count < 0 else ''}{abs(count) // 100:,}"  # noqa: RUF001 - a minus


def cents(price: Price | None) -> str:
    return "–" if price is None else f"{price / 10_000:.2f}"  # noqa: RUF001 - a dash


async def test_each_figure_is_the_states(browser, day):
    state = day.state
    state.ledger.fees_total = Dollars(21_445)
    async with looking(browser, day) as seen:
        await seen.until("Quoting")
        status = day.look()
        assert await seen.text("standing") == "Quoting"
        assert await seen.text("mode") == status.facts.mode.upper()
        assert (await seen.text("at")).startswith(eastern_clock(NOW))
        assert await seen.text("pnl_dollars") == f"+{money(state.ledger.realized_today)}"
        assert await seen.text("pnl_week_dollars") == money(state.ledger.realized_week)
        assert await seen.text("fees_dollars") == money(state.ledger.fees_total) == "$2.1445"
        assert await seen.text("fills") == str(state.ledger.fills_total)
        assert set(status.budgets) == {"daily_loss", "weekly_loss"}
        for name, one in status.budgets.items():
            assert await seen.text(f"budget.{name}") == f"{money(one.used)} of {money(one.limit)}"
        assert await seen.text("countdown") == "30:00"
        for index, standing in status.indices.items():
            assert await seen.text(f"index.{index}") == f"{standing.value:,.2f}"
        for one in status.windows:
            cells = await seen.row("event", one.event_ticker)
            assert cells[0] == eastern_clock(one.target_ns)[:5]
            assert cells[1:3] == [one.event_ticker, one.phase.value]
            assert cells[4] == ("GO" if one.quoting else "–")  # noqa: RUF001 - a dash
            assert cells[5:8] == [str(one.resting), contracts(one.filled), contracts(one.held)]
        for window, one in status.passing:
            assert window in state.windows
            cells = await seen.row("guard", one.guard)
            assert cells[0] == f"{one.guard} passes"
            if isinstance(one.measured, int):
                assert cells[1] == f"{one.measured:,}", one.guard
        assert len(await seen.page.locator("tr[data-order]").all()) == status.resting_total == 6
        for order in status.resting:
            cells = await seen.row("order", order.client_order_id)
            assert cells[0].replace(" ", "-") == order.market_ticker
            expected = [order.side.value, cents(order.price), contracts(order.leaves), contracts(order.filled)]
            assert cells[1:] == [*expected, order.profile, order.status.value, eastern_clock(order.expires_ns)]
        for held in status.positions:
            cells = await seen.row("position", held.market_ticker)
            assert cells[1:] == [contracts(held.count), money(held.cash), money(held.fees)]


async def test_ladder_and_record_are_the_states_too(browser, day):
    state = day.state
    async with looking(browser, day) as seen:
        await seen.until("Ladder")
        for event in (SPX_EVENT, "KXNASDAQ100U-26NOV23H1200"):
            await seen.page.get_by_role("button", name=event, exact=True).click()
            found = day_document(state, NOW)["ladders"][event]
            assert len(await seen.page.locator("tr[data-market]").all()) == len(found["rows"])
            for row in found["rows"]:
                cells = await seen.row("market", row["market"])
                view = state.others_view(state.venue.books[row["market"]])
                strike = float(row["pays_from"])
                assert cells[0] == f"≥ {strike:,.0f}"
                assert cells[1].split(" ")[0] == f"{row['model'] * 100:.1f}"
                for cell, price, size in (
                    (cells[3], view.best_bid, view.bid_size),
                    (cells[4], view.best_ask, view.ask_size),
                ):
                    expected = cents(price) if price is None else f"{cents(price)} × {contracts(size)}"  # noqa: RUF001 - times
                    assert cell == expected
                own = [one for one in state.live_orders() if one.market_ticker == row["market"]]
                for one in own:
                    assert f"{one.side.value} {cents(one.price)} × {contracts(one.leaves)}" in cells[5]  # noqa: RUF001
            refused = {one["refused_by"] for row in found["rows"] for one in row["decisions"].values()} - {""}
            assert refused or event != SPX_EVENT
            for guard in refused:
                assert f"refused by {guard}" in await seen.page.inner_text("#ladder")
        filled = [one for one in state.orders.values() if one.filled]
        assert len(filled) == 4
        for one in filled:
            cells = await seen.row("filled", one.client_order_id)
            assert cells[4:] == [cents(one.price), f"{contracts(one.filled)} of {contracts(one.count)}"]
        assert await seen.row("reading", "SPX.pit_ks.long") == ["SPX pit_ks long", "–", "…0.12", "3", "learning"]  # noqa: RUF001
        assert await seen.row("reading", "NDX.cover90.hour") == [
            "NDX cover90 hour",
            "0.902",
            "0.845…0.955",
            "208",
            "OK",
        ]
        assert "daily_loss is used by 52 %" in await seen.page.inner_text("#alerts")
        assert "market KXINXU-26NOV23H1200-T6805, reason gap" in await seen.page.inner_text("#events")
        label = await seen.page.locator("#index-SPX .chart").get_attribute("aria-label")
        assert label.startswith("S&P 500 6,822.37, 1.0 s old. Forecast 12:00: ")
        drawn = "els => els.every(e => e.toDataURL().length > 2000)"
        assert await seen.page.locator("#index-SPX canvas, #index-NDX canvas").evaluate_all(drawn)


async def test_what_changes_is_seen_within_a_second_or_two(browser, day, monkeypatch):
    monkeypatch.setattr(page_frames, "EVERY_S", 0.1)
    async with looking(browser, day) as seen:
        await seen.until("Quoting")
        day.now_ns = Nanos(NOW + 3 * SECOND)
        await seen.until("29:57")
        day.state.venue.status = None
        await seen.until("exchange_status: no data")
        assert await seen.text("standing") == "Not quoting"
        day.now_ns = Nanos(NOW + 65 * SECOND)
        await seen.until("since 11:30:03, 1:02")
        cells = await seen.row("guard", "exchange_status")
        assert cells[:2] == ["exchange_status closed since 11:30:03, 1:02; exchange status never read", "no data"], (
            "since when, and for how long"
        )
        assert (await seen.row("event", SPX_EVENT))[4] == "NO"
        day.state.ledger.realized_today = Dollars(-400_050)
        await seen.page.get_by_text("−$40.0050", exact=True).wait_for()  # noqa: RUF001 - a minus


async def test_states_of_a_run_are_told_apart(browser, day, monkeypatch):
    monkeypatch.setattr(page_frames, "EVERY_S", 0.1)
    async with looking(browser, day) as seen:
        await seen.until("Quoting")
        day.state.armed = False
        await seen.until("not armed: nothing is ever sent (run --arm)")
        day.state.armed = True
        day.state.order_groups.halted["wide"] = GroupHalt(NOW, "21 contracts within 15 s")
        await seen.until("Order group of wide halted: 21 contracts within 15 s")
        day.state.reconciliation.agreed, day.state.reconciliation.problem = False, "2 orders here, 3 there"
        await seen.until("Books do not agree: 2 orders here, 3 there")
        day.state.session = page_rig.HALF_DAY
        await seen.until("half day, closes 13:00")
        day.state.latch.closed, day.state.latch.reason = True, "SIGTERM"
        await seen.until("stopping: SIGTERM")
        assert await seen.text("standing") == "Stopping"
        assert (await seen.page.title()).startswith("Stopping")


async def test_an_empty_day_has_dashes_and_no_zeros_for_what_is_not_known(browser, tmp_path):
    day = Day(DaemonState(), tmp_path / "kill_switch", ready=False)
    async with looking(browser, day) as seen:
        await seen.until("Starting")
        assert await seen.text("countdown") == "–"  # noqa: RUF001 - a dash
        assert await seen.text("index.SPX") == "–"  # noqa: RUF001 - a dash
        for words in ("Not known until books were compared.", "No windows", "No window is open.", "None rest."):
            assert words in await seen.page.inner_text("main")
        assert (await seen.row("age", "reconciliation"))[1] == "–"  # noqa: RUF001 - a dash


async def test_a_picture_that_cannot_be_made_is_said(browser, day, monkeypatch):
    monkeypatch.setattr(page_frames, "EVERY_S", 0.1)
    monkeypatch.setattr(page_frames.log, "exception", lambda *_args, **_fields: None, raising=False)
    async with looking(browser, day) as seen:
        await seen.until("Quoting")
        day.broken = True
        await seen.until("could not say how it stands: ZeroDivisionError")
        assert await seen.page.locator("main.stale").count() == 1
        day.broken = False
        await seen.page.locator("main:not(.stale)").wait_for()
        monkeypatch.setattr(status_day, "_fan", lambda *_args: 1 // 0)
        monkeypatch.setattr(status_day.log, "exception", lambda *_args, **_fields: None, raising=False)
        await seen.until("Charts, ladder and filled orders could not be made: ZeroDivisionError.")
        assert await seen.text("standing") == "Quoting", "the rest of the picture is there"


async def test_the_word_kills_and_unkills_by_keyboard_alone(browser, day, monkeypatch):
    monkeypatch.setattr(page_frames, "EVERY_S", 0.1)
    async with looking(browser, day) as seen:
        await seen.until("Quoting")
        await seen.page.keyboard.press("Tab")
        assert await seen.page.evaluate("document.activeElement.textContent") == "Kill…"
        await seen.page.keyboard.press("Enter")
        await seen.page.get_by_label("Type kill").wait_for()
        await seen.page.keyboard.press("Escape")
        assert await seen.page.locator("dialog[open]").count() == 0
        await seen.page.keyboard.press("Enter")
        await seen.page.get_by_label("Type kill").fill("Kill")
        sure = seen.page.get_by_role("button", name="Kill", exact=True)
        assert await sure.is_disabled()
        await seen.page.get_by_label("Type kill").fill("kill")
        await seen.page.keyboard.press("Enter")
        await seen.page.get_by_text("Killed", exact=True).wait_for()
        assert day.kill_switch.exists()
        assert "the kill switch is engaged" in await seen.page.inner_text(".why")
        await seen.page.get_by_role("button", name="Unkill…").click()
        await seen.page.get_by_label("Type unkill").fill("unkill")
        await seen.page.get_by_role("button", name="Unkill", exact=True).click()
        await seen.page.get_by_text("Quoting", exact=True).wait_for()
        assert not day.kill_switch.exists()


async def test_a_restart_is_seen_and_the_page_comes_back_by_itself(browser, day, tmp_path):
    page = await browser.new_page()
    async with serve_page(PageSettings(bind="127.0.0.1:0"), day.shown) as url:
        await page.goto(url)
        await page.get_by_text("Quoting", exact=True).wait_for()
    await page.get_by_text("Connection lost since 11:30:00 New York.").wait_for()
    assert await page.locator("main.stale").count() == 1
    assert (await page.title()).startswith("lost")
    again = Day(a_day(), tmp_path / "kill_switch", run_id="another", now_ns=Nanos(NOW + 40 * SECOND))
    port = url.rstrip("/").rpartition(":")[2]
    async with serve_page(PageSettings(bind=f"127.0.0.1:{port}"), again.shown):
        await page.get_by_text("Another run since 11:30:40").wait_for()
        assert await page.locator("main.stale").count() == 0
        await page.close()


async def test_a_daemon_that_is_stuck_is_seen_although_the_connection_stands(browser, day, monkeypatch):
    async with looking(browser, day) as seen:
        await seen.page.clock.install()
        await seen.page.reload()
        await seen.until("Quoting")
        monkeypatch.setattr(page_frames, "EVERY_S", 600.0)
        await seen.page.wait_for_timeout(1_200)
        await seen.page.clock.fast_forward(8_000)
        await seen.until("Connection lost since 11:30:00 New York.")


async def test_what_a_venue_writes_is_never_markup(browser, day):
    evil = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    status = day.state.windows[SPX_EVENT]
    day.state.windows[SPX_EVENT] = type(status)(status.window, status.phase, evil)
    day.state.order_groups.halted[evil] = GroupHalt(NOW, evil)
    day.events.hear("evil.seen", {"level": "error", "said": evil})
    async with looking(browser, day) as seen:
        await seen.until("evil.seen")
        assert evil in await seen.page.inner_text("#events")
        assert await seen.page.locator("img, main script").count() == 0
        assert "owned" not in await seen.page.title()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
async def test_nothing_is_in_the_way_of_who_sees_badly_or_not(browser, day, scheme, size):
    from axe_playwright_python.async_playwright import Axe  # noqa: PLC0415 - only where there is a browser

    guard_closed = day.state.venue.status
    async with looking(browser, day) as seen:
        await seen.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        await seen.page.set_viewport_size(size)
        await seen.until("Quoting")
        assert await seen.page.evaluate("document.documentElement.scrollWidth") <= size["width"], "nothing sticks out"
        if os.environ.get("PAGE_PICTURES"):
            await seen.page.wait_for_timeout(500)  # charts are drawn
            await seen.page.screenshot(path=PICTURES / f"page-{'desk' if size is DESK else 'phone'}-{scheme}.png")
        day.state.venue.status = None
        await seen.until("Not quoting")
        for state in ("closed", "dialog", "stale"):
            if state == "dialog":
                await seen.page.get_by_role("button", name="Kill…").click()
            if state == "stale":
                await seen.page.keyboard.press("Escape")
                await seen.page.evaluate("document.querySelector('main').classList.add('stale')")
            found = (await Axe().run(seen.page)).response["violations"]
            said = [(one["id"], [node["html"][:160] for node in one["nodes"][:3]]) for one in found]
            assert said == [], state
        day.state.venue.status = guard_closed
