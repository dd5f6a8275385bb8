"""Starts: clocks, keys, and the first scan."""

from tests.mutants.mutant import Mutant

_SKEW = ("kalshi/test_clock_skew_refusals.py",)
_RESCANS = ("trading/test_rescans.py",)

MUTANTS = (
    Mutant(
        "skewed_refusal_blames_the_key",
        "a signature refused while the clock is off is the clock's",
        "kalshi/transport.py",
        "        return error if skew_ns is None else ClockSkewed(error, skew_ns, self.server_clock.skew_ns_max)",
        "        return error",
        _SKEW,
    ),
    Mutant(
        "guess_blames_the_clock",
        "only a proven difference is put on the clock",
        "kalshi/server_time.py",
        "abs(skew.offset_ns) - skew.uncertainty_ns > self.skew_ns_max",
        "abs(skew.offset_ns) > self.skew_ns_max",
        _SKEW,
    ),
    Mutant(
        "stream_gives_up_on_a_skewed_clock",
        "the stream waits for the clock",
        "kalshi/stream.py",
        "                    cause, refused = str(skewed), 0",
        "                    cause, refused = str(skewed), refused + 1",
        _SKEW,
    ),
    Mutant(
        "start_gives_up_on_a_skewed_clock",
        "a start waits for the clock",
        "app/session_start.py",
        "        await clock.sleep(pause)\n",
        "        return\n",
        ("app/test_session_start.py",),
    ),
    Mutant(
        "skewed_start_without_a_pause",
        "a refused start is asked again with growing pauses",
        "app/session_start.py",
        "        pause = Nanos(doubled(pause, 1, PAUSE_MAX))",
        "        pause = PAUSE_MIN",
        ("app/test_session_start.py",),
    ),
    Mutant(
        "guards_that_open_wait_for_the_timer",
        "a guard that opens is followed by a scan",
        "trading/rescans.py",
        "        if not (found.closed or more_books) or not guards_open(found.closed):",
        "        if not more_books or not guards_open(found.closed):",
        _RESCANS,
    ),
    Mutant(
        "books_that_come_wait_for_the_timer",
        "books that come into sync are followed by a scan",
        "trading/rescans.py",
        "        if not (found.closed or more_books) or not guards_open(found.closed):",
        "        if not found.closed or not guards_open(found.closed):",
        _RESCANS,
    ),
    Mutant(
        "event_driven_scans_without_a_pause",
        "event-driven scans keep their distance",
        "trading/rescans.py",
        "            self._driven[key] = now",
        "            pass",
        _RESCANS,
    ),
)
