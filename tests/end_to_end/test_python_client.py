"""`vitrine-client` against a running service, and against one that is cut off, late or away."""

import asyncio
import time
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import httpx
import numpy as np
import polars as pl
import pytest

from deploy.client.vitrine_client import AsyncClient, Client
from tests.contract.servers import free_port
from tests.end_to_end.service import Service, http, run, serving_shop
from tests.end_to_end.website import Fault, Website

pytestmark = pytest.mark.slow

N_EVENTS = 1_200
FAULTS: tuple[Fault, ...] = ("lost", "unheard", "refused", None)
PATIENT_S = 20.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("client")


@pytest.fixture(scope="module")
def service(folder: Path, tiny_bundle: tuple[Path, Path]) -> Generator[Service]:
    with serving_shop(folder, tiny_bundle) as service:
        yield service


def test_a_list_and_a_page_are_those_of_the_service(service: Service) -> None:
    with Client(service.url, timeout_s=PATIENT_S) as client:
        slate = client.recommend(customer_id="c1", limit=3, fields=["title"], explain=True)
        page = client.page(customer_id="c1", rows=[{"name": "first", "limit": 2}])

    same = http.get(
        f"{service.url}/v1/recommendations?customer_id=c1&limit=3&fields=title&fields=closes_at"
    ).json()
    assert [one["sale"] for one in slate["items"]] == [one["sale"] for one in same["items"]]
    assert slate["items"][0]["explanation"] is not None
    assert [one["sale_id"] for one in page["rows"][0]["items"]] == [
        one["sale_id"] for one in same["items"][:2]
    ]


def test_an_event_is_known_after_a_flush(service: Service) -> None:
    with Client(service.url) as client:
        client.record(customer_id="c-flush", type="search")

        assert client.flush() == 0
    known = http.get(f"{service.url}/v1/customers/c-flush").json()
    assert [one["type"] for one in known["events"]] == ["search"]


async def test_events_are_sent_by_themselves(service: Service) -> None:
    async with AsyncClient(service.url) as client:
        client.record(customer_id="c-self", type="search")
        async with asyncio.timeout(PATIENT_S), httpx.AsyncClient(base_url=service.url) as http:
            known: list[object] = []
            while not known:
                await asyncio.sleep(0.05)
                known = (await http.get("/v1/customers/c-self")).json()["events"]

        assert (len(known), await client.flush()) == (1, 0)


def test_no_event_is_lost_or_counted_twice(
    service: Service, folder: Path, rng: np.random.Generator
) -> None:
    """Of ten threads, where half of all requests fail before or after the service has them."""
    website = Website(service.url, visit="{}")
    website.fault = lambda: FAULTS[rng.choice(len(FAULTS), p=(0.2, 0.2, 0.1, 0.5))]
    with website.running(), Client(f"{website.url}/vitrine") as client:
        recorded = [
            client.record(customer_id=f"c-cut-{number % 7}", type="search")
            for number in range(N_EVENTS)
        ]
        while client.flush():
            pass

    out = folder / "exported"
    done = run("app", "export-events", "--out", str(out), VITRINE_STATE_DIR=str(folder / "state"))
    assert done.returncode == 0, done.stderr
    events = pl.read_parquet(out / "events.parquet")
    kept = events.filter(pl.col("customer_id").str.starts_with("c-cut-"))["event_id"]
    assert Counter(kept.to_list()) == Counter(recorded)


def test_a_list_survives_connections_that_are_cut(service: Service) -> None:
    """One cut connection is asked again; then the newest list stands in."""
    website = Website(service.url, visit="{}")
    faults: list[Fault] = ["lost", None, "lost", "lost", "refused"]
    website.fault = lambda: faults.pop(0)
    with website.running(), Client(f"{website.url}/vitrine", timeout_s=PATIENT_S) as client:
        first, cut, refused = (client.recommend(customer_id="c1", limit=3) for _ in range(3))

    assert first["degraded"] is None
    sales = [one["sale_id"] for one in first["items"]]
    assert [one["sale_id"] for one in cut["items"]] == sales
    assert [one["sale_id"] for one in refused["items"]] == sales
    assert (cut["degraded"], refused["recommendation_id"]) == ("no_answer", None)
    assert faults == []


def test_a_page_waits_no_longer_than_it_may() -> None:
    """A service that accepts and never answers: an empty page in time, and no exception."""
    with Client(f"http://127.0.0.1:{free_port()}", timeout_s=0.2) as client:
        assert client.recommend(market="fr")["items"] == []
    website = Website("http://127.0.0.1:9", visit="{}")

    def late() -> Fault:
        time.sleep(1.0)
        return "lost"

    website.fault = late
    with website.running(), Client(f"{website.url}/vitrine", timeout_s=0.2) as client:
        started = time.monotonic()
        page = client.page(rows=[{"name": "first"}])

        assert time.monotonic() - started < 0.9
        assert [row["items"] for row in page["rows"]] == [[]]
