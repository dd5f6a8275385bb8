"""Recordings: inputs are all there is, a replay says when it differs, and a recording never costs more than itself."""

from tests.mutants.mutant import Mutant

_BLOCKS = ("recording/test_blocks.py",)
_DRIVER = ("recording/test_driver.py",)
_LOOP = ("recording/test_serial_loop.py",)
_REPLAY = ("backtest/test_replay.py",)
_WRITER = ("recording/test_recording_writer.py",)

MUTANTS = (
    Mutant(
        "block_believed_unproved",
        "a block that does not prove itself is damage",
        "recording/blocks.py",
        "    if content[end : end + _DIGEST_BYTES] != digest:\n",
        "    if len(content[end : end + _DIGEST_BYTES]) != len(digest):\n",
        _BLOCKS,
    ),
    Mutant(
        "damage_hides_what_follows",
        "damage costs the blocks it touches and no other",
        "recording/blocks.py",
        "        end = len(content) if following is None else following\n",
        "        end = len(content)\n",
        _BLOCKS,
    ),
    Mutant(
        "lost_block_unnoticed",
        "a block names the one before it",
        "recording/blocks.py",
        "    return Block(number, raw, at, follows=names == before), end + _DIGEST_BYTES, digest\n",
        "    return Block(number, raw, at, follows=True), end + _DIGEST_BYTES, digest\n",
        _BLOCKS,
    ),
    Mutant(
        "secret_in_the_recording",
        "no secret is recorded",
        "recording/wire.py",
        "            said = said.replace(self._secret, _STARS)\n",
        "            said = said.replace(_STARS, self._secret)\n",
        _DRIVER,
    ),
    Mutant(
        "interleaving_unsaid",
        "where others than inputs have a hand in it, the recording says so",
        "recording/desk.py",
        "        self._foreign += foreign\n",
        "        self._foreign += 0 * foreign\n",
        _DRIVER,
    ),
    Mutant(
        "tasks_cancelled_by_address",
        "what ends together ends in the same order each time",
        "recording/serial_loop.py",
        "        return self._number\n",
        "        return id(self)\n",
        _LOOP,
    ),
    Mutant(
        "replay_overlooks_what_is_missing",
        "what does not come in a replay is a difference",
        "backtest/replay.py",
        "        if self._expected and self.difference is None:\n",
        "        if self._expected and self.difference is not None:\n",
        _REPLAY,
    ),
    Mutant(
        "replay_overlooks_a_difference",
        "what comes otherwise in a replay is a difference",
        "backtest/replay.py",
        "        if expected != came:\n",
        "        if expected is None:\n",
        _REPLAY,
    ),
    Mutant(
        "recording_grows_without_bound",
        "a disk that hangs costs bounded memory",
        "recording/writer.py",
        "        if waiting > WAITING_BYTES_MAX:\n",
        "        if waiting > WAITING_BYTES_MAX * 1_000:\n",
        _WRITER,
    ),
)
