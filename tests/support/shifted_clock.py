"""`python -m tests.support.shifted_clock OFFSET_NS COMMAND...`: the program on a machine whose clock is elsewhere.

Modes demo and live tell the time by the machine. A test whose exchange plays the afternoon of a certain day would have
to wait for that day; this moves the one place that reads the machine's clock instead.
"""

import sys
import time

from kalshi_daemon.cli.main import main
from kalshi_daemon.ground.clock import SystemClock
from kalshi_daemon.ground.units import Nanos

if __name__ == "__main__":
    offset_ns = int(sys.argv[1])

    def shifted(_self: SystemClock) -> Nanos:
        return Nanos(time.time_ns() + offset_ns)  # noqa: TID251 - stands in for the one reader of the machine's clock

    SystemClock.now_ns = shifted  # type: ignore[method-assign,assignment] # that is the point
    sys.exit(main(sys.argv[2:]))
