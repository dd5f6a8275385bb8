"""How far an index can go at once."""

from typing import Final

JUMP_CAP: Final = 0.10
"""Part of the level: beyond this the exchange itself halts."""
