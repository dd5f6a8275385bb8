"""One recorded market at the venue: its levels as they were, and what of our orders would have filled in between.

What was recorded goes on as if we had not been there. A recorded trade fills, in this order: our orders at better
prices than its own, by all of it; our orders at its price, by what reaches past the queue ahead of them (a model says
how long that is, `queue_models`). An order that was added at our price or beyond trades with us first, and is shown
less what we took until it is gone. So no recorded contract fills two of ours.
"""

from collections.abc import Iterator
from typing import Protocol

from kalshi_daemon.backtest.recorded.queue_models import QueueModel, QueuePlace, reaches
from kalshi_daemon.backtest.recorded.tape import TapeEvent, TapeKind, TapeLevel
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import Count, Price
from kalshi_daemon.simulator.exchange.sim_orders import SimOrder


class VenueHand(Protocol):
    """What the recording does at the venue, at the present instant."""

    def rest(self, side: Side, price: Price, count: Count) -> SimOrder:
        """Let so much of it rest at a price."""
        ...

    def resize(self, order: SimOrder, remaining: Count) -> None:
        """Make what rests there more or less; 0 takes it out."""
        ...

    def trade(self, maker: SimOrder, count: Count) -> None:
        """Somebody takes so much of a resting order, one of its own or one of ours."""
        ...


class _Shown:
    """A recorded level, and how the venue shows it."""

    __slots__ = ("order", "shown", "taken", "tape")

    def __init__(self) -> None:
        self.tape = TapeLevel()
        self.order: SimOrder | None = None
        self.shown = 0
        self.taken = 0
        """Of what is recorded there, what went to us."""

    @property
    def resting(self) -> int:
        return self.order.remaining if self.order is not None and self.order.booked else 0


class _Own:
    """An order of ours and its place."""

    __slots__ = ("order", "place", "price", "remaining")

    def __init__(self, order: SimOrder, place: QueuePlace) -> None:
        self.order = order
        self.place = place
        self.price = order.price
        self.remaining = order.remaining


class RecordedBook:
    """Levels and our orders of one market."""

    def __init__(self, hand: VenueHand, model: QueueModel) -> None:
        self._hand = hand
        self._model = model
        self._levels: dict[Side, dict[Price, _Shown]] = {Side.BID: {}, Side.ASK: {}}
        self._own: dict[str, _Own] = {}
        """Order id -> ours, in order of arrival at its price."""
        self.short = 0
        """Recorded contracts that were canceled or traded though there were none left, in 1/100."""

    def own_changed(self, order: SimOrder) -> None:
        """An order of ours came, changed or went: it joins the queue anew unless it kept price and did not grow."""
        known = self._own.get(order.order_id)
        if not order.booked:
            if known is not None:
                del self._own[order.order_id]
        elif known is None or known.price != order.price or order.remaining > known.remaining:
            self._own.pop(order.order_id, None)
            self._own[order.order_id] = _Own(order, self._model.joined(self._level(order.side, order.price).tape))
        else:
            known.remaining = order.remaining

    def ahead_of(self, order_id: str) -> float:
        """Contracts that the model believes ahead of an order of ours, in 1/100; 0 when it does not rest."""
        known = self._own.get(order_id)
        return 0.0 if known is None else max(0.0, known.place.ahead)

    def apply(self, event: TapeEvent) -> None:
        """Let it happen."""
        level = self._level(event.side, event.price)
        if event.kind is TapeKind.TRADE:
            self._trade(level, event)
            return
        before = level.tape.total
        if event.kind is TapeKind.ADD:
            level.tape.add(event.count, event.order_id)
        else:
            self.short += event.count - level.tape.cancel(event.count, event.order_id)
        self._changed(level, before, event)
        if event.kind is TapeKind.ADD:
            self._cross(level, event)
        self._show(level, event)

    def _trade(self, level: _Shown, event: TapeEvent) -> None:
        left, filled = int(event.count), 0
        for own in self._better(event):
            left -= self._fill(own, min(left, own.order.remaining))
        at_price = list(self._at(event))
        for own in at_price:
            self._model.traded(own.place, Count(left))
        for own in at_price:
            filled += self._fill(own, min(max(0, reaches(own.place) - filled), left - filled, own.order.remaining))
        for own in at_price:
            own.place.ahead = max(0.0, own.place.ahead)
        before = level.tape.total
        traded = level.tape.trade(event.count)
        self.short += event.count - traded
        self._changed(level, before, event)
        self._account_for_others(level)
        of_tape = min(level.resting, left - filled)
        if of_tape > 0 and level.order is not None:
            self._hand.trade(level.order, Count(of_tape))
            level.shown -= of_tape
        self._show(level, event)

    def _cross(self, level: _Shown, event: TapeEvent) -> None:
        """What came at our price or beyond it trades with us before it rests."""
        for own in self._crossed(event):
            level.taken += self._fill(own, min(level.tape.total - level.taken, own.order.remaining))

    def _fill(self, own: _Own, count: int) -> int:
        if count <= 0:
            return 0
        self._hand.trade(own.order, Count(count))
        return count

    def _changed(self, level: _Shown, before: int, event: TapeEvent) -> None:
        for own in self._at(event):
            self._model.changed(own.place, Count(before), level.tape)

    def _account_for_others(self, level: _Shown) -> None:
        """What is missing of what was shown, somebody took: us, as a taker."""
        level.taken += level.shown - level.resting
        level.shown = level.resting

    def _show(self, level: _Shown, event: TapeEvent) -> None:
        self._account_for_others(level)
        level.taken = min(level.taken, level.tape.total)
        wanted = level.tape.total - level.taken
        if level.order is not None and level.resting:
            if wanted != level.shown:
                self._hand.resize(level.order, Count(wanted))
        elif wanted:
            level.order = self._hand.rest(event.side, event.price, Count(wanted))
        level.shown = wanted

    def _level(self, side: Side, price: Price) -> _Shown:
        levels = self._levels[side]
        found = levels.get(price)
        if found is None:
            found = levels[price] = _Shown()
        return found

    def _at(self, event: TapeEvent) -> Iterator[_Own]:
        return (own for own in self._own.values() if own.order.side is event.side and own.price == event.price)

    def _better(self, event: TapeEvent) -> list[_Own]:
        sign = event.side.sign
        found = [
            own for own in self._own.values() if own.order.side is event.side and sign * (own.price - event.price) > 0
        ]
        return sorted(found, key=lambda own: -sign * own.price)

    def _crossed(self, event: TapeEvent) -> list[_Own]:
        sign = event.side.sign
        found = [
            own
            for own in self._own.values()
            if own.order.side is not event.side and sign * (event.price - own.price) >= 0
        ]
        return sorted(found, key=lambda own: sign * own.price)
