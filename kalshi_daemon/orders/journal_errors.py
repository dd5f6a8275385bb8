"""What can be wrong with the journal, by cause: the file, the cause and the true fix in one sentence each.

None of them tells anybody to move a healthy journal away: with it go the week's losses.
"""

from kalshi_daemon.ground.errors import StateCorrupt


class StateLocked(StateCorrupt):
    """Another process holds the journal's write lock for longer than the busy time-out. The file is healthy."""

    def __init__(self, path: str, cause: str, busy_ms: int) -> None:
        super().__init__(
            path,
            f"journal is locked by another process, {busy_ms} ms waited ({cause}); the file is healthy: end what holds"
            f" it (an sqlite3 shell, a backup, a browser of databases: fuser {path}), then restart with the same file",
        )


class StateDiskFull(StateCorrupt):
    """No room for the journal on its volume. What was committed is there. `doing`: opened, read, written, archived."""

    def __init__(self, path: str, doing: str, cause: str) -> None:
        super().__init__(
            path,
            f"journal cannot be {doing}, the disk is full ({cause}); what was committed is safe: make room on its"
            " volume, then restart with the same file",
        )


class StateIoError(StateCorrupt):
    """The operating system refused to open, read or write the journal. Says nothing about its content."""

    def __init__(self, path: str, doing: str, cause: str) -> None:
        super().__init__(
            path,
            f"journal cannot be {doing} ({cause}); look at the owner and mode of file and folder, at"
            " the mount and at the disk's health, then restart with the same file",
        )


class StateGone(StateCorrupt):
    """The path no longer leads to the file that is open: deleted or replaced while running."""

    def __init__(self, path: str, cause: str) -> None:
        super().__init__(
            path,
            f"journal was {cause} while running, so that what is written would be lost; put the file back (with its"
            " -wal and -shm, or from a backup) before restarting, because the week's losses are counted from it",
        )


class StateDamaged(StateCorrupt):
    """The journal's bytes are not what was written."""

    def __init__(self, path: str, cause: str) -> None:
        super().__init__(
            path,
            f"journal cannot be read, it is damaged ({cause}); stop, move the file (with its -wal and -shm) into a"
            " folder of its own, keep it, and put a backup in its place; without a backup the"
            " exchange's lists are read afresh and budgets forget the losses that those no longer show",
        )
