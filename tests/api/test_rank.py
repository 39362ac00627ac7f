"""POST /v1/rank."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from app.catalogue.model import Model
from app.stores.store import Stores
from tests.api.test_recommendations import click, exposures, sale_ids
from tests.shop import (
    JSON,
    BrokenRanker,
    sale,
    scorer,
)

URL = "/v1/rank"


async def test_only_the_callers_candidates_are_ranked_for_the_customer(
    client: httpx.AsyncClient,
) -> None:
    await client.post("/v1/events", json={"events": [click("e1", "alps")]})

    answer = await client.post(
        URL, json={"customer_id": "c1", "candidates": ["bali", "rome", "tignes"]}
    )

    assert sale_ids(answer)[0] == "tignes"
    assert sorted(sale_ids(answer)) == ["bali", "rome", "tignes"]
    assert [item["rank"] for item in answer.json()["items"]] == [1, 2, 3]
    assert answer.json()["left_out"] == []


async def test_candidates_that_may_not_be_shown_are_named_with_the_reason(
    client: httpx.AsyncClient,
) -> None:
    now = datetime.now(UTC)
    hour = timedelta(hours=1)
    for one in [
        sale("later", opens_at=now + hour),
        sale("over", opens_at=now - 3 * hour, closes_at=now - hour),
        sale("gone", stock=0, sold_out_at=now - hour),
    ]:
        await client.put(f"/v1/sales/{one.sale_id}", content=one.model_dump_json(), headers=JSON)
    await eventually_knows(client, "gone")

    answer = await client.post(
        URL,
        json={
            "candidates": ["gone", "nice", "alps", "over", "never", "later"],
            "market": "de",
            "limit": 1,
        },
    )

    assert sale_ids(answer) == ["alps"]
    assert answer.json()["left_out"] == [
        {"sale_id": "gone", "reason": "sold_out"},
        {"sale_id": "nice", "reason": "other_market"},
        {"sale_id": "over", "reason": "closed"},
        {"sale_id": "never", "reason": "unknown"},
        {"sale_id": "later", "reason": "not_yet_open"},
    ]


async def eventually_knows(client: httpx.AsyncClient, sale_id: str) -> None:
    """Return when the catalogue that answers see holds a sale."""
    async with asyncio.timeout(10.0):
        while (await reason_for(client, sale_id)) == "unknown":
            pass


async def reason_for(client: httpx.AsyncClient, sale_id: str) -> str:
    answer = await client.post(URL, json={"candidates": [sale_id]})
    [left_out] = answer.json()["left_out"]
    return str(left_out["reason"])


@pytest.mark.parametrize("candidates", [["nice", "bali", "rome"], ["rome", "bali", "nice"]])
async def test_the_callers_order_decides_between_equals_where_he_says_so(
    client: httpx.AsyncClient, candidates: list[str]
) -> None:
    """There are no events yet: all scores are 0.1."""
    said = await client.post(URL, json={"candidates": candidates, "ordered": True})
    unsaid = await client.post(URL, json={"candidates": candidates})
    reversed_unsaid = await client.post(URL, json={"candidates": candidates[::-1]})

    assert sale_ids(said) == candidates
    assert sale_ids(unsaid) == sale_ids(reversed_unsaid)


async def test_the_record_holds_the_candidates(client: httpx.AsyncClient, stores: Stores) -> None:
    body = {"customer_id": "c1", "candidates": ["rome", "never"], "ordered": True}
    await client.post(URL, json=body)

    [record] = await exposures(stores, "c1")
    assert record["candidates"] == ["rome"]
    assert record["candidates_unknown"] == 1
    assert record["candidates_ordered"] is True


@pytest.mark.parametrize(
    ("body", "location"),
    [
        ({}, "body.candidates"),
        ({"candidates": []}, "body.candidates"),
        ({"candidates": ["s"] * 2}, "body.candidates"),
        ({"candidates": [f"s{i}" for i in range(1_001)]}, "body.candidates"),
        ({"candidates": ["s", ""]}, "body.candidates.1"),
        ({"candidates": ["s"], "limit": 0}, "body.limit"),
        ({"candidates": ["s"], "ordered": "yes"}, "body.ordered"),
        ({"candidates": ["s"], "exclude": ["s"]}, "body.exclude"),
    ],
)
async def test_a_malformed_question_is_refused_by_name(
    client: httpx.AsyncClient, body: dict[str, object], location: str
) -> None:
    answer = await client.post(URL, json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")
    assert [error["location"] for error in answer.json()["errors"]] == [location]


class TestABrokenModel:
    @pytest.fixture
    def model(self) -> Model:
        return Model(scorer=scorer(ranker=BrokenRanker()))

    async def test_the_callers_order_is_kept_where_he_says_that_it_says_something(
        self, client: httpx.AsyncClient
    ) -> None:
        """Popularity would put the clicked sale first."""
        await client.post("/v1/events", json={"events": [click("e1", "tignes")]})
        candidates = ["rome", "alps", "tignes"]

        answer = await client.post(URL, json={"candidates": candidates, "ordered": True})

        assert sale_ids(answer) == candidates
        assert answer.json()["degraded"] == "popularity"


@pytest.mark.parametrize(
    ("name", "place"),
    [("\\ud83d", "line 2 column 24"), ("a\\\\\\udc00", "line 2 column 27")],
)
async def test_half_a_character_is_named_with_its_place(
    client: httpx.AsyncClient, name: str, place: str
) -> None:
    """As of a text that was cut within an emoji; a backslash before it is no escape of it."""
    body = f'{{"candidates": ["rome"],\n "customer_id": "\\u00e9{name}"}}'

    answer = await client.post("/v1/rank", content=body, headers=JSON)

    half = name[-6:]
    assert answer.status_code == 422
    assert answer.json()["detail"] == (
        f"body: {half} is half a character (a surrogate without its pair) at {place}: send text as"
        " it was"
    )
