"""Wait with a deadline, which holds even if the awaited work ignores its cancellation."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from typing import TypeVar

from app.errors import StoreUnavailableError

T = TypeVar("T")


async def within(seconds: float | None, work: Coroutine[None, None, T]) -> T:
    """Await work, but no longer than it may take.

    Below Python 3.12 a cancellation that meets the end of a connection attempt is lost, and
    the work goes on until a timeout of its own: it is cancelled here, and not waited for.

    Args:
        seconds: Longest wait; None for any.
        work: What is awaited.

    Raises:
        TimeoutError: If it takes longer.
    """
    task = asyncio.create_task(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    finally:
        if not task.done():
            task.cancel()
            # Its exception is read: unread, it would be logged.
            task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    if not done:
        raise TimeoutError
    return task.result()


@asynccontextmanager
async def answered_within(seconds: float, doing: str, *, then: str) -> AsyncGenerator[None]:
    """Wait for a store whose answer a caller needs, but no longer than it may take.

    Args:
        seconds: Longest wait for all of the block.
        doing: What is done, in words.
        then: What the caller can do about it.

    Raises:
        StoreUnavailableError: If it takes longer.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as exc:
        raise StoreUnavailableError(doing, f"no answer in time; {then}") from exc
