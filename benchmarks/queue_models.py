"""Our queue models beside hftbacktest's on random tapes: does an order fill at the same event?

Needs `pip install hftbacktest==2.4.4` in an environment that has this project's packages too; prints a line of JSON a
model. Exit code 1 when an order filled at another event, but for a queue whose estimate fell below nobody ahead: there
the log-prob of 2.4.4 takes the logarithm of a negative number and puts the order last again.

One order of the smallest size: larger ones differ by intent, since hftbacktest fills an order whole when anything goes
through its price (docs/laboratory.md), and the partial-fill exchange of 2.4.4 leaves partial fills out of position and
cash.
"""

import json
import random
import sys
from types import SimpleNamespace

import numpy as np
from hftbacktest import (
    BUY_EVENT,
    DEPTH_EVENT,
    EXCH_EVENT,
    GTX,
    LIMIT,
    LOCAL_EVENT,
    SELL_EVENT,
    TRADE_EVENT,
    BacktestAsset,
    HashMapMarketDepthBacktest,
)
from hftbacktest.types import event_dtype

from kalshi_daemon.backtest.recorded.queue_models import QUEUE_MODELS
from kalshi_daemon.backtest.recorded.recorded_book import RecordedBook
from kalshi_daemon.backtest.recorded.tape import TapeEvent, TapeKind
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import Count, Nanos, Price

CENT, LOT, OURS = 100, 100, 49
"""Units of a price; hundredths of a contract; the price of our bid, cents."""
STEP_NS = 1_000_000
TAPES = 300
EVENTS = 120
MODELS = {
    "risk-adverse": lambda asset: asset.risk_adverse_queue_model(),
    "log-prob": lambda asset: asset.log_prob_queue_model(),
    "power-prob": lambda asset: asset.power_prob_queue_model(3.0),
}
type Tape = list[tuple[str, str, int, int]]


def random_tape(rng: random.Random) -> Tape:
    """(kind, side, cents, contracts); nothing goes through our price but a trade or an offer at it."""
    depth = {("bid", 48): 200, ("bid", OURS): rng.randint(20, 120), ("ask", 51): 200, ("ask", 52): 200}
    tape: Tape = [("add", side, cents, held) for (side, cents), held in depth.items()]
    while len(tape) < EVENTS:
        kind = rng.choices(["add", "cancel", "trade"], [4, 4, 3])[0]
        side, cents = rng.choice([("bid", OURS)] * 4 + [("bid", 48), ("ask", 51), ("ask", 52)])
        best = OURS if depth["bid", OURS] else 48
        if kind == "trade" and (side, cents) not in {("bid", best), ("ask", 51)}:
            continue
        held = depth[side, cents]
        # The best ask and the second bid stay, so that no side is ever empty.
        room = held if (side, cents) == ("bid", OURS) else held - 1
        contracts = rng.randint(1, 40) if kind == "add" else min(room, rng.randint(1, 40))
        if contracts > 0:
            depth[side, cents] += contracts if kind == "add" else -contracts
            tape.append((kind, side, cents, contracts))
    return tape


def ours(model: str, tape: Tape, joins: int) -> tuple[int | None, bool]:
    """The event that filled an order that came before event `joins`; whether cancels alone brought it to the front."""
    filled: list[int] = []
    reached = False
    at = [0]

    def trade(maker: SimpleNamespace, count: int) -> None:
        maker.remaining -= count
        maker.booked = maker.remaining > 0
        if maker is order:
            filled.append(at[0])
            book.own_changed(order)

    def resize(order: SimpleNamespace, remaining: int) -> None:
        order.remaining, order.booked = remaining, remaining > 0

    def rested(side: Side, price: int, count: int) -> SimpleNamespace:
        return SimpleNamespace(order_id="", side=side, price=price, remaining=count, booked=True)

    book = RecordedBook(SimpleNamespace(rest=rested, resize=resize, trade=trade), QUEUE_MODELS[model]())
    order = rested(Side.BID, OURS * CENT, 1)
    order.order_id = "us"
    for place, (kind, side, cents, contracts) in enumerate(tape):
        at[0] = place
        if place == joins:
            book.own_changed(order)
        count = Count(contracts * LOT)
        before = book.ahead_of("us")
        book.apply(TapeEvent(Nanos(0), "M", TapeKind(kind), Side(side), Price(cents * CENT), count))
        reached |= kind == "cancel" and before > 0 == book.ahead_of("us") and order.booked
    return (filled[0] if filled else None), reached


def theirs(model: str, tape: Tape, joins: int) -> int | None:
    """The same by hftbacktest: one lot is a hundredth of a contract."""
    rows, depth = [], dict[tuple[str, int], int]()
    for place, (kind, side, cents, contracts) in enumerate(tape):
        at = (place + 1) * STEP_NS
        bid = side == "bid"
        depth[side, cents] = depth.get((side, cents), 0) + (contracts if kind == "add" else -contracts)
        if kind == "trade":
            seller = SELL_EVENT if bid else BUY_EVENT
            rows.append((TRADE_EVENT | EXCH_EVENT | LOCAL_EVENT | seller, at, at, cents / 100, contracts, 0, 0, 0.0))
        whose = BUY_EVENT if bid else SELL_EVENT
        rows.append(
            (DEPTH_EVENT | EXCH_EVENT | LOCAL_EVENT | whose, at, at, cents / 100, depth[side, cents], 0, 0, 0.0)
        )
    rows.append(
        (DEPTH_EVENT | EXCH_EVENT | LOCAL_EVENT | BUY_EVENT, at + 10 * STEP_NS, at + 10 * STEP_NS, 0.01, 1, 0, 0, 0.0)
    )
    data = np.array(rows, dtype=event_dtype)  # kept until the end: hftbacktest has no more than its address
    asset = BacktestAsset().data([data]).linear_asset(1.0)
    asset = MODELS[model](asset.constant_order_latency(0, 0)).no_partial_fill_exchange()
    asset = asset.trading_value_fee_model(0.0, 0.0).tick_size(0.01).lot_size(0.01)
    market = HashMapMarketDepthBacktest([asset])
    market.elapse(1)  # before that its time is none
    # Between two events: after the one before, ahead of `joins`.
    market.elapse(joins * STEP_NS + STEP_NS // 2 - int(market.current_timestamp))
    market.submit_buy_order(0, 1, OURS / 100, 0.01, GTX, LIMIT, False)
    for place in range(joins, len(tape)):
        market.elapse((place + 1) * STEP_NS + STEP_NS // 2 - int(market.current_timestamp))
        if market.position(0) > 0:
            market.close()
            return place
    market.close()
    return None


def main() -> int:
    wrong = 0
    for model in MODELS:
        rng = random.Random(1)
        same, filled, fell, differing = 0, 0, 0, []
        for number in range(TAPES):
            tape = random_tape(rng)
            joins = rng.randint(5, 40)
            (one, reached), other = ours(model, tape, joins), theirs(model, tape, joins)
            same += one == other
            filled += one is not None
            if one != other and reached:
                fell += 1
            elif one != other:
                differing.append((number, one, other))
        wrong += len(differing)
        found = {"n": TAPES, "equal": same, "below_the_front": fell, "filled": filled, "differing": differing[:3]}
        print(json.dumps({"figure": f"queue_{model}"} | found))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
