"""Files that are there whole or not at all. Blocking: called in a worker thread only."""

from pathlib import Path
from typing import Any, Final

import orjson

from kalshi_daemon.ground.errors import MalformedField, StateCorrupt
from kalshi_daemon.ground.readers import parse_json

COLLISIONS_MAX: Final = 10_000
"""Scans of one series within one New York second; beyond it the manifest is not written, and that is said."""


def encode(data: object, *, indent: bool = True) -> bytes:
    """JSON as our files hold it: NaN as null, a final newline. What JSON cannot say is kept as text, never lost."""
    options = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS | (orjson.OPT_INDENT_2 if indent else 0)
    try:
        return orjson.dumps(data, default=str, option=options)
    except TypeError:  # e.g. half of a surrogate pair inside a text from outside
        return orjson.dumps({"unencodable": ascii(data)}, option=options)


def write_unsynced(path: Path, content: bytes) -> None:
    """Replace `path` in one step: a reader sees the old file or the new one. Raises OSError.

    Not synced, unlike `operations.durable.write_whole`: manifests, reports and monitors are written by the dozen a
    minute and are advice. A power cut may cost the last of them; what the daemon decides by is never written so.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_bytes(content)
    draft.replace(path)


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object of ours. Raises StateCorrupt naming the file, FileNotFoundError when it is not there."""
    return parse_object(path, path.read_bytes())


def parse_object(path: Path, content: bytes) -> dict[str, Any]:
    """The JSON object that `path` holds. Raises StateCorrupt naming the file."""
    try:
        data = parse_json(content, path.name)
    except MalformedField as problem:
        raise StateCorrupt(str(path), str(problem)) from problem
    if not isinstance(data, dict):
        raise StateCorrupt(str(path), "is not a JSON object")
    return data
