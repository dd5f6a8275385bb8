"""Loaded by the interpreter at start: moves the machine's clock of one process to the simulated session.

Mode demo takes the machine's time, and the machine's time is rarely inside a session. The shift (nanoseconds, in the
file $SERVICE_TEST_SHIFT) is read once at process start, so a service that systemd restarts still agrees with the
exchange. Only `time.time_ns` is moved: it is the one wall clock that the daemon reads, in one place.
"""

import os
import time
from pathlib import Path

_SHIFT_FILE = os.environ.get("SERVICE_TEST_SHIFT", "")

if _SHIFT_FILE:
    _shift_ns = int(Path(_SHIFT_FILE).read_text())
    _machine_ns = time.time_ns  # noqa: TID251 - the very thing that is moved

    def _shifted_ns() -> int:
        return _machine_ns() + _shift_ns

    vars(time)["time_ns"] = _shifted_ns
