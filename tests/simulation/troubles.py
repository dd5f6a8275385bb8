"""Every kind of fault: how it begins, whether anything was hit by it so far, and how it ends."""

from collections.abc import Callable

from kalshi_daemon.ground.units import MILLISECOND, SECOND, Nanos
from kalshi_daemon.simulator.exchange.faults import Injection, Manner, StreamFaults, When
from kalshi_daemon.simulator.exchange.sim_fees import FeeKind, FeeModel
from tests.simulation import daemon_host, exchange_host
from tests.simulation.disk_troubles import DISK
from tests.simulation.effect import Begin, Effect
from tests.simulation.far_away import FAR_AWAY
from tests.simulation.lies import LIES
from tests.simulation.misprinted import MISPRINTS
from tests.simulation.stage import Stage

_WRITES = ("batch_create", "batch_create", "batch_cancel", "cancel_all", "amend")
_READS = ("orders", "order", "fills", "positions", "balance", "settlements", "exchange_status", "markets", "orderbook")
LACKING = {
    "batch_create": ("order_id", "client_order_id", "remaining_count", "orders"),
    "batch_cancel": ("order_id", "reduced_by", "orders"),
    "amend": ("order_id", "ts_ms"),
    "orders": ("order_id", "client_order_id", "status", "orders", "remaining_count_fp", "yes_price_dollars"),
    "order": ("order", "status"),
    "fills": ("trade_id", "fills", "count_fp", "is_taker"),
    "positions": ("market_positions", "position_fp"),
    "balance": ("balance", "balance_dollars"),
}


def _injected(manner: Manner, when: When, *, status: int = 503, code: str = "service_unavailable") -> Begin:
    def begin(stage: Stage, _for_s: float) -> Effect:
        rng, only = stage.rng, stage.scenario.only
        operations = (only,) if only else _WRITES if rng.random() < 0.7 else _READS
        made = [
            Injection(rng.choice(operations), when, manner, status, code, times=rng.randint(1, 3), hang_s=12.0)
            for _ in range(rng.randint(1, 3))
        ]
        return _inject(stage, made)

    return begin


def _inject(stage: Stage, made: list[Injection]) -> Effect:
    faults = stage.exchange.server.faults
    wanted = sum(one.times for one in made)
    faults.injections.extend(made)

    def end() -> None:
        faults.injections = [one for one in faults.injections if all(one is not mine for mine in made)]

    return Effect(lambda: sum(max(0, one.times) for one in made) < wanted, end)


def _field_removed(stage: Stage, _for_s: float) -> Effect:
    operation, _, lacks = stage.scenario.only.partition(":")
    operation = operation or stage.rng.choice(sorted(LACKING))
    lacks = lacks or stage.rng.choice(LACKING[operation])
    times = stage.rng.randint(1, 4)
    return _inject(stage, [Injection(operation, When.AFTER, Manner.LACK, times=times, lacks=lacks)])


def _storm(stage: Stage, _for_s: float) -> Effect:
    times = stage.rng.randint(20, 400)
    return _inject(stage, [Injection("*", When.BEFORE, Manner.STATUS, 429, "too_many_requests", times=times)])


# --- the network


def _links(stage: Stage, latency: tuple[float, float]) -> None:
    net = stage.loop.net
    net.set_link(daemon_host.HOST, exchange_host.HOST, latency=latency)
    net.set_link(exchange_host.HOST, daemon_host.HOST, latency=latency)


def _slow(stage: Stage, low: float, high: float) -> Effect:
    _links(stage, (low, high))

    def end() -> None:
        _links(stage, stage.scenario.latency_s)

    return Effect(end=end)


def _latency(stage: Stage, _for_s: float) -> Effect:
    base = float(stage.scenario.only or stage.rng.uniform(0.2, 1.5))
    return _slow(stage, base, base * 1.1)


def _jitter(stage: Stage, _for_s: float) -> Effect:
    return _slow(stage, 0.001, stage.rng.uniform(0.3, 3.0))


def _partition(stage: Stage, _for_s: float) -> Effect:
    stage.loop.net.partition({daemon_host.HOST}, {exchange_host.HOST})

    def end() -> None:
        stage.loop.net.heal()
        stage.healed_s = stage.now_s

    return Effect(end=end)


# --- the stream


_QUIET_CHANNELS = ("market_lifecycle_v2", "order_group_updates")


def _once(act: Callable[[Stage], object]) -> Begin:
    def begin(stage: Stage, _for_s: float) -> Effect:
        hit = bool(act(stage))
        return Effect(lambda: hit)

    return begin


def _stream_gap(stage: Stage, _for_s: float) -> Effect:
    """Felt when a frame follows: until then nobody can know that numbers are missing."""
    hub, drawn = stage.exchange.server.hub, ("orderbook_delta", "orderbook_delta", *_QUIET_CHANNELS)
    channel = stage.scenario.only or stage.rng.choice(drawn)
    hub.skip_seq(channel, stage.rng.randint(1, 3))
    skipping = list(hub.board.of(channel))
    return Effect(lambda: any(subscription.skip == 0 for subscription in skipping))


def _bent(field: str, bend: Callable[[Stage], object]) -> Begin:
    """`bend` says what the field of StreamFaults becomes; it is put back at the end, and no other."""

    def begin(stage: Stage, _for_s: float) -> Effect:
        stream = stage.exchange.server.faults.stream
        before, usual = stream.affected, getattr(StreamFaults(), field)
        setattr(stream, field, bend(stage))

        def end() -> None:
            setattr(stream, field, usual)

        return Effect(lambda: stream.affected > before, end)

    return begin


def _mute(stage: Stage) -> frozenset[str]:
    private = frozenset({"fill", "user_orders"})
    everything = private | {"orderbook_delta", "market_lifecycle_v2"}
    choices = (private, everything, frozenset({"orderbook_delta"}), frozenset({"fill"}))
    only = frozenset(stage.scenario.only.split(",")) - {""}
    return only or stage.rng.choice(choices)


def _withhold(stage: Stage) -> frozenset[str]:
    """One market, one we quote if there is any: what comes of all the others looks as ever."""
    quoted = sorted({order.market.spec.ticker for order in stage.exchange.resting()})
    listed = [market.spec.ticker for market in stage.exchange.exchange.catalogue.by_event[stage.exchange.events[0]]]
    return frozenset({stage.rng.choice(quoted or listed)})


def _lag(stage: Stage) -> float:
    return stage.rng.uniform(0.5, 20.0)


def _duplicate(stage: Stage) -> int:
    return stage.rng.randint(1, 60)


def _reorder(stage: Stage) -> int:
    return stage.rng.randint(1, 30)


def _streams_refused(stage: Stage, _for_s: float) -> Effect:
    faults = stage.exchange.server.faults
    faults.refuse_streams = 503
    cut = stage.exchange.server.hub.drop_connections()

    def end() -> None:
        faults.refuse_streams = 0

    return Effect(lambda: cut > 0, end)


# --- the exchange


def _paused(stage: Stage, *, whole: bool) -> Effect:
    stage.exchange.exchange.venue.pause(exchange=whole)

    def end() -> None:
        stage.exchange.exchange.venue.resume()

    return Effect(end=end)


def _market_halt(stage: Stage, _for_s: float) -> Effect:
    markets = [market.spec.ticker for market in stage.exchange.exchange.catalogue.by_event[stage.exchange.events[0]]]
    stage.exchange.exchange.venue.deactivate(markets)

    def end() -> None:
        stage.exchange.exchange.venue.activate(markets)

    return Effect(end=end)


def _races(stage: Stage, *, creates: int, cancels: int) -> Effect:
    trap = stage.exchange.trap
    before = trap.won
    trap.crossings, trap.takes, trap.part = creates, cancels, stage.rng.random() < 0.5

    def end() -> None:
        trap.crossings = trap.takes = 0

    return Effect(lambda: trap.won > before, end)


def _post_only_race(stage: Stage, _for_s: float) -> Effect:
    return _races(stage, creates=stage.rng.randint(1, 6), cancels=0)


def _cancel_fill_race(stage: Stage, _for_s: float) -> Effect:
    return _races(stage, creates=0, cancels=stage.rng.randint(1, 6))


def _late_settlement(stage: Stage, _for_s: float) -> Effect:
    lifecycle, now = stage.exchange.exchange.lifecycle, stage.exchange.clock.now_ns()
    markets = stage.exchange.exchange.catalogue.by_event
    in_time = [event for event in stage.exchange.events if now < markets[event][0].spec.close_ns]
    for event in in_time:
        lifecycle.settlement_holds[event] = Nanos(int(stage.rng.uniform(20, 150) * SECOND))
    return Effect(lambda: bool(in_time))


def _fee_change(stage: Stage, _for_s: float) -> Effect:
    fees = FeeModel(FeeKind("quadratic_with_maker_fees"), 1_000_000)
    at = Nanos(stage.exchange.clock.now_ns() + SECOND)
    stage.exchange.exchange.venue.change_series_fees(stage.rng.choice(stage.exchange.series), fees, at)
    return Effect()


def _cancels_refused(stage: Stage, _for_s: float) -> Effect:
    faults = stage.exchange.server.faults
    faults.refuse_cancels = True

    def end() -> None:
        faults.refuse_cancels = False

    return Effect(end=end)


def _group_triggered(stage: Stage) -> bool:
    store, account = stage.exchange.exchange.groups, stage.exchange.account
    groups = sorted(store.of(account))
    return bool(groups) and store.trigger(account, stage.rng.choice(groups), stage.exchange.exchange.enter()) is None


def _stranger(stage: Stage) -> bool:
    return stage.exchange.place_stranger() is not None


# --- the daemon's own machine


def _clock_step(stage: Stage, _for_s: float) -> Effect:
    drawn = int(stage.rng.choice((-1, 1)) * stage.rng.uniform(300, 5_000))
    step = int(stage.scenario.only or drawn) * MILLISECOND
    stage.daemon_clock.offset_ns += step
    stage.clock_ahead_ns_max = max(stage.clock_ahead_ns_max, stage.daemon_clock.offset_ns)

    def end() -> None:
        stage.daemon_clock.offset_ns -= step

    return Effect(end=end)


def _kill_switch(stage: Stage, _for_s: float) -> Effect:
    stage.daemon.set_kill_switch(engaged=True)

    def end() -> None:
        stage.daemon.set_kill_switch(engaged=False)

    return Effect(end=end)


# --- the index feed


def _feed_stall(stage: Stage, for_s: float) -> Effect:
    stage.exchange.feed.stall(Nanos(stage.exchange.clock.now_ns() + int(for_s * SECOND)))
    return Effect()


def _feed_delay(stage: Stage, _for_s: float) -> Effect:
    stage.exchange.feed.delay(Nanos(int(stage.rng.uniform(1.0, 15.0) * SECOND)))

    def end() -> None:
        stage.exchange.feed.delay(Nanos(0))

    return Effect(end=end)


def _feed_abort(stage: Stage) -> int:
    connections = stage.exchange.feed.connections
    stage.exchange.feed.abort()
    return connections


def _feed_duplicate(stage: Stage) -> bool:
    stage.exchange.feed.duplicate(stage.rng.randint(1, 10))
    return True


def _feed_reorder(stage: Stage) -> bool:
    stage.exchange.feed.swap(stage.rng.randint(1, 5))
    return True


KINDS: dict[str, Begin] = {
    "latency": _latency,
    "jitter": _jitter,
    "partition": _partition,
    "timeout_before_apply": _injected(Manner.HANG, When.BEFORE),
    "timeout_after_apply": _injected(Manner.HANG, When.AFTER),
    "http_5xx_before_apply": _injected(Manner.STATUS, When.BEFORE),
    "http_5xx_after_apply": _injected(Manner.STATUS, When.AFTER, status=500, code="internal_error"),
    "http_429_storm": _storm,
    "dropped_before_apply": _injected(Manner.DROP, When.BEFORE),
    "dropped_after_apply": _injected(Manner.DROP, When.AFTER),
    "dropped_mid_response": _injected(Manner.CUT, When.AFTER),
    "garbage_body": _injected(Manner.GARBAGE, When.AFTER),
    "field_removed": _field_removed,
    "stream_drop": _once(lambda stage: stage.exchange.server.hub.drop_connections()),
    "stream_refused": _streams_refused,
    "stream_gap": _stream_gap,
    "stream_duplicate": _bent("duplicates", _duplicate),
    "stream_reorder": _bent("swaps", _reorder),
    "stream_silence": _bent("muted", _mute),
    "stream_lag": _bent("lag_s", _lag),
    "market_withheld": _bent("withheld", _withhold),
    "exchange_pause": lambda stage, _for_s: _paused(stage, whole=True),
    "trading_pause": lambda stage, _for_s: _paused(stage, whole=False),
    "market_halt": _market_halt,
    "post_only_race": _post_only_race,
    "cancel_fill_race": _cancel_fill_race,
    "late_settlement": _late_settlement,
    "fee_change": _fee_change,
    "cancels_refused": _cancels_refused,
    "group_triggered": _once(_group_triggered),
    "stranger_order": _once(_stranger),
    "clock_step": _clock_step,
    "kill_switch": _kill_switch,
    "feed_stall": _feed_stall,
    "feed_delay": _feed_delay,
    "feed_abort": _once(_feed_abort),
    "feed_duplicate": _once(_feed_duplicate),
    "feed_reorder": _once(_feed_reorder),
    **LIES,
    **MISPRINTS,
    **FAR_AWAY,
    **DISK,
}
