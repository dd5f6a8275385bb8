"""Order groups are used again or deleted, never leaked: no more of them at the end than profiles that quote."""

from collections.abc import Iterable
from typing import ClassVar

from tests.simulation.checkers.checker import Checker
from tests.simulation.stage import Stage

_PROFILES = 3


class NoGroupsLeaked(Checker):
    name: ClassVar[str] = "groups"

    def end(self, stage: Stage) -> Iterable[str]:
        groups = stage.exchange.exchange.groups.of(stage.exchange.account)
        if len(groups) > _PROFILES:
            yield f"{len(groups)} order groups at the end, {_PROFILES} profiles at most"
