"""Documents as a file would hold them."""

from typing import Any

import orjson

from kalshi_daemon.artifacts.files import encode


def as_written(document: object) -> Any:
    """Encoded and decoded again: plain values."""
    return orjson.loads(encode(document))
