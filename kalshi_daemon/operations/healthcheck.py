"""`python -m kalshi_daemon.operations.healthcheck STATE_DIR`: exit 0 while some mode's heartbeat is recent.

The heartbeat is a file the decision loop touches as it turns; a container image has no systemd watchdog.
"""

import sys
from pathlib import Path
from typing import Final

from kalshi_daemon.ground.clock import SystemClock
from kalshi_daemon.ground.folders import cannot_read, entries, is_there
from kalshi_daemon.ground.units import SECOND

HEARTBEAT_NAME: Final = "heartbeat"
FRESH_S: Final = 60.0
_USAGE: Final = 2


def main(arguments: list[str]) -> int:
    """Exit code 0 when the heartbeat of some mode is fresh, else 1; 2 for a wrong argument."""
    if len(arguments) != 1:
        print("usage: python -m kalshi_daemon.operations.healthcheck STATE_DIR", file=sys.stderr)  # noqa: T201 - a command
        return _USAGE
    now_s = SystemClock().now_ns() / SECOND
    try:
        candidates = [folder / HEARTBEAT_NAME for folder in entries(Path(arguments[0]))]
        beats = [path.stat().st_mtime for path in candidates if is_there(path)]
    except OSError as problem:
        print(cannot_read(problem), file=sys.stderr)  # noqa: T201 - a command
        return 1
    return 0 if beats and now_s - max(beats) <= FRESH_S else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
