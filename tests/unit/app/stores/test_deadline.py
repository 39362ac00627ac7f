import asyncio

import pytest

from app.stores.deadline import within


async def test_work_that_ends_in_time_gives_its_result() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    assert await within(60.0, work()) == 7


async def test_an_error_of_the_work_is_raised() -> None:
    async def work() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        await within(60.0, work())


async def test_work_that_loses_its_cancellation_is_not_waited_for() -> None:
    released = asyncio.Event()
    cancellations = 0

    async def stubborn() -> None:
        nonlocal cancellations
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                cancellations += 1

    with pytest.raises(TimeoutError):
        await within(0.01, stubborn())
    await asyncio.sleep(0)

    assert cancellations == 1
    assert not released.is_set()
    released.set()


async def test_whoever_is_cancelled_while_he_waits_cancels_the_work() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    waiting = asyncio.create_task(within(60.0, work()))
    await asyncio.sleep(0.01)
    waiting.cancel()

    await ended.wait()
