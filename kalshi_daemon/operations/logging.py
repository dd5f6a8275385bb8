"""JSON lines: one event name and its numbers per line, to standard output and to a file that is kept bounded.

Lines carry `ts` (the daemon's clock, UTC, microseconds), `level`, `event`, `run_id`, `mode`. Libraries that log through
the standard library end up in the same stream under the event `library.<logger>`.

Nothing here raises or waits: lines are rendered on the caller's side and queued; `log_outlets` writes them.
"""

import logging
import sys
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any, Final

import orjson
import structlog
from structlog.tracebacks import ExceptionDictTransformer

from kalshi_daemon.ground.clock import Clock, iso_utc
from kalshi_daemon.operations.log_outlets import FileOutput, Outlet, Severity, StreamOutput

_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_INFO: Final = 20
_LIBRARY_LEVEL: Final = logging.WARNING
_LINE_BYTES_MAX: Final = 256 * 1024
_TEXT_MAX: Final = 10_000
_DEPTH_MAX: Final = 8
_INT64: Final = range(-(2**63), 2**64)
_FRAMES_MAX: Final = 20
LAST_LINES_S: Final = 1.0
"""Patience at the end with a destination that does not take its last lines."""


def log_path(mode_dir: Path) -> Path:
    """The log file of a mode."""
    return mode_dir / "logs" / "kalshi_daemon.jsonl"


def rotated_path(path: Path) -> Path:
    """Where the log file goes when it is full."""
    return path.with_name(f"{path.name}.1")


type Render = Callable[[str, Severity, Mapping[str, Any]], bytes]
type Hear = Callable[[str, Mapping[str, Any]], None]
"""Is told of each event of at least level info, written or not: its name and fields. Never waits, never raises."""


class LineSink:
    """Where lines go: standard output, a file, or both. No method raises or waits, but `close` for its patience.

    The file is rotated to `rotated_path` at its size limit, so at most two are kept. A destination that fails is said
    to have failed on the other and tried again; one that does not take its lines is left behind (`log_outlets`).
    """

    def __init__(self, *, stdout: bool, path: Path | None, bytes_max: int, render: Render | None = None) -> None:
        self._render = render or _plain
        self._last_line_next = False
        self.hear: Hear | None = None
        self._stdout: Outlet | None = None
        self._file: Outlet | None = None
        if path is not None:
            self._file = Outlet(FileOutput(path, rotated_path(path), bytes_max), self._notice)
        if stdout:
            self.show()

    def write(self, line: bytes, severity: Severity = _INFO) -> None:
        """Hand a finished line to every outlet. Never waits."""
        for outlet in self._outlets():
            outlet.put(line, severity)

    def show(self) -> None:
        """From now on write to standard output too: the table on the terminal is done, the last line is for people."""
        if self._stdout is None and sys.stdout is not None:
            self._stdout = Outlet(StreamOutput(sys.stdout.buffer), self._notice)

    def expect_last_line(self) -> None:
        """Say nothing about the outputs from now on: the next line is the last."""
        self._last_line_next = True

    def reopen(self) -> None:
        """Open the file's path again: something outside has moved the file away."""
        if self._file is not None:
            self._file.reopen()

    def close(self, within_s: float = LAST_LINES_S) -> None:
        """Write what is queued, for at most `within_s` in all."""
        until_s = monotonic() + within_s
        for outlet in self._outlets():
            outlet.stop()
        for outlet in self._outlets():
            outlet.join(until_s - monotonic())

    def _outlets(self) -> tuple[Outlet, ...]:
        return tuple(outlet for outlet in (self._file, self._stdout) if outlet is not None)

    def _notice(self, event: str, severity: Severity, fields: Mapping[str, Any]) -> None:
        if not self._last_line_next:
            self.write(self._render(event, severity, fields), severity)


class _SinkLogger:
    """What structlog calls with a rendered line, by level."""

    def __init__(self, sink: LineSink) -> None:
        self._sink = sink

    def debug(self, line: bytes) -> None:
        self._sink.write(line, _LEVELS["debug"])

    def info(self, line: bytes) -> None:
        self._sink.write(line, _LEVELS["info"])

    def warning(self, line: bytes) -> None:
        self._sink.write(line, _LEVELS["warning"])

    def error(self, line: bytes) -> None:
        self._sink.write(line, _LEVELS["error"])

    msg = info
    exception = critical = error


class _LibraryHandler(logging.Handler):
    """Standard-library records as lines of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - a library whose arguments do not fit its own format
            message = str(record.msg)
        level = max(record.levelno, logging.DEBUG)
        structlog.get_logger().log(level, f"library.{record.name}", message=message[:500])


def configure(
    clock: Clock, *, level: str, stdout: bool, path: Path | None, bytes_max: int, fields: Mapping[str, str]
) -> LineSink:
    """Point structlog and the standard library at one sink. Returns the sink, to be closed last.

    `bytes_max` is the size at which the file is rotated.
    """

    def render(event: str, severity: Severity, facts: Mapping[str, Any]) -> bytes:
        names = {number: name for name, number in _LEVELS.items()}
        head = {"ts": iso_utc(clock.now_ns()), "level": names.get(severity, "info"), "event": event}
        return _line({**head, **fields, **facts})

    sink = LineSink(stdout=stdout, path=path, bytes_max=bytes_max, render=render)
    # Locals of the frames stay out: signed headers and keys are among them.
    tracebacks = ExceptionDictTransformer(show_locals=False, max_frames=_FRAMES_MAX)
    explain = structlog.processors.ExceptionRenderer(tracebacks)

    def finish(logger: Any, method: str, event: MutableMapping[str, Any]) -> bytes:  # noqa: ANN401 - structlog's words
        if sink.hear is not None:
            sink.hear(str(event.get("event", "")), event)
        if _LEVELS.get(method, _INFO) < _LEVELS[level]:
            raise structlog.DropEvent
        try:
            event = explain(logger, method, event)
        except Exception as problem:  # noqa: BLE001 - an error whose own words raise
            event["exception"] = f"not shown: {type(problem).__name__}"
        head = {"ts": iso_utc(clock.now_ns()), "level": event.pop("level", method), "event": event.pop("event", "")}
        return _line({**head, **fields, **event})

    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, finish],
        # What is heard must not depend on what is written.
        wrapper_class=structlog.make_filtering_bound_logger(min(_LEVELS[level], _INFO)),
        logger_factory=lambda *_args: _SinkLogger(sink),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in root.handlers[:]:
        root.removeHandler(handler)
    root.addHandler(_LibraryHandler())
    root.setLevel(_LIBRARY_LEVEL)
    return sink


def _plain(event: str, _severity: Severity, facts: Mapping[str, Any]) -> bytes:
    return _line({"event": event, **facts})


def _line(event: Mapping[str, Any]) -> bytes:
    """One line of JSON, whatever the values are. Never raises."""
    forms: tuple[Callable[[], object], ...] = (
        lambda: event,
        lambda: _writable(event, _DEPTH_MAX),
        lambda: _min(event),
    )
    for form in forms:
        with suppress(Exception):
            line = orjson.dumps(form(), default=str, option=orjson.OPT_NON_STR_KEYS) + b"\n"
            if len(line) <= _LINE_BYTES_MAX:
                return line
    return b'{"event":"log.line_lost","level":"error"}\n'


def _min(event: Mapping[str, Any]) -> Mapping[str, str]:
    """The names of a line that is too long to be written."""
    head = {name: _text(event[name])[:200] for name in ("ts", "level", "event", "run_id", "mode") if name in event}
    return {**head, "problem": "line too long", "fields": _text(", ".join(map(str, event)))[:1_000]}


def _writable(value: object, depth: int) -> object:
    """A value that JSON has words for: integers beyond 64 bits and what UTF-8 cannot say become text."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return int(value) if value in _INT64 else _text(value)
    if depth > 0 and isinstance(value, Mapping):
        return {_text(key): _writable(inner, depth - 1) for key, inner in value.items()}
    if depth > 0 and isinstance(value, list | tuple | set | frozenset):
        return [_writable(inner, depth - 1) for inner in value]
    return _text(value)


def _text(value: object) -> str:
    try:
        text = value if isinstance(value, str) else str(value)
    except Exception as problem:  # noqa: BLE001 - a value whose own words raise, or an integer of 5,000 digits
        text = f"<{type(value).__name__}: {type(problem).__name__}>"
    return text[:_TEXT_MAX].encode("utf-8", "backslashreplace").decode()
