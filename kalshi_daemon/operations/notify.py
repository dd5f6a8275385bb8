"""systemd's notification socket, in the few lines it takes (sd_notify(3)): a datagram to $NOTIFY_SOCKET.

READY is sent only after reconciliation; the watchdog is fed from the trader's loop progress, never from a timer of its
own, so that a daemon that is alive but no longer turning gets restarted.
"""

import socket
from collections.abc import Mapping
from typing import Final

from kalshi_daemon.ground.units import MICROSECOND, Nanos

_PATIENCE_S: Final = 1.0
"""How long the loop may wait for a supervisor whose queue is full, with a word that must arrive (READY, STOPPING)."""


class Notifier:
    """A no-op when NOTIFY_SOCKET is unset."""

    def __init__(self, environ: Mapping[str, str], pid: int) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        watchdog = environ.get("WATCHDOG_USEC", "")
        meant_for = environ.get("WATCHDOG_PID", "")
        mine = not meant_for or meant_for == str(pid)
        self.watchdog_ns: Nanos | None = (
            Nanos(int(watchdog) * MICROSECOND) if watchdog.isdigit() and mine and self._address else None
        )
        """How long the supervisor waits for a sign of life; None when it does not."""

    @property
    def enabled(self) -> bool:
        return bool(self._address)

    def ready(self, status: str) -> None:
        """Tell systemd that the start is over."""
        self._send(f"READY=1\nSTATUS={status}")

    def waiting(self, status: str, within: Nanos) -> None:
        """Not ready yet, and for a reason: the supervisor's time-out for starts is moved to `within` from now."""
        self._send(f"EXTEND_TIMEOUT_USEC={within // MICROSECOND}\nSTATUS={status}")

    def stopping(self, text: str) -> None:
        """Tell systemd that the stop has begun."""
        self._send(f"STOPPING=1\nSTATUS={text}")

    def alive(self) -> None:
        """Feed the watchdog. Never waits: the next turn of the loop sends another one."""
        self._send("WATCHDOG=1", patience_s=0.0)

    def _send(self, message: str, patience_s: float = _PATIENCE_S) -> None:
        if not self._address:
            return
        # A leading @ means the abstract namespace, spelled with a NUL on the socket level.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                # A supervisor that is slow to read has a queue of a few datagrams; waiting for it would stop the loop.
                sock.settimeout(patience_s)
                sock.sendto(message.encode(), address)
        except OSError:
            # The supervisor went away, is busy, or the socket is wrong: nothing here may stop us from trading or
            # stopping. A lost WATCHDOG=1 is repeated at the next turn.
            return
