"""The service with a model made by hand, as processes of its own: ``python -m`` this module.

Several may serve one socket, as workers do. A fault can be planted in each.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from app.catalogue.model import Model
from app.main import create_app
from app.observability import configure_logging
from app.resources import Resources, Worker, resources_over
from app.settings import Settings
from app.stores.customer import CustomerStore
from app.stores.event_outcome import EventOutcome, EventStatus
from app.stores.store import Stores
from models.domain.event import Event
from tests.end_to_end.service import IMAGE, http
from tests.proofs import ROOT
from tests.shop import sale, scorer

START_TIMEOUT_S = 60.0
LATE_S = 0.05


class LateCustomerStore(CustomerStore):
    """The fault: it acknowledges events before it writes them."""

    _writing: set[asyncio.Task[None]]

    async def append(self, events: Sequence[Event]) -> list[EventOutcome]:
        """Say that all is accepted, and write a little later."""
        if not hasattr(self, "_writing"):
            self._writing = set()
        task = asyncio.create_task(self._write(events))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        return [EventOutcome(EventStatus.ACCEPTED)] * len(events)

    async def _write(self, events: Sequence[Event]) -> None:
        await asyncio.sleep(LATE_S)
        await super().append(events)


def made_app(store_url: str, state_dir: Path, *, late: bool, keys: Path | None) -> FastAPI:
    """The application over a store, with sales in it."""

    @asynccontextmanager
    async def opener(settings: Settings, worker: Worker) -> AsyncGenerator[Resources]:
        stores = Stores.open(store_url, timeout_s=10.0)
        await stores.sales.put([sale(f"s{number}", category="ski") for number in range(20)])
        if late:
            stores = replace(stores, customers=LateCustomerStore(stores.connection))
        model = Model(scorer=scorer())
        async with resources_over(stores, model, settings=settings, worker=worker) as resources:
            yield resources
        await stores.server.close()

    settings = Settings(
        state_dir=state_dir,
        read_timeout_ms=5_000,
        deadline_ms=10_000,
        explored_share=0,
        keys=keys,
    )
    return create_app(settings, Worker(), opener=opener)


@contextmanager
def made_workers(
    folder: Path,
    store_url: str,
    *,
    n_workers: int = 1,
    late: bool = False,
    keys: Path | None = None,
) -> Generator[str]:
    """Serve by some processes on one socket, and yield the URL."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=2_048))
        for number in range(n_workers):
            asked = {
                "fd": listener.fileno(),
                "store_url": store_url,
                "state_dir": str(folder / f"state-{number}"),
                "late": late,
                "keys": str(keys) if keys else None,
            }
            log = stack.enter_context((folder / f"worker-{number}.log").open("wb"))
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", __name__, json.dumps(asked)],
                    cwd=ROOT,
                    env=os.environ | IMAGE,
                    pass_fds=[listener.fileno()],
                    stdout=log,
                    stderr=log,
                )
            )
            stack.callback(process.terminate)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        # Connections wait in the socket until a worker listens.
        assert http.get(f"{url}/health/live", timeout=START_TIMEOUT_S).status_code == 200
        yield url


def main() -> None:
    """Serve as the argument says."""
    asked = json.loads(sys.argv[1])
    configure_logging("warning")
    app = made_app(
        asked["store_url"],
        Path(asked["state_dir"]),
        late=asked["late"],
        keys=Path(asked["keys"]) if asked["keys"] else None,
    )
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="on")
    uvicorn.Server(config).run([socket.socket(fileno=asked["fd"])])


if __name__ == "__main__":
    main()
