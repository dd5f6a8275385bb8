"""Files that fail take nothing away: no intent passes a journal that cannot hold it, no log line is lost unsaid, and
nobody waits for a log.
"""

from collections.abc import Iterable
from typing import ClassVar

from kalshi_daemon.app.daemon import DaemonRun
from kalshi_daemon.domain.order import Order
from tests.simulation.checkers.checker import Checker
from tests.simulation.log_volume import BYTES_MAX, LINES_MAX, SteppedOutlet, SteppedSink
from tests.simulation.stage import Stage

_SAID_WITHIN_S = 2.0


class FilesFail(Checker):
    name: ClassVar[str] = "files"

    def __init__(self) -> None:
        self._flowing_since: dict[str, float] = {}
        self._sink: SteppedSink | None = None

    def look(self, stage: Stage) -> Iterable[str]:
        volume, sink = stage.daemon.volume, stage.daemon.sink
        yield from volume.waited_for
        if sink is None:
            return
        if sink is not self._sink:
            self._sink, self._flowing_since = sink, {}
        for name, outlet, held_up in (("file", sink.file, volume.full), ("pipe", sink.pipe, volume.unread)):
            if held_up:
                self._flowing_since.pop(name, None)
            since = None if held_up else self._flowing_since.setdefault(name, stage.now_s)
            yield from _outlet(name, outlet, flows=since is not None and stage.now_s - since > _SAID_WITHIN_S)
        dropped = sink.file.lines.dropped_total + sink.pipe.lines.dropped_total
        over = len(self._flowing_since) == 2 and stage.now_s - max(self._flowing_since.values()) > _SAID_WITHIN_S
        if over and stage.daemon.life is not None and sink.told_dropped != dropped:
            yield f"{dropped} log lines were dropped, {sink.told_dropped} were said to be"

    def intent(self, stage: Stage, life: DaemonRun, order: Order) -> Iterable[str]:
        del life
        disk = stage.daemon.disk
        if disk.refusal is not None:
            yield f"{order.client_order_id} was made though the journal is {disk.refusal.name.lower()}"
        if disk.gone is not None:
            yield f"{order.client_order_id} was written into a journal that is gone"


def _outlet(name: str, outlet: SteppedOutlet, *, flows: bool) -> Iterable[str]:
    queue = outlet.lines
    if queue.lines > LINES_MAX or queue.bytes > BYTES_MAX:
        yield f"{queue.lines} lines and {queue.bytes} bytes wait for the {name}"
    if queue.unfair:
        yield f"{queue.unfair} lines for the {name} were dropped before lesser ones"
    if outlet.unaccounted:
        yield f"{outlet.unaccounted} lines for the {name} are neither written nor counted as dropped"
    if flows and queue.lines > LINES_MAX // 2:
        yield f"{queue.lines} lines still wait for the {name} that takes them again"
