"""Small files that must be whole or absent, also after a power cut."""

import os
from pathlib import Path

from kalshi_daemon.errors import ConfigurationError


def write_whole(path: Path, content: bytes, what: str) -> None:
    """Write a file, whole or not at all, and make it last. Raises ConfigurationError, naming `what`."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise ConfigurationError(str(path), f"{what} cannot be written: {error.strerror}") from error
