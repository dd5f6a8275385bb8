import asyncio
import threading

import pytest
from rich.console import Console

from kalshi_daemon.domain.index import Channel, Tick
from kalshi_daemon.domain.order import Fill, Order, Status
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.domain.window import Phase, Window, WindowStatus
from kalshi_daemon.ground.units import DOLLAR, HOUR, MINUTE, SECOND, Count, Dollars, Nanos, Price
from kalshi_daemon.operations import progress
from kalshi_daemon.operations.progress import on_terminal, picture
from kalshi_daemon.operations.screen import Screen
from kalshi_daemon.operations.status import RunFacts, status_of
from kalshi_daemon.orders.booked import BookedFill
from kalshi_daemon.orders.ledger import Ledger
from kalshi_daemon.state import DaemonState, Position
from tests.support.instruments import INDICES, SERIES

NOW = Nanos(1_795_446_300 * SECOND)  # 2026-11-23 10:05 New York
KXINXU = SERIES["KXINXU"]
FACTS = RunFacts("sim", "0", "r", ready=False)


def drawn(state: DaemonState) -> list[str]:
    console = Console(width=160, color_system=None)
    with console.capture() as captured:
        console.print(picture(status_of(state, NOW, FACTS)))
    return captured.get().splitlines()


def window(event_ticker: str, target_ns: int) -> Window:
    edges = (target_ns - HOUR, target_ns - 5 * MINUTE, target_ns - 130 * SECOND, target_ns - 2 * MINUTE, target_ns)
    return Window(KXINXU, event_ticker, "2026-11-23", *(Nanos(edge) for edge in edges))


def order(number: int, event_ticker: str, status: Status, filled: int) -> Order:
    return Order(
        client_order_id=f"kd-{number}",
        market_ticker=f"{event_ticker}-T6884.9999",
        event_ticker=event_ticker,
        series_ticker="KXINXU",
        profile="wide",
        side=Side.BID,
        price=Price(4_000),
        count=Count(200),
        status=status,
        expires_ns=NOW,
        created_ns=NOW,
        filled=Count(filled),
    )


def calm() -> DaemonState:
    state = DaemonState()
    state.kill_switch = False
    return state


def test_before_anything_arrived_both_indices_are_silent():
    head, *rest = drawn(calm())
    assert head.startswith("2026-11-23 10:05:00 ET")
    assert head.count("silent") == len(INDICES)
    assert rest[0].split() == ["window", "phase", "resting", "filled", "position"]
    assert rest[1].startswith("scans 0   placed 0   cancelled 0   fills 0")


def test_a_value_is_shown_with_its_age():
    state = calm()
    first = INDICES[0]
    then = Nanos(NOW - 1_500_000_000)
    state.index[first].last = Tick(first, next(iter(Channel)), 6_884.315, then, then)
    assert f"{first.value} 6,884.31" in drawn(state)[0] or f"{first.value} 6,884.32" in drawn(state)[0]
    assert "(1.5 s old)" in drawn(state)[0]


@pytest.mark.parametrize("phase", list(Phase))
def test_every_phase_has_a_row_and_a_colour(phase):
    state = calm()
    state.windows["KXINXU-26NOV23H1100"] = WindowStatus(window("KXINXU-26NOV23H1100", NOW + HOUR), phase)
    assert drawn(state)[2].split() == ["KXINXU-26NOV23H1100", phase.value, "0", "0", "0"]


def test_windows_stand_in_the_order_of_their_fixings_with_what_is_ours_in_them():
    state = calm()
    for name, hours in (("LATER", 2), ("SOONER", 1)):
        state.windows[name] = WindowStatus(window(name, NOW + hours * HOUR), Phase.OPEN)
    for number, (status, filled) in enumerate(
        ((Status.RESTING, 0), (Status.UNKNOWN, 50), (Status.FILLED, 200), (Status.CANCELED, 0))
    ):
        state.orders[f"kd-{number}"] = order(number, "SOONER", status, filled)
    for ticker, count, settled, traded in (
        ("SOONER-A", 150, "", 250),
        ("SOONER-B", -100, "", 100),
        ("SOONER-C", 900, "yes", 900),
    ):
        state.ledger.positions[ticker] = Position(
            ticker, "SOONER", "KXINXU", count=Count(count), settled=settled, traded=Count(traded)
        )
    rows = [line.split() for line in drawn(state)[2:4]]
    assert rows[0] == ["SOONER", "open", "2", "12.5", "2.5"], "unknown may still rest; a paid position is over"
    assert rows[1] == ["LATER", "open", "0", "0", "0"]


def test_what_was_filled_comes_from_the_ledger_not_from_the_orders_in_memory():
    state = calm()
    state.windows["SOONER"] = WindowStatus(window("SOONER", NOW + HOUR), Phase.OPEN)
    ledger = Ledger()
    for number in range(500):
        side = Side.BID if number % 2 else Side.ASK
        fill = Fill(f"t{number}", f"o{number}", "SOONER-A", side, Price(4_000), Count(100), Dollars(0), False, NOW)
        ledger.add_fill(BookedFill(fill, "SOONER", "KXINXU"))
    state.ledger = ledger.state(NOW)
    assert drawn(state)[2].split() == ["SOONER", "open", "0", "500", "0"], "no order of them is remembered any more"


def test_the_money_line():
    state = calm()
    ledger = state.ledger
    ledger.fills_total, ledger.contracts_total = 3, Count(450)
    ledger.fees_total, ledger.realized_today = Dollars(12 * DOLLAR // 100), Dollars(-DOLLAR)
    state.counters.scans, state.counters.orders_placed, state.counters.orders_cancelled = 7, 9, 4
    assert drawn(state)[-1].rstrip() == (
        "scans 7   placed 9   cancelled 4   fills 3 (4.50 contracts)   fees $0.1200   settled PnL $-1.0000"
    )


def test_why_nothing_is_quoted_stands_in_the_first_line():
    state = DaemonState()
    assert drawn(state)[0].endswith("KILL SWITCH"), "engaged until somebody looked"
    state.latch.closed, state.latch.reason = True, "SIGTERM"
    assert drawn(state)[0].endswith("STOPPING: SIGTERM")


async def test_it_redraws_until_cancelled_and_leaves_the_last_picture(monkeypatch):
    state, shown = calm(), asyncio.Event()
    real, drawings = progress.picture, []

    def counted(*args):
        drawings.append(state.counters.scans)
        if len(drawings) == 3:
            shown.set()
        return real(*args)

    monkeypatch.setattr(progress, "picture", counted)
    monkeypatch.setattr(progress, "_REDRAW_S", 0.001)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        task = group.create_task(on_terminal(lambda: status_of(state, NOW, FACTS), Screen(lambda _data: None)))
        await shown.wait()
        state.counters.scans = 99
        task.cancel()
    assert drawings[-1] == 99


async def test_a_terminal_that_stands_holds_up_nothing_and_the_last_picture_is_the_newest(monkeypatch):
    monkeypatch.setattr(progress, "_REDRAW_S", 0.001)
    state, gate, shown = calm(), threading.Event(), []

    def stopped(data: bytes) -> None:
        gate.wait(5)
        shown.append(data.decode())

    screen = Screen(stopped)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        task = group.create_task(on_terminal(lambda: status_of(state, NOW, FACTS), screen))
        for scans in range(20):  # the loop turns, whatever the terminal does
            state.counters.scans = scans
            await asyncio.sleep(0.002)
        assert not screen.idle
        state.counters.scans = 99
        task.cancel()
    assert shown == []
    gate.set()
    assert screen.end(10)
    assert "scans 99" in shown[-1]
    assert len(shown) <= 3, "what a standing terminal missed is not drawn afterwards"
