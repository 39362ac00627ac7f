import asyncio
from contextlib import suppress

from app.health.background_tasks import end_tasks


async def test_a_task_that_loses_a_cancellation_ends_all_the_same() -> None:
    """As it happens in timeouts of Python 3.11, which made one stop in two hundred hang."""
    n_lost = 0

    async def forgetful() -> None:
        nonlocal n_lost
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        n_lost += 1
        await asyncio.sleep(60)

    task = asyncio.create_task(forgetful())
    await asyncio.sleep(0)

    async with asyncio.timeout(5.0):
        await end_tasks([task])

    assert (task.cancelled(), n_lost) == (True, 1)
