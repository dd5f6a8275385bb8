"""The daemon comes back: no life ends without a reason, nothing raises unheard, and after the faults it is ready."""

from collections.abc import Iterable
from typing import ClassVar

from kalshi_daemon.ground.errors import ExitCode
from tests.simulation.checkers.checker import Checker
from tests.simulation.stage import Stage


class Healthy(Checker):
    name: ClassVar[str] = "health"

    def look(self, stage: Stage) -> Iterable[str]:
        return stage.daemon.problems

    def end(self, stage: Stage) -> Iterable[str]:
        if not stage.ready_at_end:
            yield "all faults are over and the daemon did not become ready"
        if stage.daemon.last_exit is not ExitCode.OK:
            yield f"the last stop ended {stage.daemon.last_exit!r}"
