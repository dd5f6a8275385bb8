"""Work in a thread that outlives whoever waits for it."""

import asyncio
from collections.abc import Callable


async def in_thread[T](work: Callable[[], T], settle: Callable[[asyncio.Future[T]], None]) -> T:
    """What `work`, done in a thread, comes to, once `settle` has had it; see `settle_when_done`."""
    done = asyncio.get_running_loop().run_in_executor(None, work)
    await settle_when_done(done, settle)
    return done.result()


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
