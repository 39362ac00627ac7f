"""Overload: who is answered, how, and what is not made to wait."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from itertools import islice
from math import inf
from time import monotonic

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from app.catalogue.model import Model
from app.network.protocol import ARRIVED
from app.recommend.pipeline import ROUNDS_BETWEEN, RecommendationPipeline
from app.recommend.request import RecommendationRequest
from app.resources import Worker, resources_over
from app.settings import Settings
from app.stores.keys import exposures_stream, partition
from app.stores.store import Stores
from tests.contract.servers import hanging
from tests.shop import JSON

URL = "/v1/recommendations?customer_id=c1&market=fr"
N_CALLERS = 200
EVENT = {"customer_id": "c1", "type": "click", "sale_id": "alps"}


async def all_but(n: int, asked: list[asyncio.Task[httpx.Response]]) -> None:
    """Return once all but so many requests are answered; those wait for the store."""
    for answered in islice(asyncio.as_completed(asked, timeout=60.0), len(asked) - n):
        await answered


async def logged(stores: Stores, n_expected: int) -> int:
    """Return the length of the customer's log once it is as long as expected."""
    stream = exposures_stream(partition("c1"))
    for _ in range(1_000):
        n_logged = await stores.connection.execute("XLEN", stream, doing="counting")
        assert isinstance(n_logged, int)
        if n_logged >= n_expected:
            return n_logged
        await asyncio.sleep(0.01)
    return -1


async def value(client: httpx.AsyncClient, series: str) -> float:
    lines = (await client.get("/metrics")).text.splitlines()
    return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(series)), 0.0)


class TestOneAtATime:
    """One request is worked on and one waits: the store holds up the first."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"max_in_flight": 1, "max_waiting": 1})

    async def test_every_answer_is_full_or_cheap_or_says_when_to_come_again(
        self, client: httpx.AsyncClient, stores: Stores
    ) -> None:
        async with hanging(stores.connection):
            asked = [asyncio.create_task(client.get(URL)) for _ in range(20)]
            await all_but(2, asked)
        answers = await asyncio.gather(*asked)

        kinds = Counter(
            "refused" if one.status_code == 503 else one.json()["degraded"] for one in answers
        )
        assert kinds[None] == 2
        assert kinds[None] + kinds["popularity"] + kinds["refused"] == 20
        assert kinds["refused"] > 0
        refusal = next(one for one in answers if one.status_code == 503)
        assert (refusal.json()["code"], refusal.headers["retry-after"]) == ("overloaded", "1")
        assert len(refusal.headers["x-request-id"]) == 32
        refused = 'vitrine_shed_requests_total{lane="rankings",outcome="refused"}'
        assert await value(client, refused) == kinds["refused"]

    async def test_health_and_other_routes_wait_for_nothing(
        self, client: httpx.AsyncClient, stores: Stores
    ) -> None:
        waiting = 'vitrine_waiting_requests{lane="rankings"}'
        async with hanging(stores.connection):
            answering = [asyncio.create_task(client.get(URL)) for _ in range(3)]
            await all_but(2, answering)

            live = await client.get("/health/live")

            assert live.status_code == 200
            assert not answering[0].done()
            assert await value(client, waiting) == 1
            assert await value(client, 'vitrine_in_flight_requests{lane="rankings"}') == 1
        await asyncio.gather(*answering)
        assert await value(client, waiting) == 0

    async def test_events_beyond_the_bound_are_refused_and_none_is_half_taken(
        self, client: httpx.AsyncClient, stores: Stores
    ) -> None:
        at = datetime.now(UTC).isoformat()
        batches = [
            {"events": [{**EVENT, "at": at, "event_id": f"{n} {m}"} for m in "ab"]}
            for n in range(5)
        ]
        async with hanging(stores.connection):
            posted = [
                asyncio.create_task(client.post("/v1/events", json=batch)) for batch in batches
            ]
            await all_but(2, posted)
        answers = await asyncio.gather(*posted)

        assert sorted(one.status_code for one in answers) == [200, 200, 503, 503, 503]
        for batch, first in zip(batches, answers, strict=True):
            again = (await client.post("/v1/events", json=batch)).json()
            is_refused = first.status_code == 503
            assert (again["accepted"], again["duplicate"]) == ((2, 0) if is_refused else (0, 2))
        refusal = next(one for one in answers if one.status_code == 503)
        assert (refusal.json()["code"], refusal.headers["retry-after"]) == ("overloaded", "1")

    async def test_a_caller_who_sends_slowly_takes_no_place(
        self, client: httpx.AsyncClient
    ) -> None:
        begun, goes_on = asyncio.Event(), asyncio.Event()

        async def slowly() -> AsyncGenerator[bytes]:
            yield b'{"candidates": ["alps"'
            begun.set()
            await goes_on.wait()
            yield b"]}"

        ranking = asyncio.create_task(client.post("/v1/rank", content=slowly(), headers=JSON))
        await begun.wait()

        answer = await client.get(URL)
        goes_on.set()

        assert answer.json()["degraded"] is None
        assert (await ranking).json()["degraded"] is None


async def test_a_burst_is_answered_in_full_as_far_as_places_go(
    client: httpx.AsyncClient, stores: Stores, settings: Settings
) -> None:
    """Each of those that are worked on, or wait, has time enough; every answer is logged."""
    answers = await asyncio.gather(*(client.get(URL) for _ in range(N_CALLERS)))

    statuses = Counter(one.status_code for one in answers)
    n_full = sum(one.status_code == 200 and one.json()["degraded"] is None for one in answers)
    assert set(statuses) <= {200, 503}
    assert n_full >= settings.max_in_flight + settings.max_waiting
    assert await logged(stores, statuses[200]) == statuses[200]


async def test_between_two_rankings_the_loop_goes_round_for_others(
    stores: Stores, model: Model, settings: Settings, worker: Worker
) -> None:
    """A new connection needs several rounds until it is answered."""
    n_rounds = 0
    rounds: list[int] = []

    async def go_round() -> None:
        nonlocal n_rounds
        while True:
            n_rounds += 1
            await asyncio.sleep(0)

    async def rank(pipeline: RecommendationPipeline) -> None:
        await pipeline.recommend(RecommendationRequest(customer_id="c1"), ends_s=inf)
        rounds.append(n_rounds)

    async with resources_over(stores, model, settings=settings, worker=worker) as resources:
        going = asyncio.create_task(go_round())
        async with resources.pipeline.turn:
            ranking = [asyncio.create_task(rank(resources.pipeline)) for _ in range(10)]
            await asyncio.sleep(0.1)  # all have read, and wait for their turn
        await asyncio.gather(*ranking)
        going.cancel()

    # Each turn is handed over in a round of its own; the counter is before or after it in a round.
    assert rounds[-1] - rounds[0] >= 9 * (ROUNDS_BETWEEN + 1) - 1


async def test_a_request_past_its_deadline_is_answered_without_the_store(
    api: FastAPI, settings: Settings
) -> None:
    """Its deadline counts from when its head had arrived, wherever it waited since."""
    async with api.router.lifespan_context(api) as state:

        async def late(scope: Scope, receive: Receive, send: Send) -> None:
            scope["state"] = {**(state or {}), ARRIVED: monotonic() - settings.deadline_ms / 1_000}
            await api(scope, receive, send)

        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(late), base_url="http://localhost"
        ) as client:
            answer = await client.get(URL)

    assert answer.json()["degraded"] == "popularity"
    assert len(answer.json()["items"]) == 5
    assert "read;dur=0.000," in answer.headers["server-timing"]
