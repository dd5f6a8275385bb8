"""What a checker is."""

from collections.abc import Iterable
from typing import ClassVar

from kalshi_daemon.app.daemon import DaemonRun
from kalshi_daemon.domain.order import Order
from tests.simulation.stage import Stage


class Checker:
    """Every method says what is broken now; the same sentence twice counts once."""

    name: ClassVar[str]

    def look(self, stage: Stage) -> Iterable[str]:
        """Several times a second, between any two steps of either machine."""
        del stage
        return ()

    def intent(self, stage: Stage, life: DaemonRun, order: Order) -> Iterable[str]:
        """The instant an order of ours is written down, before it is sent."""
        del stage, life, order
        return ()

    def end(self, stage: Stage) -> Iterable[str]:
        """After everything has become quiet and the last life has ended."""
        del stage
        return ()
