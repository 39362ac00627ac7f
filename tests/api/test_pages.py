"""POST /v1/pages: rows of one answer, without a sale twice, recorded, and made again."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.catalogue.model import Model
from app.cli.replay import Replayer, replay_all
from app.main import create_app
from app.resources import Resources, Worker, resources_over
from app.settings import Settings
from app.stores.customer import CustomerStore
from app.stores.store import Stores
from models.experiments.exposure import read_exposures
from tests.api.test_interleaving import exported, interleave, shelf
from tests.api.test_recommendations import click
from tests.api.test_rules import BALI_FIRST, NO_ROME, put
from tests.round_trips import CountingConnection, counted, open_channel
from tests.shop import BrokenRanker, client_of, scorer

__all__ = ["shelf"]

URL = "/v1/pages"
ROWS: list[dict[str, Any]] = [
    {"name": "ski", "filter": 'category == "ski"', "limit": 5},
    {"name": "looked", "kind": "because_you_looked"},
    {"name": "new", "kind": "opening_now", "hours": 2, "limit": 1, "order_by": "popularity"},
    {"name": "rest"},
]


async def page(client: httpx.AsyncClient, **body: object) -> dict[str, Any]:
    answer = await client.post(URL, json={"rows": ROWS, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


def shown(answer: dict[str, Any]) -> list[list[str]]:
    return [[item["sale_id"] for item in row["items"]] for row in answer["rows"]]


async def test_a_page_has_its_rows_and_each_sale_once(client: httpx.AsyncClient) -> None:
    """Five sales: alps and tignes ski, bali and nice are beaches, rome a city; nice was clicked."""
    await client.post("/v1/events", json={"events": [click("e1", "nice")]})

    answer = await page(client, customer_id="c1", market="fr", fields=["category"])

    ski, looked, new, rest = shown(answer)
    assert sorted(ski) == ["alps", "tignes"]
    # Nothing has a destination, a country or a picture: no sale is like another.
    assert looked == []
    assert answer["rows"][1]["because_of"] == {"sale_id": "nice", "sale": {"category": "beach"}}
    assert len(new) == 1
    assert sorted(new + rest) == ["bali", "nice", "rome"]
    ranks = [item["rank"] for row in answer["rows"] for item in row["items"]]
    assert ranks == [1, 2, 3, 4, 5]
    assert answer["rows"][0]["items"][0]["sale"] == {"category": "ski"}
    assert [row["name"] for row in answer["rows"]] == ["ski", "looked", "new", "rest"]
    assert (answer["degraded"], answer["next"]) == (None, None)


async def test_the_next_page_has_none_of_the_sales_of_the_last(client: httpx.AsyncClient) -> None:
    rows = [{"name": "a", "limit": 1}, {"name": "b", "limit": 1}]

    found: list[str] = []
    cursor: str | None = "start"
    while cursor is not None:
        answer = await page(client, rows=rows, market="fr", cursor=cursor)
        found += [one for row in shown(answer) for one in row]
        cursor = answer["next"]

    assert sorted(found) == ["alps", "bali", "nice", "rome", "tignes"]


async def test_rules_of_the_plan_hold_in_every_row(client: httpx.AsyncClient) -> None:
    await put(client, NO_ROME, BALI_FIRST)

    answer = await page(client, rows=[{"name": "a", "limit": 2}, {"name": "b"}], market="de")

    first, second = shown(answer)
    assert first[0] == "bali"
    assert sorted(first + second) == ["alps", "bali", "tignes"]
    assert (answer["unmet_rules"], answer["rows"][0]["items"][0]["rules"]) == ([], ["bali"])


PIN = {"name": "rome-first", "where": 'sale_id == "rome"', "action": {"kind": "pin", "rank": 1}}


async def test_a_row_has_rules_of_its_own_and_its_sales_say_so(client: httpx.AsyncClient) -> None:
    await put(client, BALI_FIRST)
    rows = [{"name": "a", "limit": 1}, {"name": "b", "rules": [PIN]}]

    answer = await page(client, rows=rows, market="de")

    first, second = shown(answer)
    assert first == ["bali"]
    assert second[0] == "rome"
    assert sorted(second) == ["alps", "rome", "tignes"]
    assert answer["rows"][1]["items"][0]["rules"] == ["b/rome-first"]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([{"name": "a", "rules": [{**PIN, "where": "price <"}]}], "is no expression"),
        ([{"name": "a", "rules": [{**PIN, "where": "stars > 3"}]}], "no sale has an attribute"),
        ([{"name": "a", "rules": [{**PIN, "budget": 3.0}]}], "put it into the plan"),
        ([{"name": "a", "rules": [{**PIN, "dry_run": True}]}], "put it into the plan"),
        (
            [{"name": "a", "rules": [{**PIN, "action": {"kind": "share", "of": 0.1}}]}],
            "put it into the plan",
        ),
        (
            [{"name": "a", "limit": 3, "rules": [{**PIN, "action": {"kind": "pin", "rank": 4}}]}],
            "asks for 4 places, and the row has 3",
        ),
        (
            [{"name": "a", "rules": [{**PIN, "action": {"kind": "at_least", "n": 11}}]}],
            "asks for 11 places, and the row has 10",
        ),
        (
            [
                {"name": row, "rules": [{**PIN, "name": f"p{n}"} for n in range(26)]}
                for row in ("a", "b")
            ],
            "52 rules together",
        ),
        ([{"name": "a", "diversity": 1.0}], "less than 1"),
        ([], "at least 1"),
        ([{"name": "a"}] * 2, "2 rows are named 'a'"),
        ([{"name": f"r{n}"} for n in range(21)], "at most 20"),
        ([{"name": f"r{n}", "limit": 50} for n in range(7)], "350 sales together"),
        ([{"name": "a", "kind": "none"}], "kind"),
        ([{"name": "a", "filter": "price <"}], "is no expression"),
        ([{"name": "a", "filter": "stars > 3"}], "no sale has an attribute 'stars'"),
        ([{"name": "a", "hours": 0}], "greater than 0"),
        ([{"name": "a", "limit": 5, "min_items": 6}], "a row of at most 5 sales never has 6"),
    ],
)
async def test_rows_that_cannot_be_made_are_refused(
    client: httpx.AsyncClient, rows: list[dict[str, Any]], reason: str
) -> None:
    answer = await client.post(URL, json={"rows": rows})

    assert answer.status_code == 422
    assert reason in answer.text


async def test_a_wrong_row_is_one_fault(client: httpx.AsyncClient) -> None:
    answer = await client.post(URL, json={"rows": [{"name": "a b"}]})
    without = await client.post(URL, json={"rows": []})

    assert [one["location"] for one in answer.json()["errors"]] == ["body.rows.0.name"]
    assert [one["location"] for one in without.json()["errors"]] == ["body.rows"]


class TestABrokenModel:
    @pytest.fixture
    def model(self) -> Model:
        return Model(scorer=scorer(ranker=BrokenRanker()))

    async def test_rows_are_filled_without_a_model(self, client: httpx.AsyncClient) -> None:
        answer = await page(client, market="fr")

        assert answer["degraded"] == "popularity"
        assert sorted(shown(answer)[0]) == ["alps", "tignes"]
        assert sorted(one for row in shown(answer) for one in row) == [
            *("alps", "bali", "nice", "rome", "tignes")
        ]


async def test_a_market_without_sales_has_empty_rows(client: httpx.AsyncClient) -> None:
    answer = await page(client, exclude=["alps", "rome", "tignes", "bali"], market="de")

    assert answer["degraded"] == "empty"
    assert shown(answer) == [[], [], [], []]


class TestBundles:
    @pytest.fixture
    def bundle(self, shelf: tuple[Path, Path]) -> Path:
        return shelf[0]

    async def test_a_page_is_one_record_and_is_made_again_to_the_bit(
        self,
        client: httpx.AsyncClient,
        stores: Stores,
        replayer: Replayer,
        tmp_path: Path,
    ) -> None:
        """Drawn by Plackett-Luce, under a rule of the plan."""
        rules = [{"name": "bound", "action": {"kind": "at_most", "n": 2, "per": "category"}}]
        drawn = {"kind": "plackett_luce", "temperature": 1.0}
        plan = {"default": {"exploration": drawn, "rules": rules}}
        assert (await client.put("/v1/plan", json=plan)).status_code == 200
        rows: list[dict[str, Any]] = [
            {"name": "top", "limit": 3},
            {"name": "new", "kind": "opening_now", "hours": 48, "limit": 2, "min_items": 2},
            {"name": "popular", "order_by": "popularity", "filter": "price > 0", "limit": 3},
            {"name": "looked", "kind": "because_you_looked"},
        ]
        boost = {"name": "dear", "where": "price > 300", "action": {"kind": "boost", "odds": 9.0}}
        rows[2] |= {"rules": [boost], "diversity": 0.3}
        answers = [await page(client, customer_id=f"c{n}", rows=rows) for n in range(8)]
        sale_id = shown(answers[0])[0][0]
        await client.post("/v1/events", json={"events": [click("e1", sale_id)]})
        answers.append(await page(client, customer_id="c1", rows=rows))
        records = await exported(stores.connection, tmp_path / "out", n=9)

        again = replay_all(read_exposures(tmp_path / "out"), replayer)

        by_id = {one.recommendation_id: one for one in records}
        for answer in answers:
            record = by_id[answer["recommendation_id"]]
            assert [one.row.name for one in record.rows] == ["top", "new", "popular", "looked"]
            assert [one.n_items for one in record.rows] == [len(row) for row in shown(answer)]
            sales = [one.sale_id for one in record.slate]
            assert sales == [one for row in shown(answer) for one in row]
            assert record.limit == 3 + 2 + 3 + 10
        assert by_id[answers[-1]["recommendation_id"]].rows[3].because_of == sale_id
        assert (again.equal, again.differing, again.impossible) == (9, {}, {})

    async def test_a_page_is_of_one_policy_where_lists_are_interleaved(
        self, client: httpx.AsyncClient, shelf: tuple[Path, Path]
    ) -> None:
        await interleave(client, shelf[1].name, traffic_bp=10_000)

        answer = await page(client, customer_id="c1")

        assert (answer["assignments"], answer["degraded"]) == ([], None)


async def test_pages_and_batches_ask_the_store_once(
    stores: Stores, store_url: str, model: Model, settings: Settings
) -> None:
    counting = counted(store_url)

    @asynccontextmanager
    async def opener(given: Settings, process: Worker) -> AsyncGenerator[Resources]:
        asking = replace(stores, customers=CustomerStore(counting))
        async with resources_over(asking, model, settings=given, worker=process) as resources:
            yield resources

    async with client_of(create_app(settings, Worker(), opener=opener)) as client:
        await open_channel(CustomerStore(counting))
        batch = {"items": [{"customer_id": f"c{n}"} for n in range(20)]}
        n_asked: list[int] = []
        for path, body in [(URL, {"customer_id": "c1", "rows": ROWS})] * 3 + [
            ("/v1/recommendations/batch", batch)
        ] * 3:
            before = CountingConnection.n_sent
            assert (await client.post(path, json=body)).status_code == 200
            n_asked.append(CountingConnection.n_sent - before)
    await counting.close()

    # The first batch finds the script by its text where the store does not know it yet.
    assert n_asked[:3] == [1, 1, 1]
    assert n_asked[4:] == [1, 1]


async def test_a_page_is_explained_where_that_is_asked_for(client: httpx.AsyncClient) -> None:
    explained = await page(client, explain=True)
    unasked = await page(client)

    sentences = [
        item["explanation"]["sentence"] for row in explained["rows"] for item in row["items"]
    ]
    assert all(sentences)
    assert sentences
    assert {item["explanation"] for row in unasked["rows"] for item in row["items"]} == {None}
