"""Any cut and any flipped byte costs the blocks it touches, and no other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_daemon.recording import blocks as form
from kalshi_daemon.recording.blocks import MAGIC, Block, BlockChain, Damage, begins_as_recording, blocks

CONTENTS = [f"block {number} ".encode() * (5 + 40 * number) for number in range(6)]


def packed(contents=CONTENTS) -> tuple[bytes, list[int]]:
    """A file, and where its blocks end."""
    chain, file, ends = BlockChain(), MAGIC, []
    for content in contents:
        file += chain.pack(content)
        ends.append(len(file))
    return file, ends


FILE, ENDS = packed()


def whole(file: bytes) -> dict[int, bytes]:
    return {one.number: one.raw for one in blocks(file) if isinstance(one, Block)}


def test_what_was_packed_is_read_in_order():
    found = list(blocks(FILE))
    assert [one.raw for one in found if isinstance(one, Block)] == CONTENTS
    assert all(one.follows for one in found if isinstance(one, Block))
    assert begins_as_recording(FILE)


@given(at=st.integers(0, len(FILE) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_costs_its_block(at, bit):
    file = bytearray(FILE)
    file[at] ^= 1 << bit
    found = whole(bytes(file))
    touched = next(number for number, end in enumerate(ENDS) if at < end)
    expected = set(range(len(CONTENTS))) - ({touched} if at >= len(MAGIC) else set())
    assert found == {number: CONTENTS[number] for number in expected}
    assert begins_as_recording(bytes(file))
    if at >= len(MAGIC):
        (damage,) = [one for one in blocks(bytes(file)) if isinstance(one, Damage)]
        begin = ENDS[touched - 1] if touched else len(MAGIC)
        assert (damage.offset, damage.bytes) == (begin, ENDS[touched] - begin)


@given(cut=st.integers(0, len(FILE)))
def test_a_cut_costs_what_was_not_whole_and_is_called_torn(cut):
    file = FILE[:cut]
    assert whole(file) == {number: CONTENTS[number] for number, end in enumerate(ENDS) if end <= cut}
    rest = [one for one in blocks(file) if isinstance(one, Damage)]
    begin = max([len(MAGIC), *(end for end in ENDS if end <= cut)])
    if cut > begin:
        assert [(one.offset, one.torn) for one in rest] == [(begin, True)]
    elif cut >= len(MAGIC):
        assert rest == []


@given(begin=st.integers(0, len(FILE)), length=st.integers(1, 400), junk=st.binary(max_size=60))
def test_a_hole_costs_what_it_touches(begin, length, junk):
    file = FILE[:begin] + junk + FILE[begin + length :]
    starts = [len(MAGIC), *ENDS[:-1]]
    untouched = {
        number
        for number, (first, end) in enumerate(zip(starts, ENDS, strict=True))
        if end <= begin or first >= begin + length
    }
    found = whole(file)
    assert untouched <= found.keys()
    assert all(CONTENTS[number] == raw for number, raw in found.items())


def test_a_block_that_is_gone_as_a_whole_is_noticed():
    chain, file = BlockChain(), MAGIC
    parts = [chain.pack(content) for content in CONTENTS]
    file += parts[0] + parts[1] + parts[3]
    found = [one for one in blocks(file) if isinstance(one, Block)]
    assert [one.follows for one in found] == [True, True, False]


def test_no_head_asks_for_memory_that_is_not_there(monkeypatch):
    monkeypatch.setattr(form, "RAW_BYTES_MAX", 1_000)
    with pytest.raises(ValueError, match="are the most"):
        BlockChain().pack(bytes(1_001))
    assert [type(one) for one in blocks(FILE)] == [Block, Block, Block, Block, Damage], "a longer one is no block"


@pytest.mark.parametrize("content", [b"", b"PAR1", MAGIC[:-2], b"kalshi-daemon recording 2\n"])
def test_what_is_none(content):
    assert not begins_as_recording(content) or content == MAGIC
