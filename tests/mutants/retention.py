"""The disk: room is known before anything is quoted, a packed day is the day, and nothing that must stay goes."""

from tests.mutants.mutant import Mutant

_WINDOW_GUARDS = ("guardrails/test_window_guards.py",)
_DISK_WATCH = ("operations/test_disk_watch.py",)

MUTANTS = (
    Mutant(
        "full_disk_quotes",
        "nothing new is quoted below the hard limit of free space",
        "guardrails/disk.py",
        "        enough = disk.free_bytes >= self.bytes_min\n",
        "        enough = disk.free_bytes >= 0\n",
        _WINDOW_GUARDS,
    ),
    Mutant(
        "unknown_disk_quotes",
        "free space that cannot be told is none",
        "operations/disk_watch.py",
        "            self._state.disk = DiskState(read_ns=self._clock.now_ns(), problem=said)\n",
        '            self._state.disk = DiskState(2**60, None, self._clock.now_ns(), "")\n',
        _DISK_WATCH,
    ),
    Mutant(
        "old_free_space_counts",
        "free space that was not looked at lately is not known",
        "guardrails/disk.py",
        "        if age > self.age_max:",
        "        if age > 2 * self.age_max:",
        _WINDOW_GUARDS,
    ),
)
