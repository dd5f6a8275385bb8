"""Client order ids: made before sending, unique for ever, recognisable as ours (docs/reference/venue.md 2.3, 8).

The venue burns an id even when its order was cancelled, so an id is never derived from what the order says: a run part
drawn from chance once per process, and a running number.
"""

import re
from typing import Final

PREFIX: Final = "kd"
_ENTROPY_MIN: Final = 8
"""Bytes: with 2^64 run parts, a million restarts collide with a chance below 1 in 10^7."""
_OURS: Final = re.compile(r"kd-[0-9a-f]{16}-[0-9]{1,12}", re.ASCII)
_SEQ_MAX: Final = 10**12 - 1


def run_part(entropy: bytes) -> str:
    """The part all ids of one process share: 16 hex digits. Raises ValueError on fewer than 8 bytes."""
    if len(entropy) < _ENTROPY_MIN:
        raise ValueError(f"{len(entropy)} bytes of entropy are too few: {_ENTROPY_MIN} are needed")
    return entropy[:_ENTROPY_MIN].hex()


def client_order_id(run: str, seq: int) -> str:
    """`kd-<run>-<seq>`: at most 32 of the 64 characters the venue allows, all of them [a-z0-9-].

    Raises ValueError on a run part or number that would not be recognised as ours again.
    """
    made = f"{PREFIX}-{run}-{seq}"
    if not 0 <= seq <= _SEQ_MAX or not is_ours(made):
        raise ValueError(f"{made!r} is not an id of ours")
    return made


def is_ours(client_order_id: str) -> bool:
    """Whether some run of this daemon made the id."""
    return _OURS.fullmatch(client_order_id) is not None


class ClientOrderIds:
    """The ids of one process. Not shared between loops: one process, one sequence."""

    def __init__(self, entropy: bytes) -> None:
        self._run = run_part(entropy)
        self._seq = 0

    def __call__(self) -> str:
        self._seq += 1
        return client_order_id(self._run, self._seq)
