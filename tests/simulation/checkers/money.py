"""Cash and positions: what our fills and settlements add up to is what the exchange holds for us."""

from collections.abc import Iterable
from typing import ClassVar

from tests.simulation.checkers.checker import Checker
from tests.simulation.stage import Stage


class MoneyEqual(Checker):
    name: ClassVar[str] = "money"

    def end(self, stage: Stage) -> Iterable[str]:
        account, books = stage.exchange.account, stage.daemon.last_books
        if books is None:
            yield "no life ended in order, so there are no books"
            return
        theirs = {ticker: held.count for ticker, held in account.holdings.items() if held.count}
        if books.positions != theirs:
            yield f"positions: ours {books.positions}, the exchange's {theirs}"
        moved = (account.cash - account.start_cash) / 100
        if books.cash != moved:
            yield f"cash moved by {books.cash} in our ledger, by {moved} at the exchange (1/10 000 dollar)"
        if not books.proved:
            yield f"the daemon's own comparison: {books.detail}"
