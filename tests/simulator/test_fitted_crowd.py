"""Makers that notice their fills and takers of all sizes, one at a time against a market of paper; regimes by name."""

from dataclasses import replace

import numpy as np
import pytest

from kalshi_daemon.domain.contract import Contract, StrikeType
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.units import HOUR, POINT, SECOND, Count, Level, Nanos, Price
from kalshi_daemon.settings.regimes import RegimeSettings
from kalshi_daemon.simulator.traders.alert import AlertMaker, FlowTakers
from kalshi_daemon.simulator.traders.regimes import REGIMES, regime
from kalshi_daemon.simulator.traders.traders import Ladder, Law, TraderMix

START = Nanos(1_800_000_000 * SECOND)
LAW = Law(0.002)
STRIKE = 6_800.0
CONTRACT = Contract(
    "M", "E", "S", Index("SPX"), StrikeType.GREATER, Level(int(STRIKE * POINT)), None, Nanos(START + HOUR)
)
FIXING = Nanos(START + HOUR)
LADDER = Ladder.of([CONTRACT], FIXING, START)
MIX = replace(
    REGIMES["efficient"],
    refresh_s=(1.0, 1.0),
    improve_share=0.0,
    replace_share=0.0,
    pull_s=(5.0, 5.0),
    notice_s=(2.0, 2.0),
)


class Paper:
    """One market that keeps what is asked of it."""

    def __init__(self) -> None:
        self.resting: dict[str, tuple[Side, Price, Count]] = {}
        self.taken: list[tuple[str, Side, Count]] = []
        self.cancelled: list[str] = []
        self.bid: Price | None = None
        self.ask: Price | None = None
        self._ids = 0

    def best(self, _ticker: str) -> tuple[Price | None, Price | None]:
        return self.bid, self.ask

    def rest(self, _account: str, _ticker: str, side: Side, price: Price, count: Count) -> str:
        self._ids += 1
        self.resting[str(self._ids)] = (side, price, count)
        return str(self._ids)

    def take(self, account: str, _ticker: str, side: Side, _price: Price, count: Count) -> Count:
        self.taken.append((account, side, count))
        return count

    def cancel(self, _account: str, order_id: str) -> None:
        self.cancelled.append(order_id)
        self.resting.pop(order_id, None)

    def remaining(self, _account: str, order_id: str) -> Count:
        return self.resting[order_id][2] if order_id in self.resting else Count(0)

    def traded(self) -> tuple[str, ...]:
        return ("M",)


def seconds(number: float) -> Nanos:
    return Nanos(START + round(number * SECOND))


def a_maker(mix: TraderMix = MIX) -> tuple[AlertMaker, Paper]:
    """A maker that quotes both sides."""
    maker, paper = AlertMaker("m", LADDER, mix, np.random.default_rng(1)), Paper()
    for second in range(1, 15):
        if not paper.resting:
            maker.act(seconds(second), paper, lambda _at: STRIKE, LAW)
    assert {side for side, _, _ in paper.resting.values()} == set(Side)
    return maker, paper


def test_a_maker_that_was_hit_pulls_that_side_once_it_has_noticed_and_leaves_it_alone_for_a_while():
    maker, paper = a_maker()
    bid = next(name for name, (side, _, _) in paper.resting.items() if side is Side.BID)
    side, price, count = paper.resting[bid]
    maker.on_trades(seconds(20), {"M", "N"}, paper)
    assert paper.cancelled == [], "somebody else's trade"
    paper.resting[bid] = (side, price, Count(count - 100))
    maker.on_trades(seconds(21), {"M"}, paper)
    maker.on_trades(seconds(22), {"M"}, paper)
    quiet = lambda second: maker.act(seconds(second), paper, lambda _at: STRIKE, LAW)  # noqa: E731
    quiet(22.5)
    assert bid not in paper.cancelled, "not known yet"
    for second in (23, 24, 25, 26, 27):
        quiet(second)
        assert bid in paper.cancelled
        assert [side for side, _, _ in paper.resting.values()] == [Side.ASK], second
    for second in range(28, 45):
        quiet(second)
    assert {side for side, _, _ in paper.resting.values()} == set(Side), "and comes back"


def test_a_maker_steps_a_tick_in_front_only_where_there_is_room():
    _maker, paper = a_maker()
    prices = {side: price for side, price, _ in paper.resting.values()}
    bid, ask = prices[Side.BID], prices[Side.ASK]
    bold = replace(MIX, improve_share=1.0)
    for best, wanted in (((bid, ask), (bid + 100, ask - 100)), ((bid, Price(bid + 100)), (bid, None))):
        other = Paper()
        other.bid, other.ask = best
        maker = AlertMaker("m", LADDER, bold, np.random.default_rng(1))
        for second in range(1, 15):
            if not other.resting:
                maker.act(seconds(second), other, lambda _at: STRIKE, LAW)
        found = {side: price for side, price, _ in other.resting.values()}
        assert found[Side.BID] == wanted[0]
        assert wanted[1] is None or found[Side.ASK] == wanted[1]


def flow(mix: TraderMix, hours: int = 4, value: float = STRIKE, mid: int = 5_000) -> Paper:
    ladder = Ladder.of([CONTRACT], Nanos(START + hours * HOUR), START)
    takers, paper = FlowTakers("t", ladder, mix, np.random.default_rng(2)), Paper()
    paper.bid, paper.ask = Price(mid - 100), Price(mid + 100)
    for second in range(0, hours * 3_600 - 60, 10):
        takers.act(seconds(second), paper, lambda at: value + (at - START) / HOUR * 0.0, LAW)
    return paper


def test_uninformed_orders_have_the_sizes_of_real_ones():
    paper = flow(replace(MIX, informed_per_minute=0.001))
    sizes = [count / 100 for _, _, count in paper.taken]
    assert len(sizes) > 1_000
    assert 9 <= float(np.median(sizes)) <= 13
    assert 30 <= float(np.mean(sizes)) <= 55, "a mean of 45 to 60 in 2023"
    assert max(sizes) == 500


def test_uninformed_takers_like_yes():
    def bought(bias: float) -> float:
        paper = flow(replace(MIX, informed_per_minute=0.001, yes_bias=bias))
        return sum(side is Side.BID for _, side, _ in paper.taken) / len(paper.taken)

    assert bought(0.02) > bought(0.0) + 0.1 > bought(-0.02) + 0.2


def test_who_knows_acts_on_an_index_of_his_own_time():
    """The index jumps at half past; who is ten seconds late acts on it ten seconds after, who is early before."""
    jump = Nanos(START + HOUR // 2)

    def first_buy(delay: tuple[float, float]) -> float:
        mix = replace(MIX, noise_per_minute=0.001, informed_per_minute=600.0, informed_delay_s=delay)
        ladder = replace(LADDER, trades_from_ns=seconds(1_779))
        takers, paper = FlowTakers("t", ladder, mix, np.random.default_rng(2)), Paper()
        paper.bid, paper.ask = Price(4_900), Price(5_100)
        for second in range(1_780, 1_820):
            takers.act(seconds(second), paper, lambda at: STRIKE + 10.0 * (at >= jump), LAW)
            bought = [name for name, side, _ in paper.taken if side is Side.BID]
            if bought:
                assert bought[0] == "t-informed"
                return second - 1_800.0
        raise AssertionError("never")

    assert 9 <= first_buy((10.0, 10.0)) <= 11
    assert -11 <= first_buy((-10.0, -10.0)) <= -9


def test_a_configured_regime_is_its_base_but_for_what_is_given():
    changed = regime("harsh", {"harsh": RegimeSettings(noise_per_minute=7.0)})
    assert changed == replace(REGIMES["harsh"], noise_per_minute=7.0)
    quiet = RegimeSettings(base="noise", half_spread_cents_min=0.5, informed_contracts_max=2, maker_contracts_max=60)
    assert regime("quiet", {"quiet": quiet}) == replace(
        REGIMES["noise"], half_spread=(0.005, 0.014), informed_lots=(2, 3), maker_lots=(50, 61)
    )
    alert = regime("usual", {"usual": RegimeSettings(noise_contracts_median=20)})
    assert alert.notice_s is not None, "makers of a configured regime notice their fills"
    assert (alert.noise_lots, alert.noise_lots_spread) == ((20, 900), 1.7)


@pytest.mark.parametrize(
    ("name", "row", "words"),
    [
        ("calm", None, "--regime: 'calm' is no regime"),
        (
            "calm",
            {"half_spread_cents_min": 4.0},
            "sim.regimes.calm.half_spread_cents_min: 4 is above half_spr",
        ),
    ],
)
def test_what_is_no_regime_is_refused_by_name(name, row, words):
    with pytest.raises(ConfigurationError, match=words):
        regime(name, {} if row is None else {name: RegimeSettings(**row)})


def test_defaults_of_a_row_are_those_of_its_default_base():
    """What `config` shows of a key that is left out is what is played."""
    whole = RegimeSettings()
    given = RegimeSettings(**{key: getattr(whole, key) for key in RegimeSettings.model_fields if key != "base"})
    assert regime("x", {"x": given}) == REGIMES["efficient"]
