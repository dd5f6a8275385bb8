"""When the daemon says zero, the exchange says zero, and keeps saying it until the next life."""

from collections.abc import Iterable
from typing import ClassVar

from tests.simulation.checkers.checker import Checker
from tests.simulation.stage import Stage


class StopMeansZero(Checker):
    name: ClassVar[str] = "stopped"

    def look(self, stage: Stage) -> Iterable[str]:
        verified = stage.daemon.verified_life
        if verified and not stage.daemon.loaded:
            rests = len(stage.exchange.resting())
            if rests:
                yield f"life {verified} said zero, and {rests} rest"

    def end(self, stage: Stage) -> Iterable[str]:
        if stage.exchange.account.resting_count:
            yield f"{stage.exchange.account.resting_count} rest after the end"
