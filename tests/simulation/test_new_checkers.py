"""The checkers of values and files say what is broken, and nothing else."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kalshi_daemon.domain.contract import StrikeType
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import Level, Nanos
from kalshi_daemon.settings.model import GuardSettings
from kalshi_daemon.simulator.feed.misprints import Misprint
from tests.simulation.checkers.files import FilesFail
from tests.simulation.checkers.losses import worst_loss
from tests.simulation.checkers.shards import ShardTrades
from tests.simulation.checkers.values import TrueValues, worth_of
from tests.simulation.disk import Refusal
from tests.simulation.log_volume import LINES_MAX, SteppedSink, Volume

HOUR_NS = Nanos(3_600_000_000_000)
TRUE = 6_900.0
FIXING = (Index.SPX, HOUR_NS)


class _Path:
    session = SimpleNamespace(day="2026-11-23")

    def value_at(self, _at: Nanos) -> float:
        return TRUE


class _Distribution:
    def sigma(self, _now: Nanos, _target: Nanos) -> float:
        return 0.003


def _stage(misprints: list[Misprint], now_s: float = 100.0) -> Any:
    spec = SimpleNamespace(index=Index.SPX, settles_ns=HOUR_NS, floor=Level(69_000_000), cap=None)
    catalogue = SimpleNamespace(markets={"M": SimpleNamespace(spec=spec)})
    feed = SimpleNamespace(misprints=misprints)
    clock = SimpleNamespace(now_ns=lambda: Nanos(0))
    exchange = SimpleNamespace(
        path=lambda _index: _Path(), exchange=SimpleNamespace(catalogue=catalogue), feed=feed, clock=clock
    )
    return SimpleNamespace(exchange=exchange, now_s=now_s)


def _life(value: float) -> Any:
    last = SimpleNamespace(value=value, event_ns=Nanos(0))
    settings = SimpleNamespace(guards=GuardSettings())
    state = SimpleNamespace(index={Index.SPX: SimpleNamespace(last=last)})
    return SimpleNamespace(state=state, components=SimpleNamespace(settings=settings))


def _order(fair: float = 0.5) -> Any:
    return SimpleNamespace(client_order_id="x", market_ticker="M", fair=fair)


def _checker() -> TrueValues:
    checker = TrueValues()
    distributions: Any = {(Index.SPX, "2026-11-23"): _Distribution()}
    checker._distributions = distributions
    return checker


@pytest.mark.parametrize(
    ("value", "fair", "said"),
    [(TRUE, 0.5, ""), (TRUE * 1.0015, 0.5, ""), (TRUE * 1.01, 0.5, "at 6969"), (690.0, 0.5, "at 690"),
     (TRUE, 0.9, "worth of 0.90"), (TRUE, 0.2, "")],
)  # fmt: skip
def test_an_order_on_a_value_that_was_never_true_or_far_from_its_worth_is_a_finding(value, fair, said):
    found = list(_checker().intent(_stage([]), _life(value), _order(fair)))
    assert [said in sentence for sentence in found] == ([True] if said else [])


@pytest.mark.parametrize(("after_s", "said"), [(9.0, 0), (11.0, 1)])
def test_an_order_on_a_value_that_stands_still_is_a_finding(after_s, said):
    still = Misprint(Index.SPX, times=1_000, frozen=True, hits=1)
    stage, checker = _stage([still]), _checker()
    list(checker.look(stage))
    stage.now_s += after_s
    list(checker.look(stage))
    found = list(checker.intent(stage, _life(TRUE * 1.01), _order()))
    assert len(found) == said
    stage.exchange.feed.misprints.clear()
    list(checker.look(stage))
    assert not list(checker.intent(stage, _life(TRUE), _order()))


def test_worth_is_the_share_of_outcomes_that_pay():
    def market(floor: int | None, cap: int | None) -> Any:
        levels = {"floor": None if floor is None else Level(floor * 10_000), "cap": cap and Level(cap * 10_000)}
        return SimpleNamespace(spec=SimpleNamespace(**levels))

    above, below, between = market(6_900, None), market(None, 6_900), market(6_880, 6_920)
    assert worth_of(above, TRUE, 0.003) == pytest.approx(0.5)
    assert worth_of(below, TRUE, 0.003) == pytest.approx(0.5)
    assert worth_of(between, TRUE, 0.003) == pytest.approx(0.666, abs=0.01)
    assert worth_of(above, TRUE * 1.02, 0.003) > 0.99
    assert worth_of(above, TRUE, 0.0) in {0.0, 0.5, 1.0}


# --- shards


@pytest.mark.parametrize(
    ("answers", "after_s", "shard", "said"), [(1, 11.0, 3, 1), (1, 9.0, 3, 0), (0, 60.0, 3, 0), (1, 60.0, None, 0)]
)
def test_an_order_on_a_shard_that_we_know_to_be_paused_is_a_finding(answers, after_s, shard, said):
    requests: Counter[str] = Counter({"exchange_status 200": 2})
    shards = {3: SimpleNamespace(trading_active=False), 4: SimpleNamespace(trading_active=True)}
    venue = SimpleNamespace(venue=SimpleNamespace(shards=shards))
    markets = {"M": SimpleNamespace(exchange_index=shard)}
    life = SimpleNamespace(state=SimpleNamespace(venue=SimpleNamespace(markets=markets)))
    server = SimpleNamespace(rest=SimpleNamespace(requests=requests))
    exchange = SimpleNamespace(exchange=venue, server=server)
    stage: Any = SimpleNamespace(exchange=exchange, daemon=SimpleNamespace(life=life), now_s=100.0, healed_s=0.0)
    checker = ShardTrades()
    list(checker.look(stage))
    requests["exchange_status 200"] += answers
    list(checker.look(stage))
    stage.now_s += after_s
    list(checker.look(stage))
    nobody: Any = None
    assert len(list(checker.intent(stage, nobody, _order()))) == said


# --- files


def _files(tmp_path: Path) -> Any:
    volume = Volume()
    sink = SteppedSink(tmp_path, volume, lambda _event, _fields: None)
    disk = SimpleNamespace(refusal=None, gone=None)
    daemon = SimpleNamespace(volume=volume, sink=sink, disk=disk, life=object())
    return SimpleNamespace(daemon=daemon, now_s=0.0)


def _pass(stage: Any, checker: FilesFail, seconds: float = 1.0) -> list[str]:
    found: list[str] = []
    for _ in range(round(seconds * 4)):
        stage.now_s += 0.25
        stage.daemon.sink.pump()
        found += checker.look(stage)
    return found


@pytest.mark.parametrize("held_up", ["full", "unread"])
def test_lines_that_cannot_be_written_are_dropped_said_and_flow_again(tmp_path, held_up):
    stage, checker = _files(tmp_path), FilesFail()
    sink = stage.daemon.sink
    setattr(stage.daemon.volume, held_up, True)
    for number in range(3 * LINES_MAX):
        sink.write(b'{"event":"x"}\n', 20 if number % 2 else 40)
        assert _pass(stage, checker, 0.25) == []
    setattr(stage.daemon.volume, held_up, False)
    assert _pass(stage, checker, 5.0) == []
    outlet = sink.file if held_up == "full" else sink.pipe
    assert outlet.lines.dropped_total >= 2 * LINES_MAX
    assert sink.told_dropped == outlet.lines.dropped_total
    assert sink.file.lines.lines == sink.pipe.lines.lines == 0


def test_a_line_that_is_neither_written_nor_counted_is_a_finding(tmp_path):
    stage, checker = _files(tmp_path), FilesFail()
    stage.daemon.sink.pipe.put(b"x\n", 20)
    stage.daemon.sink.pipe.lines.take(100)  # and never written
    assert any("neither written nor counted" in sentence for sentence in _pass(stage, checker))


def test_a_line_dropped_before_a_lesser_one_is_a_finding(tmp_path):
    stage, checker = _files(tmp_path), FilesFail()
    queue = stage.daemon.sink.pipe.lines
    queue.put(b"lesser\n", 20)
    queue.unfair += 1
    assert any("dropped before lesser ones" in sentence for sentence in checker.look(stage))


def test_drops_that_are_not_said_are_a_finding(tmp_path):
    stage, checker = _files(tmp_path), FilesFail()
    stage.daemon.sink.file.lines.dropped_total += 1
    stage.daemon.sink.file.offered += 1
    assert any("1 log lines were dropped, 0 were said" in sentence for sentence in _pass(stage, checker, 5.0))


def test_waiting_for_a_reader_is_a_finding(tmp_path):
    stage, checker = _files(tmp_path), FilesFail()
    stage.daemon.volume.unread = True
    stage.daemon.sink.pipe.destination.write(b"straight\n")
    assert "nobody reads" in next(iter(checker.look(stage)))


@pytest.mark.parametrize(
    ("refusal", "gone", "said"),
    [(None, None, ""), (Refusal.LOCKED, None, "locked"), (Refusal.FULL, None, "full"), (None, Path("x"), "gone")],
)
def test_an_intent_that_a_journal_cannot_have_taken_is_a_finding(tmp_path, refusal, gone, said):
    stage, checker = _files(tmp_path), FilesFail()
    stage.daemon.disk.refusal, stage.daemon.disk.gone = refusal, gone
    nobody: Any = None
    found = list(checker.intent(stage, nobody, _order()))
    assert [said in sentence for sentence in found] == ([True] if said else [])


def _settled_stage(fixed_first: dict[Any, Level], price: int) -> Any:
    """Two contracts bought above 6,900, which the exchange decided as NO although the index was fixed above."""
    spec = SimpleNamespace(
        ticker="M",
        index=Index.SPX,
        settles_ns=HOUR_NS,
        strike_type=StrikeType.GREATER,
        floor=Level(69_000_000),
        cap=None,
    )
    market = SimpleNamespace(spec=spec, settlement_value=None)
    order = SimpleNamespace(market=market, side=Side.BID)
    fill = SimpleNamespace(order=order, price=price, count=200, fee=0)
    held = SimpleNamespace(settled=True, updated_ns=Nanos(0), realized=-200 * price, fees=0)
    account = SimpleNamespace(holdings={"M": held}, resting={}, fills=[fill])
    exchange = SimpleNamespace(
        account=account,
        exchange=SimpleNamespace(catalogue=SimpleNamespace(markets={"M": market})),
        clock=SimpleNamespace(now_ns=lambda: Nanos(0)),
    )
    return SimpleNamespace(exchange=exchange, fixed_first=fixed_first)


@pytest.mark.parametrize(
    ("fixed", "lost"), [({}, 1_400_000), ({FIXING: Level(69_000_001)}, 0), ({FIXING: Level(68_000_000)}, 1_400_000)]
)
def test_what_no_value_of_the_index_could_cost_is_not_held_against_the_budget(fixed, lost):
    assert worst_loss(_settled_stage(fixed, 7_000)) == lost
