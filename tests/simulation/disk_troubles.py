"""Faults of the machine's files: logs that cannot be written, a journal that is locked, full or deleted."""

import math
from collections.abc import Callable

from kalshi_daemon.orders.journal import journal_path
from tests.simulation.disk import Refusal
from tests.simulation.effect import Begin, Effect
from tests.simulation.stage import Stage

EXPLAINED_S = 30.0
"""How long after its journal was troubled a life may still end of it: the stop has to go down its ladder."""


def _log_full(stage: Stage, _for_s: float) -> Effect:
    volume = stage.daemon.volume
    before, volume.full = volume.refused, True

    def end() -> None:
        volume.full = False

    return Effect(lambda: volume.refused > before, end)


def _output_stalled(stage: Stage, _for_s: float) -> Effect:
    volume = stage.daemon.volume
    before, volume.unread = volume.held_back, True

    def end() -> None:
        volume.unread = False

    return Effect(lambda: volume.held_back > before, end)


def _over(stage: Stage) -> None:
    stage.daemon.disk.troubled_until_s = stage.now_s + EXPLAINED_S


def _refused(refusal: Refusal) -> Begin:
    def begin(stage: Stage, _for_s: float) -> Effect:
        disk = stage.daemon.disk
        before, disk.refusal, disk.troubled_until_s = disk.refused, refusal, math.inf

        def end() -> None:
            if disk.refusal is refusal:
                disk.refusal = None
            _over(stage)

        return Effect(lambda: disk.refused > before, end)

    return begin


def _volume_full(stage: Stage, for_s: float) -> Effect:
    """The whole state volume: log and journal."""
    log, journal = _log_full(stage, for_s), _refused(Refusal.FULL)(stage, for_s)
    return Effect(lambda: log.hit() and journal.hit(), _both(log.end, journal.end))


def _both(*ends: Callable[[], None]) -> Callable[[], None]:
    def end() -> None:
        for one in ends:
            one()

    return end


def _journal_deleted(stage: Stage, _for_s: float) -> Effect:
    daemon = stage.daemon
    if daemon.life is None or daemon.folder is None or daemon.disk.gone is not None:
        return Effect(lambda: False)
    daemon.disk.delete(journal_path(daemon.folder / "sim"))
    daemon.disk.troubled_until_s = math.inf
    ends = daemon.ended_of["StateGone"]

    def end() -> None:
        daemon.put_journal_back()
        _over(stage)

    return Effect(lambda: daemon.ended_of["StateGone"] > ends, end)


DISK: dict[str, Begin] = {
    "log_full": _log_full,
    "output_stalled": _output_stalled,
    "volume_full": _volume_full,
    "journal_locked": _refused(Refusal.LOCKED),
    "journal_full": _refused(Refusal.FULL),
    "journal_deleted": _journal_deleted,
}
