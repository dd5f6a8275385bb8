"""JSON lines: one event name and its numbers per line, to standard output and to a file that is kept bounded.

Lines carry `ts` (the daemon's clock, UTC, microseconds), `level`, `event`, `run_id`, `mode`. Libraries that log through
the standard library end up in the same stream under the event `library.<logger>`.
"""

import io
import logging
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final

import orjson
import structlog

from kalshi_daemon.clock import Clock, iso_utc

_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_LIBRARY_LEVEL: Final = logging.WARNING


def log_path(mode_dir: Path) -> Path:
    """The log file of a mode."""
    return mode_dir / "logs" / "kalshi_daemon.jsonl"


def rotated_path(path: Path) -> Path:
    """Where the log file goes when it is full."""
    return path.with_name(f"{path.name}.1")


class LineSink:
    """Where lines go. The file is rotated to `rotated_path` at its size limit, so at most two files are kept."""

    def __init__(self, *, stdout: bool, path: Path | None, bytes_most: int) -> None:
        self._stdout = sys.stdout.buffer if stdout else None
        self._path = path
        self._bytes_most = bytes_most
        self._file: io.BufferedWriter | None = None
        self._written = 0
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._open()

    def write(self, line: bytes) -> None:
        if self._stdout is not None:
            try:
                self._stdout.write(line)
                self._stdout.flush()
            except (BrokenPipeError, ValueError):
                # The reader of the pipe is gone (`| head`): trading and stopping must not depend on it.
                self._stdout = None
        if self._file is not None:
            self._file.write(line)
            self._file.flush()
            self._written += len(line)
            if self._written >= self._bytes_most:
                self._rotate()

    def show(self) -> None:
        """From now on write to standard output too: the table on the terminal is done, the last line is for people."""
        self._stdout = sys.stdout.buffer

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> None:
        assert self._path is not None, "only called when there is a path"
        self._file = self._path.open("ab")
        self._written = self._file.tell()

    def _rotate(self) -> None:
        assert self._path is not None
        self.close()
        self._path.replace(rotated_path(self._path))
        self._open()


class _SinkLogger:
    """What structlog calls: every level is the same write."""

    def __init__(self, sink: LineSink) -> None:
        self._sink = sink

    def msg(self, line: bytes) -> None:
        self._sink.write(line + b"\n")

    debug = info = warning = error = critical = exception = msg


class _LibraryHandler(logging.Handler):
    """Standard-library records as lines of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        name = f"library.{record.name}"
        log.log(max(record.levelno, logging.DEBUG), name, message=record.getMessage()[:500])


def configure(
    clock: Clock, *, level: str, stdout: bool, path: Path | None, bytes_most: int, fields: Mapping[str, str]
) -> LineSink:
    """Point structlog and the standard library at one sink. Returns the sink, to be closed last."""
    sink = LineSink(stdout=stdout, path=path, bytes_most=bytes_most)

    def stamp(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        head = {"ts": iso_utc(clock.now_ns()), "level": event.pop("level"), "event": event.pop("event")}
        return {**head, **fields, **event}

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.dict_tracebacks,
            stamp,
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_args: _SinkLogger(sink),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in root.handlers[:]:
        root.removeHandler(handler)
    root.addHandler(_LibraryHandler())
    root.setLevel(_LIBRARY_LEVEL)
    return sink


def _dumps(event: object, **_options: object) -> bytes:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS)
