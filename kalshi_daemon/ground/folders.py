"""What lies in a folder, so that one that cannot be read is never taken for an empty one.

`Path.glob`, `Path.rglob` and `os.walk` find nothing where they may not look, and from Python 3.14 on `Path.exists` says
no there: what was traded or learnt would be missing without a word. Blocking.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

FIX: Final = "let the user that runs this read it (chown, chmod)"


def entries(folder: Path) -> list[Path]:
    """What lies in a folder, by name; nothing when it is not there. Raises OSError, named; also for a file."""
    try:
        return sorted(folder / name for name in os.listdir(folder))  # noqa: PTH208 - `iterdir` is not read at once
    except FileNotFoundError:
        return []


def files_below(folder: Path, notes: list[str] | None = None) -> list[Path]:
    """Everything in a folder and in those below it that is no folder, by path; nothing when it is not there.

    A link counts as itself and is not followed. A folder that cannot be read is named in `notes` and left out; without
    `notes` its OSError is raised.
    """

    def on_error(problem: OSError) -> None:
        if isinstance(problem, FileNotFoundError | NotADirectoryError):
            return
        if notes is None:
            raise problem
        notes.append(cannot_read(problem))

    found = []
    for top, _, names in os.walk(folder, onerror=on_error):
        found += [Path(top) / name for name in names]
    return sorted(found)


def is_there(path: Path) -> bool:
    """Whether anything is there. Raises an OSError other than "no such file": it may be there and not be seen."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def or_noted[T](look: Callable[[], Sequence[T]], notes: list[str] | None) -> Sequence[T]:
    """What `look` finds; nothing, and a line in `notes`, when a folder cannot be read: without `notes` OSError."""
    try:
        return look()
    except OSError as problem:
        if notes is None:
            raise
        notes.append(cannot_read(problem))
        return ()


def cannot_read(problem: OSError) -> str:
    """One line: which path, why, and what to do."""
    return f"{problem.filename} cannot be read: {problem.strerror or type(problem).__name__}; {FIX}"
