"""Is there room to write down what is done."""

from dataclasses import dataclass
from typing import ClassVar

from kalshi_daemon.domain.verdict import Verdict
from kalshi_daemon.ground.units import MEGABYTE, Nanos, to_s
from kalshi_daemon.guardrails.guard import Scope, WindowContext, answer, refuse
from kalshi_daemon.state import DaemonState


@dataclass(frozen=True, slots=True)
class DiskFree:
    """Refuse while the state directory's volume has less room than the hard limit, or it is not known.

    It holds and never pulls: the hard limit is room for many times what a day's resting orders still write down. A
    journal that cannot be written any more stops the daemon, with everything cancelled.
    """

    bytes_min: int
    inodes_min: int
    age_max: Nanos
    name: ClassVar[str] = "disk_free"
    scope: ClassVar[Scope] = Scope.ACCOUNT
    pulls: ClassVar[bool] = False

    def judge_window(self, state: DaemonState, _context: WindowContext, now: Nanos) -> Verdict:
        disk, limit = state.disk, self.bytes_min // MEGABYTE
        if disk.free_bytes is None or disk.read_ns is None:
            return refuse(self, None, limit, "MB", note=disk.problem)
        age = Nanos(now - disk.read_ns)
        if age > self.age_max:
            return refuse(self, to_s(age), to_s(self.age_max), "s", note="free space was not looked at since")
        if disk.free_inodes is not None and disk.free_inodes < self.inodes_min:
            note = "files that can still be made on the state directory's volume"
            return refuse(self, disk.free_inodes, self.inodes_min, "inodes", note=note)
        enough = disk.free_bytes >= self.bytes_min
        note = "free on the state directory's volume; see Disk in docs/operations.md"
        return answer(self, disk.free_bytes // MEGABYTE, limit, "MB", passed=enough, note=note)
