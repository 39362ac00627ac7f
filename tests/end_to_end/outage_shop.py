"""A served shop whose store, workers and disk have outages, and what a website sees of it."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any

from tests.end_to_end.faults import Disk, worker_pids
from tests.end_to_end.in_process import run_here
from tests.end_to_end.service import Service, http
from tests.end_to_end.topologies import Topology, wait

SEEN_WITHIN_S = 1.0
"""The promise: a change that was acknowledged is in every answer a second later."""

N_WORKERS = 2
N_ASKED = 6
"""Questions by new connections, of which each worker answers some."""


@dataclass
class Shop:
    """A served shop over a store that has outages, and what must hold of its answers.

    Attributes:
        folder: Where its processes keep their files.
        disk: Where its workers keep their state.
        store: The store.
        service: The service, two workers.
        load: The command that fills the store.
        gone: Sales that were sold out, closed or deleted, each acknowledged.
        levels: Answers by what they had to do without.
        recovered_s: Seconds from the end of an outage to full answers.
        happened: What went wrong or was mended, each how often.
    """

    folder: Path
    disk: Disk
    store: Topology
    service: Service
    load: Sequence[str]
    gone: set[str] = field(default_factory=set[str])
    levels: Counter[str] = field(default_factory=Counter[str])
    recovered_s: list[float] = field(default_factory=list[float])
    happened: Counter[str] = field(default_factory=Counter[str])

    def ask(self, *, limit: int = 50, **params: str) -> dict[str, Any]:
        """Ask as a website does, each time by a new connection: any worker may answer."""
        answer = http.get(
            f"{self.service.url}/v1/recommendations",
            params={"limit": str(limit), **params},
        )
        assert answer.status_code == 200, answer.text
        self.levels[answer.json()["degraded"] or "full"] += 1
        return answer.json()

    def put(self, sale_id: str, **changes: object) -> None:
        """Change a sale, and wait until the promise holds."""
        url = f"{self.service.url}/v1/sales/{sale_id}"
        sale = http.get(url).json()["sale"]
        answer = http.put(url, json={**sale, **changes})
        assert answer.status_code in {200, 201}, answer.text
        self._now_gone(sale_id)

    def close(self, sale_id: str) -> None:
        """Close a sale right after it opened, which is past by every clock."""
        sale = http.get(f"{self.service.url}/v1/sales/{sale_id}").json()["sale"]
        closes_at = datetime.fromisoformat(sale["opens_at"]) + timedelta(seconds=1)
        self.put(sale_id, closes_at=closes_at.isoformat())

    def delete(self, sale_id: str) -> None:
        answer = http.delete(f"{self.service.url}/v1/sales/{sale_id}")
        assert answer.status_code in {200, 204}, answer.text
        self._now_gone(sale_id)

    def _now_gone(self, sale_id: str) -> None:
        time.sleep(SEEN_WITHIN_S)
        self.gone.add(sale_id)

    def fill(self) -> None:
        """Load the data set, which says of every sale what it says."""
        ended = run_here(*self.load)
        assert ended.exit_code == 0, ended.output
        self.gone.clear()

    def find_back(self, *, is_saved: bool) -> None:
        """Wait for full answers of all workers; health says so too, where all could be saved."""
        started = time.monotonic()
        wait(lambda: all(self._is_full() for _ in range(N_ASKED)))
        wait(lambda: not is_saved or self.says_full())
        self.recovered_s.append(round(time.monotonic() - started, 2))

    def says_full(self) -> bool:
        url = f"{self.service.url}/health/full"
        return all(http.get(url).status_code == 200 for _ in range(N_ASKED))

    def _is_full(self) -> bool:
        return self.ask(customer_id="c1")["degraded"] is None and self._takes_events()

    def _takes_events(self) -> bool:
        event = {
            "event_id": token_hex(8),
            "customer_id": "c1",
            "type": "click",
            "sale_id": "s000200",
            "at": (datetime.now(UTC) - timedelta(hours=1)).isoformat(),
        }
        answer = http.post(f"{self.service.url}/v1/events", json={"events": [event]})
        return answer.status_code == 200 and answer.json()["accepted"] == 1

    def workers(self) -> list[int]:
        """Wait until all workers answer, or are stopped; return their processes, oldest first."""
        pid = self.service.process.pid
        wait(lambda: len(worker_pids(pid)) == N_WORKERS and set(worker_pids(pid)) <= self._ready())
        return worker_pids(pid)

    def _ready(self) -> set[int]:
        lines = map(json.loads, self.service.log.read_text().splitlines())
        return {line["pid"] for line in lines if line["event"] == "a worker is ready"}
