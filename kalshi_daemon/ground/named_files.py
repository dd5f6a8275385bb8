"""Files that an operator names: regular ones alone, read within a bound, refused by the key that names them.

A device or a pipe may hold a read for ever, or never end; neither is opened, so that a wrong path is said at once.
"""

import os
import stat
from errno import EISDIR
from pathlib import Path
from typing import Final

from kalshi_daemon.ground.errors import ConfigurationError

_FIX: Final = "name a regular file that this user may read"


def check_regular(path: Path, where: str) -> None:
    """Look without opening. Raises ConfigurationError when there is no regular file; `where` names key or path."""
    try:
        found = path.stat()
    except (OSError, ValueError) as problem:  # ValueError: a NUL in the name
        raise _unreadable(path, where, problem) from None
    _refuse_other(found.st_mode, path, where)


def read_named(path: Path, bytes_max: int, where: str, too_large: str = "") -> tuple[bytes, int]:
    """The content and the mode bits of a file. Raises ConfigurationError: missing, no regular file, larger.

    where: the key that names it, or the path itself; what is refused begins with it. too_large: what to say of a file
    beyond `bytes_max`.
    """
    check_regular(path, where)
    try:
        # Not blocking: what was a regular file a moment ago may be a pipe by now.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            _refuse_other(mode, path, where)
            content = file.read(bytes_max + 1)
    except OSError as problem:
        raise _unreadable(path, where, problem) from None
    if len(content) > bytes_max:
        raise ConfigurationError(where, f"{_of(path, where)}is larger than {bytes_max} bytes", too_large)
    return content, stat.S_IMODE(mode)


def _unreadable(path: Path, where: str, problem: Exception) -> ConfigurationError:
    said = (problem.strerror if isinstance(problem, OSError) else "") or type(problem).__name__
    return ConfigurationError(where, f"{_of(path, where)}cannot be read: {said}", _FIX)


def _of(path: Path, where: str) -> str:
    return "" if where.endswith(str(path)) else f"{path} "


def _refuse_other(mode: int, path: Path, where: str) -> None:
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise _unreadable(path, where, IsADirectoryError(EISDIR, os.strerror(EISDIR)))
    kind = "pipe" if stat.S_ISFIFO(mode) else "socket" if stat.S_ISSOCK(mode) else "device"
    raise ConfigurationError(where, f"{_of(path, where)}is a {kind}, not a regular file", _FIX)
