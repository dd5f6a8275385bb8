"""The order manager over real sockets: our clients, the simulated exchange, its own ledger as the judge."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random

import pytest

from kalshi_daemon.domain.order import Status
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.domain.window import Phase, WindowStatus
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import MILLISECOND, MINUTE, SECOND, Nanos, Price, lots
from kalshi_daemon.kalshi.auth import signer_from_pem
from kalshi_daemon.kalshi.rest import KalshiRest
from kalshi_daemon.kalshi.stream import KalshiStream, StreamSink
from kalshi_daemon.kalshi.transport import open_session
from kalshi_daemon.orders.ids import ClientOrderIds
from kalshi_daemon.orders.journal import Journal
from kalshi_daemon.orders.manager import OrderCallbacks, OrderManager, OrderPorts
from kalshi_daemon.settings.model import KalshiSettings, OrderSettings
from kalshi_daemon.simulator.exchange.corrections import amend_settlement, move_to_shard
from kalshi_daemon.simulator.exchange.rate_buckets import TIERS
from kalshi_daemon.simulator.exchange.sim_server import ServerOptions, SimServer
from kalshi_daemon.state import DaemonState
from tests.guardrails.guard_rig import market_of
from tests.orders.order_rig import quote, window
from tests.simulator.exchange_kit import EVENT, OTHER, START, TARGET, TICKER, put, small_exchange
from tests.simulator.key_kit import ed25519_pair

pytestmark = pytest.mark.alone

WINDOW = window(EVENT, TARGET)
QUOTE = replace(quote(where=WINDOW), market_ticker=TICKER, count=lots(2))


class Bench:
    """A quiet exchange with the daemon's account `ann` and a taker `bob`; time is set by the test."""

    def __init__(self, folder):
        self.clock = ManualClock(START)
        self.exchange, self.hand = small_exchange()
        self.server = SimServer(self.exchange, self.clock, ServerOptions(tier=TIERS["basic"]))
        private, public = ed25519_pair()
        self.server.register_key("key-1", public, "ann")
        self.signer = signer_from_pem(private, "key-1")
        self.state = DaemonState(armed=True, kill_switch=False)
        self.state.windows[EVENT] = WindowStatus(WINDOW, Phase.OPEN)
        self.journal = Journal.open(folder / "journal.sqlite3", START, synchronous="normal")
        self.manager: OrderManager
        self.group: asyncio.TaskGroup

    async def until(self, condition, s_max=60.0, step_ms=50):
        """Let time run in steps of 2 ms of real time until the condition holds."""
        for _ in range(round(s_max * 1000 / step_ms)):
            if condition():
                return
            self.clock.advance(Nanos(step_ms * MILLISECOND))
            self.hand.set(self.clock.now_ns())
            self.exchange.run_until(self.clock.now_ns())
            await asyncio.sleep(0.002)
        raise AssertionError("never came true")

    async def drive(self, work):
        task = self.group.create_task(work)
        await self.until(task.done)
        return task.result()

    @property
    def ann(self):
        return self.exchange.accounts["ann"]


@asynccontextmanager
async def bench(folder, *, scope="account", silent=False):
    made = Bench(folder)
    urls = await made.server.start()
    settings = KalshiSettings()
    async with open_session() as session, asyncio.TaskGroup() as group:
        made.group = group
        rest = KalshiRest(urls.rest_url, made.signer, made.clock, settings, session=session)
        made.manager = OrderManager(
            made.state,
            OrderPorts(rest, made.journal, made.clock, lambda _line: None, ClientOrderIds(b"01234567")),
            OrderSettings(scope=scope),
            OrderCallbacks(lambda: None),
        )
        sink = StreamSink(made.manager.on_event)
        stream = KalshiStream(urls.ws_url, made.signer, made.clock, settings, sink, rng=Random(1))
        await made.drive(rest.load_limits())
        await made.drive(made.manager.start())
        tasks = [group.create_task(made.manager.run())]
        if not silent:
            tasks.append(group.create_task(stream.run()))
        await asyncio.sleep(0.1)
        try:
            yield made
        finally:
            for task in tasks:
                task.cancel()
            await made.server.aclose()
            made.journal.close()


async def test_a_quotes_life_from_create_to_settlement_agrees_with_the_exchange(tmp_path):
    async with bench(tmp_path) as store:
        bid, ask = await store.drive(store.manager.place([QUOTE, replace(QUOTE, market_ticker=OTHER, side=Side.ASK)]))
        assert (bid.status, ask.status) == (Status.RESTING, Status.RESTING)
        put(store.exchange, "bob", "ask", 42, 1)
        put(store.exchange, "bob", "bid", 42, 2, ticker=OTHER)
        await store.until(lambda: store.state.ledger.fills_total == 2)
        assert store.state.orders[ask.client_order_id].status is Status.FILLED
        assert store.state.orders[bid.client_order_id].filled == 100
        await store.until(lambda: store.state.orders[bid.client_order_id].expires_ns > START + 2 * MINUTE, 300, 250)
        (theirs,) = [order for order in store.ann.orders.values() if order.client_order_id == bid.client_order_id]
        assert theirs.expires_ns == store.state.orders[bid.client_order_id].expires_ns, "renewed over the wire"
        await store.drive(store.manager.cancel([bid.client_order_id], "edge_lost"))
        assert store.ann.resting_count == 0
        store.clock.set(Nanos(TARGET - SECOND))
        await store.until(lambda: all(p.settled for p in store.state.ledger.positions.values()), 400, 500)
        check = await store.drive(store.manager.books_equal())
        assert check.equal, check.detail
        made = (store.ann.cash - store.ann.start_cash) // 100
        assert check.pnl == check.exchange_pnl == made == 10_000 - 4_200 + 2 * 4_200
        assert store.state.reconciliation.agreed


@pytest.mark.parametrize("scope", ["account", "own"])
async def test_two_hundred_orders_on_the_basic_tier_are_gone_in_under_five_seconds(tmp_path, scope):
    async with bench(tmp_path, scope=scope) as store:
        many = [replace(QUOTE, price=Price(100 + 100 * (step % 40)), count=lots(1)) for step in range(200)]
        assert len(await store.drive(store.manager.place(many))) == store.ann.resting_count == 200
        began = store.clock.now_ns()
        result = await store.drive(store.manager.cancel_all("SIGTERM", Nanos(began + 20 * SECOND)))
        assert result.verified, result.detail
        assert store.ann.resting_count == 0
        assert store.clock.now_ns() - began < 5 * SECOND
        assert store.state.live_orders() == ()


async def test_without_any_stream_the_lists_alone_bring_everything(tmp_path):
    async with bench(tmp_path, silent=True) as store:
        (bid,) = await store.drive(store.manager.place([QUOTE]))
        put(store.exchange, "bob", "ask", 42, 2)
        await store.until(lambda: store.state.orders[bid.client_order_id].status is Status.FILLED, 100, 250)
        await store.until(lambda: store.state.ledger.fills_total == 1, 100, 250)
        assert store.state.reconciliation.agreed


async def test_a_burst_of_fills_triggers_the_group_and_a_reset_lets_it_quote_again(tmp_path):
    async with bench(tmp_path) as store:
        groups = store.exchange.groups.of(store.ann)
        assert {group.limit for group in groups.values()} == {lots(20)}
        assert set(store.state.order_groups.ids.values()) == set(groups)
        many = [replace(QUOTE, price=Price(4_200 - 100 * n), count=lots(11)) for n in range(3)]
        await store.drive(store.manager.place(many))
        put(store.exchange, "bob", "ask", 41, 22)
        await store.until(lambda: store.state.order_groups.halted)
        assert store.ann.resting_count == 0, "the exchange took the third off by itself"
        assert await store.drive(store.manager.place([QUOTE])) == ()
        halt = store.state.order_groups.halted["wide"]
        assert await store.drive(store.manager.reset_group("wide", halt.at_ns))
        (order,) = await store.drive(store.manager.place([replace(QUOTE, price=Price(4_000))]))
        assert order.status is Status.RESTING
        await store.until(lambda: store.state.ledger.fills_total == 2)
    assert set(store.exchange.groups.of(store.ann)) == set(groups), "kept for the next life, not leaked"


async def test_groups_the_exchange_does_not_know_any_more_are_made_again(tmp_path):
    async with bench(tmp_path) as store:
        gone = store.state.order_groups.ids["wide"]
        store.exchange.groups.delete(store.ann, gone, store.clock.now_ns())
        await store.until(lambda: store.state.order_groups.ids.get("wide") not in {None, gone})
        (order,) = await store.drive(store.manager.place([QUOTE]))
        assert order.status is Status.RESTING
        assert len(store.exchange.groups.of(store.ann)) == 3


@pytest.mark.parametrize("silent", [False, True])
async def test_an_amended_settlement_is_corrected_to_the_exchanges_cash(tmp_path, silent):
    async with bench(tmp_path) as store:
        await store.drive(store.manager.place([QUOTE]))
        put(store.exchange, "bob", "ask", 42, 2)
        await store.until(lambda: store.state.ledger.fills_total == 1)
        store.clock.set(Nanos(TARGET - SECOND))
        await store.until(lambda: all(p.settled for p in store.state.ledger.positions.values()), 400, 500)
        before = store.ann.cash
        assert amend_settlement(store.exchange, EVENT, silent=silent)
        assert store.ann.cash != before
        await store.until(store.journal.corrections, 700, 1_000)
        await store.until(lambda: not store.state.ledger.disputed, 60, 1_000)
        check = await store.drive(store.manager.books_equal())
        assert check.equal, check.detail
        assert check.pnl == check.exchange_pnl == (store.ann.cash - store.ann.start_cash) // 100


async def test_the_cash_of_a_far_shard_is_read_over_the_wire_and_nothing_rests_there(tmp_path):
    """The simulated exchange keeps all money on shard 0, so the far shard has none."""
    async with bench(tmp_path) as store:
        move_to_shard(store.exchange, [TICKER], 3)
        listed = replace(market_of(WINDOW, 6850), exchange_index=3)
        contract = replace(listed.contract, market_ticker=TICKER, event_ticker=EVENT)
        store.state.venue.markets[TICKER] = replace(listed, contract=contract)
        store.state.venue.events[EVENT] = (TICKER,)
        await store.until(lambda: 3 in store.state.shard_balances, 100, 250)
        assert store.state.shard_balances[3].cash == 0
        assert await store.drive(store.manager.place([QUOTE])) == (), "its group is on shard 0"
        store.state.order_groups.required = False
        (order,) = await store.drive(store.manager.place([QUOTE]))
        assert order.status is Status.RESTING, "routed by its ticker, without a group"
        await store.drive(store.manager.cancel([order.client_order_id], "edge_lost"))
        assert store.ann.resting_count == 0
