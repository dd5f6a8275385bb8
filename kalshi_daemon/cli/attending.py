"""Who hears the kill switch: the daemons that run on a state directory, and what to say of them."""

from dataclasses import dataclass

from kalshi_daemon.operations.lock import running_daemon
from kalshi_daemon.settings import Mode, Settings


@dataclass(frozen=True, slots=True)
class Attending:
    """The daemons of one state directory as their locks tell."""

    pid: int | None
    """Of the mode in hand; None: none runs, or it runs on another state directory."""
    others: dict[str, int]
    """The other modes' daemons: mode -> pid. They look at a file of their own."""

    def notes(self, *, absent: str = "") -> tuple[str, ...]:
        """What people are told; `absent` follows where no daemon of the mode runs."""
        own = (
            "no daemon of this mode and state directory runs"
            if self.pid is None
            else f"a daemon of this mode runs (process {self.pid})"
        )
        tail = f": {absent}" if self.pid is None and absent else ""
        others = (f"a daemon of mode {mode} runs (process {pid}): --mode {mode}" for mode, pid in self.others.items())
        return (f"{own}{tail}", *others)


def attending(settings: Settings) -> Attending:
    """Look at the locks of every mode in the state directory. Never raises."""
    found = {mode.value: running_daemon(settings.state_dir / mode.value) for mode in Mode if mode is not settings.mode}
    others = {mode: pid for mode, pid in found.items() if pid is not None}
    return Attending(running_daemon(settings.mode_dir), others)
