"""Exploration that is always on: a share of answers is drawn, unless the policy says otherwise."""

import httpx
import pytest

from app.resources import Worker
from app.settings import Settings

N_ANSWERS = 40


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"explored_share": 1.0})


async def first_sales(client: httpx.AsyncClient) -> set[str]:
    answers = [await client.get("/v1/recommendations") for _ in range(N_ANSWERS)]
    return {answer.json()["items"][0]["sale_id"] for answer in answers}


def explored(worker: Worker) -> float:
    return worker.metrics.registry.get_sample_value("vitrine_explored_answers_total") or 0.0


async def test_answers_are_drawn_by_default_and_counted(
    client: httpx.AsyncClient, worker: Worker
) -> None:
    """Five sales are equally likely: one is never first with a probability below 5 (4/5)^40."""
    found = await first_sales(client)

    assert found == {"alps", "rome", "tignes", "bali", "nice"}
    assert explored(worker) > 0


async def test_a_plan_that_says_null_is_not_explored(
    client: httpx.AsyncClient, worker: Worker
) -> None:
    put = await client.put("/v1/plan", json={"default": {"exploration": None}})
    assert put.is_success, put.text

    assert len(await first_sales(client)) == 1
    assert explored(worker) == 0
