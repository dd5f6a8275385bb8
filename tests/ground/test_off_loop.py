"""What a thread has done is settled once, also when nobody waits any longer."""

import asyncio

import pytest

from kalshi_daemon.ground.off_loop import settle_when_done


async def test_a_result_is_settled_once():
    work, settled = asyncio.get_running_loop().create_future(), []
    work.set_result(3)
    await settle_when_done(work, lambda done: settled.append(done.result()))
    assert settled == [3]


async def test_a_waiter_that_is_cancelled_settles_before_it_ends():
    work, settled = asyncio.get_running_loop().create_future(), []
    waiter = asyncio.get_running_loop().create_task(settle_when_done(work, lambda done: settled.append(done.result())))
    await asyncio.sleep(0)
    waiter.cancel()
    await asyncio.sleep(0)
    assert not waiter.done(), "the thread still writes"
    assert not work.cancelled()
    work.set_result(3)
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert settled == [3]


async def test_an_error_of_the_work_is_the_settlers_to_judge():
    work = asyncio.get_running_loop().create_future()
    work.set_exception(OSError("full"))
    found = []
    await settle_when_done(work, lambda done: found.append(str(done.exception())))
    assert found == ["full"]
