"""What goes on beside the answers as long as a worker lives."""

import asyncio
import gc
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, Protocol

from app.observability import get_logger
from app.serving.exposure_queue import ExposureQueue

LOG_DRAIN_S: Final = 2.0
CANCEL_AGAIN_S: Final = 0.1

_log = get_logger(__name__)


class Work(Protocol):
    """Something that goes on by itself."""

    async def run(self) -> None:
        """Go on until it is cancelled."""
        ...


@asynccontextmanager
async def running(works: Sequence[Work], exposures: ExposureQueue) -> AsyncGenerator[None]:
    """Have works and the log of exposures go on, and log what was answered before the end."""
    tasks = [asyncio.create_task(work.run()) for work in (*works, exposures)]
    for task in tasks:
        task.add_done_callback(_report_death)
    # What lives until the end need not be looked at by every collection.
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        with suppress(TimeoutError):
            await asyncio.wait_for(exposures.drain(), LOG_DRAIN_S)
        await end_tasks(tasks)


async def end_tasks(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel tasks until they end.

    Below Python 3.12 a cancellation that meets the store's reply can be lost in a timeout.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)


def _report_death(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (exc := task.exception()) is not None:
        _log.critical("a background task died: restart this process", exc_info=exc)
