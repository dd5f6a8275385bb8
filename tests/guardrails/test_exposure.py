"""What counts as exposure, and that remembering it never changes the answer."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.contract import FeeSchedule, FeeType
from kalshi_daemon.domain.order import Status
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import Count, Dollars, Level, Price, lots
from kalshi_daemon.guardrails.exposure import Exposure, ExposureMemo
from tests.guardrails.guard_rig import NOW, TICKER, TICKERS, healthy, hold, order_of, quote_of, rest

CHANGES = st.sampled_from(("hold", "hold_more", "settle", "rest", "fill", "end", "strike", "unlist", "fees", "nothing"))


def change(state, what, at):
    ticker = TICKERS[at]
    venue = state.venue
    match what:
        case "hold":
            hold(state, ticker, at + 1, -4_000)
        case "hold_more" if ticker in state.ledger.positions:
            state.ledger.positions[ticker].cash = Dollars(state.ledger.positions[ticker].cash - 1_000)
        case "settle" if ticker in state.ledger.positions:
            state.ledger.positions[ticker].settled = "yes"
        case "rest":
            rest(state, order_of(ticker, side=Side.ASK if at % 2 else Side.BID))
        case "fill" | "end":
            name = order_of(ticker).client_order_id
            if name in state.orders:
                changes = {"filled": Count(50)} if what == "fill" else {"status": Status.CANCELED}
                state.orders[name] = replace(state.orders[name], **changes)
        case "strike" if ticker in venue.markets:
            market = venue.markets[ticker]
            contract = replace(market.contract, lowest=Level(market.contract.lowest + 50_000))
            venue.markets[ticker] = replace(market, contract=contract)
        case "unlist":
            venue.markets.pop(ticker, None)
        case "fees":
            venue.fees["KXINXU"] = FeeSchedule(FeeType.QUADRATIC_WITH_MAKER_FEES, 1_000_000 + at, NOW)


@given(st.lists(st.tuples(CHANGES, st.integers(0, 3)), max_size=25))
@settings(max_examples=80, deadline=None)
def test_the_remembered_exposure_is_the_one_of_the_state_whatever_changed(changes):
    state, memo = healthy(), ExposureMemo()
    for what, at in changes:
        change(state, what, at)
        assert memo.of(state) == Exposure.of(state)


def test_an_unchanged_state_is_summed_up_once():
    state, memo = healthy(), ExposureMemo()
    hold(state, TICKER, 1, -4_000)
    rest(state, order_of(TICKERS[1]))
    assert memo.of(state) is memo.of(state)


def test_orders_on_their_way_in_or_out_and_of_unknown_fate_count():
    state = healthy()
    counted = (Status.INTENDED, Status.IN_FLIGHT, Status.RESTING, Status.PENDING_CANCEL, Status.UNKNOWN)
    for n, status in enumerate(Status):
        rest(state, order_of(TICKER, client_order_id=f"o{n}", status=status))
    assert Exposure.of(state).collateral == len(counted) * 4_000


def test_collateral_is_the_price_of_the_side_bought_and_its_fee():
    state = healthy()
    state.venue.fees["KXINXU"] = FeeSchedule(FeeType.QUADRATIC_WITH_MAKER_FEES, 1_000_000, NOW)
    rest(state, order_of(TICKER, price=Price(4_000), count=lots(2)))
    rest(state, order_of(TICKERS[1], side=Side.ASK, price=Price(4_000)))
    # 2 x 0.40 + fee 0.0084, and 0.60 + fee 0.0042 (0.0175 x 0.24 per contract)
    assert Exposure.of(state).collateral == 8_000 + 84 + 6_000 + 42


def test_what_is_filled_of_an_order_no_longer_rests():
    state = healthy()
    rest(state, order_of(TICKER, count=lots(2), filled=lots(1)))
    assert Exposure.of(state).collateral == 4_000


def test_quotes_are_added_to_what_rests():
    state = healthy()
    rest(state, order_of(TICKERS[1]))
    both = Exposure.of(state).with_quotes((quote_of(), quote_of(TICKERS[2])), state.venue.markets)
    assert both.collateral == 4_000 + 2 * 4_200
    assert both.worst_loss == 4_000 + 2 * 4_200  # above one strike is above all: all three can lose at once
    assert both.market_loss(TICKER) == 4_200
