"""Files that are there whole or not at all. Blocking: called in a worker thread only."""

from pathlib import Path
from typing import Final

import orjson

COLLISIONS_MAX: Final = 10_000
"""Scans of one series within one New York second; beyond it the manifest is not written, and that is said."""


def encode(data: object, *, indent: bool = True) -> bytes:
    """A document, or any plain value, as JSON of our files: NaN as null, a final newline.

    What JSON cannot say is kept as text, never lost.
    """
    options = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS | (orjson.OPT_INDENT_2 if indent else 0)
    try:
        return orjson.dumps(data, default=str, option=options)
    except TypeError:  # e.g. half of a surrogate pair inside a text from outside
        return orjson.dumps({"unencodable": ascii(data)}, option=options)


def write_unsynced(path: Path, content: bytes) -> None:
    """Replace `path` in one step: a reader sees the old file or the new one. Raises OSError.

    Not synced, unlike `ground.durable.write_whole`: manifests, reports and monitors are written by the dozen a
    minute and are advice. A power cut may cost the last of them; what the daemon decides by is never written so.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_bytes(content)
    draft.replace(path)
