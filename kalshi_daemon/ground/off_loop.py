"""Work in a thread that outlives whoever waits for it."""

import asyncio
from collections.abc import Callable


async def settle_when_done[T](work: asyncio.Future[T], settle: Callable[[asyncio.Future[T]], None]) -> None:
    """Wait for `work`, then hand it to `settle`, which takes its result or its error.

    Cancelled meanwhile, it lets the thread finish and settles before it passes that on: two writers would spoil one
    file, and what was written must not be written again. Raises what `settle` raises.
    """
    try:
        await asyncio.wait({work})
    except asyncio.CancelledError:
        await asyncio.wait({work})
        settle(work)
        raise
    settle(work)
