"""The way down is taken whatever the outputs, the disks and the signals do."""

from tests.mutants.mutant import Mutant

_OUTLETS = ("operations/test_log_outlets.py",)
_STOPPING = ("app/test_stopping.py",)
_SCREEN = ("operations/test_progress.py", "operations/test_screen.py")

MUTANTS = (
    Mutant(
        "stop_said_before_it_is_set",
        "the stop wakes whoever waits for it before anything is logged",
        "app/stopping.py",
        "            self._asked.set()\n            self._latch.closed_ns = self._clock.now_ns()\n"
        '            log.info("stop.asked", reason=reason)\n',
        "            self._latch.closed_ns = self._clock.now_ns()\n"
        '            log.info("stop.asked", reason=reason)\n            self._asked.set()\n',
        _STOPPING,
    ),
    Mutant(
        "hangup_stops",
        "SIGHUP never stops",
        "app/stopping.py",
        "        signal.SIGHUP: reopen_log,",
        '        signal.SIGHUP: lambda: stop.ask("SIGHUP"),',
        _STOPPING,
    ),
    Mutant(
        "signal_handlers_end_with_the_loop",
        "a signal after the verified stop does not replace the exit code",
        "app/stopping.py",
        "        signal.signal(number, signal.SIG_IGN)",
        "        signal.signal(number, signal.SIG_DFL)",
        _STOPPING,
    ),
    Mutant(
        "failing_step_ends_the_stop",
        "every step of the stop is taken whatever the one before raised",
        "app/session_end.py",
        "            self._say(name, problem)\n            return None\n\n    async def wait_for",
        "            raise\n\n    async def wait_for",
        ("app/test_session_end.py",),
    ),
    Mutant(
        "failing_wait_ends_the_stop",
        "every step of the stop that is waited for leaves the way to the next",
        "app/session_end.py",
        "            self._say(name, problem)\n            return None\n\n    def _say",
        "            raise\n\n    def _say",
        ("app/test_session_end.py",),
    ),
    Mutant(
        "log_drops_the_worst_first",
        "at the bound the lowest severity is dropped first",
        "operations/log_outlets.py",
        "        severity = min(level for level, held in self._by_severity.items() if held)",
        "        severity = max(level for level, held in self._by_severity.items() if held)",
        _OUTLETS,
    ),
    Mutant(
        "log_queue_unbounded",
        "the log's queue is bounded",
        "operations/log_outlets.py",
        "        while self.lines > self._lines_max or self.bytes > self._bytes_max:",
        "        while self.lines < 0:",
        _OUTLETS,
    ),
    Mutant(
        "log_thread_dies_of_a_full_disk",
        "a lost log file is tried again",
        "operations/log_outlets.py",
        "        if isinstance(problem, BrokenPipeError | ValueError):",
        "        if isinstance(problem, OSError | ValueError):",
        _OUTLETS,
    ),
    Mutant(
        "log_end_without_bound",
        "the end waits for the last lines for its patience and no longer",
        "operations/log_outlets.py",
        "        self._thread.join(max(0.0, within_s))",
        "        self._thread.join(max(5.0, within_s))",
        _OUTLETS,
    ),
    Mutant(
        "tracebacks_with_locals",
        "tracebacks hold no locals: signed headers are among them",
        "operations/logging.py",
        "show_locals=False",
        "show_locals=True",
        _OUTLETS,
    ),
    Mutant(
        "output_said_after_the_last_line",
        "the summary is the last line of the log",
        "operations/logging.py",
        "        if not self._last_line_next:",
        "        if True:",
        ("operations/test_logging.py",),
    ),
    Mutant(
        "loop_waits_for_the_terminal",
        "a terminal stopped with Ctrl-S holds up the drawing and nothing else",
        "operations/screen.py",
        "                self._waiting = (self._waiting + data)[:BYTES_MAX]\n",
        "                self._write_all(data)\n",
        _SCREEN,
    ),
    Mutant(
        "terminal_drawn_behind_its_back",
        "what waits for a terminal is bounded",
        "operations/screen.py",
        "(self._waiting + data)[:BYTES_MAX]",
        "self._waiting + data",
        _SCREEN,
    ),
)
