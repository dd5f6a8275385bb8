"""Blocks of a recording: compressed, checked one by one, each naming the one before it. Pure.

    file  := MAGIC block*
    block := MARK number length raw_length digest_of_the_block_before body digest

A block proves itself: its digest is over its head and body. So what is damaged costs the blocks it touches and no
other; that the one after a gap does not name the one before it says that something is missing. A kill leaves a torn
last block, which is no damage.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import pyarrow as pa

MAGIC: Final = b"kalshi-daemon recording 1\n"
"""First line of a file; the number is that of the form of blocks and entries."""
FAMILY: Final = b"kalshi-daemon recording "
MARK: Final = b"\xf7block\r\n"
RAW_BYTES_MAX: Final = 256 * 1024 * 1024
"""Of one block before compression: no head may ask for more memory than that."""
_HEAD: Final = struct.Struct(f"<{len(MARK)}sQII32s")
_DIGEST_BYTES: Final = 32
_NOTHING_BEFORE: Final = bytes(_DIGEST_BYTES)
_LEVEL: Final = 3


@dataclass(frozen=True, slots=True)
class Block:
    """One whole block. `follows`: whether it names the block that was read before it."""

    number: int
    raw: bytes
    offset: int
    """Of its first byte in the file."""
    follows: bool


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that are no block. `torn`: they are the end of the file, as a kill leaves it."""

    offset: int
    bytes: int
    torn: bool


class BlockChain:
    """Packs what is written: every block names the one before it."""

    def __init__(self) -> None:
        self._number = 0
        self._before = _NOTHING_BEFORE
        self._codec = pa.Codec("zstd", compression_level=_LEVEL)

    def pack(self, raw: bytes) -> bytes:
        """The next block of the file. Raises ValueError for more than RAW_BYTES_MAX."""
        if len(raw) > RAW_BYTES_MAX:
            raise ValueError(f"a block of {len(raw)} bytes, {RAW_BYTES_MAX} are the most")
        body: bytes = self._codec.compress(raw, asbytes=True)
        head = _HEAD.pack(MARK, self._number, len(body), len(raw), self._before)
        digest = sha256(head + body).digest()
        self._number += 1
        self._before = digest
        return head + body + digest


def begins_as_recording(content: bytes) -> bool:
    """Whether a file is one of this form: by its first line or, where that is damaged, by a whole block."""
    return content.startswith(MAGIC) or any(isinstance(found, Block) for found in blocks(content))


def blocks(content: bytes) -> Iterator[Block | Damage]:
    """What a file holds, in order. Never raises for what is in it."""
    at = len(MAGIC) if content.startswith(MAGIC) else 0
    before = _NOTHING_BEFORE
    while at < len(content):
        found = _block_at(content, at, before)
        if found is not None:
            block, end, before = found
            yield block
            at = end
            continue
        following = _next_block(content, at)
        end = len(content) if following is None else following
        yield Damage(at, end - at, torn=following is None and _cut_short(content, at))
        at = end


def _cut_short(content: bytes, at: int) -> bool:
    """Whether what begins here is a block whose end was never written."""
    left = len(content) - at
    if left < _HEAD.size:
        return MARK.startswith(content[at : at + len(MARK)]) or content.startswith(MARK, at)
    mark, _number, length, _raw_length, _before = _HEAD.unpack_from(content, at)
    return bool(mark == MARK) and left < _HEAD.size + length + _DIGEST_BYTES


def _next_block(content: bytes, at: int) -> int | None:
    """Where the next whole block begins; None when there is none."""
    while (at := content.find(MARK, at + 1)) >= 0:
        if _block_at(content, at, _NOTHING_BEFORE) is not None:
            return at
    return None


def _block_at(content: bytes, at: int, before: bytes) -> tuple[Block, int, bytes] | None:
    """The block that begins here, where it ends, and its digest; None when it is none or does not prove itself."""
    if len(content) - at < _HEAD.size + _DIGEST_BYTES:
        return None
    mark, number, length, raw_length, names = _HEAD.unpack_from(content, at)
    body_at, end = at + _HEAD.size, at + _HEAD.size + length
    if mark != MARK or raw_length > RAW_BYTES_MAX or end + _DIGEST_BYTES > len(content):
        return None
    digest = sha256(content[at:end]).digest()
    if content[end : end + _DIGEST_BYTES] != digest:
        return None
    raw = pa.Codec("zstd").decompress(content[body_at:end], raw_length, asbytes=True)
    return Block(number, raw, at, follows=names == before), end + _DIGEST_BYTES, digest
