"""Calls of a website: fields of sales, filters, pages of a list, and batches."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.cli.replay import Replayer, replay_all
from app.settings import Settings
from app.stores.store import Stores
from models.domain.event import from_us
from models.domain.sale import Sale
from models.experiments.exposure import read_exposures
from tests.api.test_interleaving import exported, shelf
from tests.api.test_recommendations import click
from tests.api.test_rules import BALI_FIRST, NO_ROME, put, shown, slate
from tests.builders import NOW_US
from tests.shop import JSON, sale

__all__ = ["shelf"]

BATCH = "/v1/recommendations/batch"


async def pages(client: httpx.AsyncClient, **params: str | int) -> list[list[str]]:
    """All pages of a list."""
    found: list[list[str]] = []
    cursor: str | None = "start"
    while cursor is not None:
        answer = await slate(client, cursor=cursor, **params)
        found.append(shown(answer))
        cursor = answer["next"]
    return found


class TestFields:
    @pytest.fixture
    def stock(self) -> list[Sale]:
        described: dict[str, Any] = {
            "title": "Three nights",
            "price": 199.0,
            "original_price": 320.0,
            "currency": "EUR",
            "image": "rome.jpg",
            "margin": 40.0,
            "attributes": {"stars": 4.0, "spa": True},
        }
        closes_at = from_us(NOW_US) + timedelta(days=100_000)
        return [sale("rome", category="city", closes_at=closes_at, **described)]

    async def test_fields_of_sales_come_with_the_answer(self, client: httpx.AsyncClient) -> None:
        names = ["title", "price", "image", "closes_at", "attributes", "country"]

        answer = await client.get("/v1/recommendations", params={"fields": names})
        ranked = await client.post("/v1/rank", json={"candidates": ["rome"], "fields": ["price"]})

        closes_at = (from_us(NOW_US) + timedelta(days=100_000)).isoformat().replace("+00:00", "Z")
        assert answer.json()["items"][0]["sale"] == {
            "title": "Three nights",
            "price": 199.0,
            "image": "rome.jpg",
            "closes_at": closes_at,
            "attributes": {"stars": 4.0, "spa": True},
            "country": None,
        }
        assert ranked.json()["items"][0]["sale"] == {"price": 199.0}
        assert (await slate(client))["items"][0]["sale"] is None

    @pytest.mark.parametrize("field", ["margin", "stock", "none"])
    async def test_what_a_website_may_not_read_is_no_field(
        self, client: httpx.AsyncClient, field: str
    ) -> None:
        answer = await client.get("/v1/recommendations", params={"fields": field})

        assert answer.status_code == 422
        assert answer.json()["errors"][0]["location"] == "query.fields.0"


class TestFilters:
    async def test_only_sales_that_meet_the_filter_are_shown_beside_the_rules(
        self, client: httpx.AsyncClient
    ) -> None:
        await put(client, NO_ROME, BALI_FIRST)
        filters = {
            'category in ["city", "beach"]': ["bali", "nice"],
            'category == "ski"': ["alps", "tignes"],
            "price > 0": [],
        }

        answers = [await slate(client, market="fr", filter=one) for one in filters]

        assert [sorted(shown(one)) for one in answers] == list(filters.values())
        # A pin finds no sale where the filter leaves it out.
        assert [one["unmet_rules"] for one in answers] == [[], ["bali"], ["bali"]]
        assert shown(await slate(client))[0] == "bali"

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("price <", "malformed"),
            ("category", "malformed"),
            ("", "malformed"),
            ("x" * 1_001, "malformed"),
            ("stars > 3", "unknown_attribute"),
        ],
    )
    async def test_what_cannot_be_read_is_refused(
        self, client: httpx.AsyncClient, text: str, code: str
    ) -> None:
        answer = await client.get("/v1/recommendations", params={"filter": text})

        assert (answer.status_code, answer.json()["code"]) == (422, code)

    @pytest.mark.parametrize(
        ("name", "hint"), [("categry", "there is 'category'"), ("nonesuch", "correct the name")]
    )
    async def test_a_mistaken_name_is_refused_with_those_like_it(
        self, client: httpx.AsyncClient, name: str, hint: str
    ) -> None:
        params = {"filter": f'{name} == "x"'}
        filtered = await client.get("/v1/recommendations", params=params)
        ruled = await put(client, {**NO_ROME, "where": params["filter"]})

        assert filtered.json()["detail"] == f"no sale has an attribute {name!r}: {hint}"
        assert filtered.json()["detail"] in ruled.json()["detail"]

    @pytest.mark.parametrize("name", ["request", "disliked"])
    async def test_no_rule_of_the_plan_has_a_name_of_the_service(
        self, client: httpx.AsyncClient, name: str
    ) -> None:
        refused = await put(client, {**NO_ROME, "name": name})

        assert refused.status_code == 422
        assert f"may have the name '{name}'" in refused.text


class TestDislikes:
    @pytest.fixture(params=[30, 0])
    def hidden_days(self, request: pytest.FixtureRequest) -> int:
        return int(request.param)

    @pytest.fixture
    def settings(self, settings: Settings, hidden_days: int) -> Settings:
        return settings.model_copy(update={"hide_disliked_days": hidden_days})

    async def test_what_a_customer_disliked_is_hidden_from_them_at_once_for_some_time(
        self, client: httpx.AsyncClient, hidden_days: int
    ) -> None:
        """Of alps and bali one was disliked within the time, and one before it."""
        now = datetime.now(UTC)
        before = {**click("e1", "alps"), "type": "dislike"}
        before["at"] = (now - timedelta(days=hidden_days + 1)).isoformat()
        disliked = {**click("e2", "bali"), "type": "dislike"}
        everything = shown(await slate(client, customer_id="c1"))
        await client.post("/v1/events", json={"events": [before, disliked]})

        answer = await slate(client, customer_id="c1")
        [page] = (
            await client.post("/v1/pages", json={"customer_id": "c1", "rows": [{"name": "all"}]})
        ).json()["rows"]

        hidden = {"bali"} if hidden_days else set[str]()
        assert len(everything) == 5
        assert set(everything) - set(shown(answer)) == hidden
        assert set(everything) - {one["sale_id"] for one in page["items"]} == hidden
        assert len(shown(await slate(client, customer_id="c2"))) == 5
        assert answer["degraded"] is None


class TestPagesOfAList:
    @pytest.fixture
    def stock(self) -> list[Sale]:
        markets = [None, ("fr",), ("de",)]
        return [
            sale(f"s{n}", category=("ski", "city")[n % 2], markets=markets[n % 3])
            for n in range(23)
        ]

    async def test_pages_partition_what_may_be_shown(self, client: httpx.AsyncClient) -> None:
        """Of 23 sales 8 are of market de alone, and one of the others is excluded."""
        found = await pages(client, market="fr", limit=4, exclude="s0")

        together = [one for page in found for one in page]
        assert [len(page) for page in found] == [4, 4, 4, 3]
        assert sorted(together) == sorted(f"s{n}" for n in range(1, 23) if n % 3 != 2)

    async def test_events_between_pages_repeat_and_lose_no_sale(
        self, client: httpx.AsyncClient
    ) -> None:
        """Each click changes the order of what is left."""
        found: list[str] = []
        cursor: str | None = "start"
        while cursor is not None:
            answer = await slate(client, customer_id="c1", limit=3, cursor=cursor)
            found += shown(answer)
            event = click(f"e{len(found)}", found[-1])
            await client.post("/v1/events", json={"events": [event]})
            cursor = answer["next"]

        assert sorted(found) == sorted(f"s{n}" for n in range(23))

    async def test_pages_of_a_filter_partition_what_meets_it(
        self, client: httpx.AsyncClient
    ) -> None:
        found = await pages(client, limit=5, filter='category == "ski"')

        assert sorted(one for page in found for one in page) == sorted(
            f"s{n}" for n in range(0, 23, 2)
        )

    async def test_without_a_cursor_there_is_no_next_page(self, client: httpx.AsyncClient) -> None:
        assert (await slate(client, limit=3))["next"] is None

    async def test_a_cursor_that_was_damaged_is_refused(self, client: httpx.AsyncClient) -> None:
        """By any one of them a page would repeat sales."""
        cursor = (await slate(client, limit=7, cursor="start"))["next"]
        last = "A" if cursor[-5] != "A" else "B"
        damaged = [cursor.upper(), cursor + "!", cursor[:-5] + last + cursor[-4:]]
        damaged += [cursor[:7] + cursor, cursor[:-7], "!" + cursor, cursor + "="]

        statuses = [
            (await client.get("/v1/recommendations", params={"cursor": text})).status_code
            for text in (cursor, *damaged)
        ]

        assert statuses == [200, *[422] * len(damaged)]

    @pytest.mark.parametrize("text", ["", "other", "AQ", "AQAAAAA", "_" * 6_700, "x" * 6_701])
    async def test_a_text_that_is_no_cursor_is_refused(
        self, client: httpx.AsyncClient, text: str
    ) -> None:
        answer = await client.get("/v1/recommendations", params={"cursor": text})

        assert (answer.status_code, answer.json()["code"]) == (422, "malformed")


class TestBatches:
    async def test_each_customer_has_the_answer_of_a_call_of_their_own(
        self, client: httpx.AsyncClient
    ) -> None:
        await client.post("/v1/events", json={"events": [click("e1", "alps")]})
        visits: list[dict[str, Any]] = [
            {"customer_id": "c1", "limit": 2},
            {"customer_id": "c2", "market": "fr", "filter": 'category == "beach"'},
            {"limit": 1, "exclude": ["alps", "tignes", "bali"]},
        ]

        answer = await client.post(BATCH, json={"items": visits, "fields": ["category"]})

        items = answer.json()["items"]
        alone = [await slate(client, **visit) for visit in visits]
        assert [one["customer_id"] for one in items] == ["c1", "c2", None]
        assert [shown(one["answer"]) for one in items] == [shown(one) for one in alone]
        assert shown(items[0]["answer"]) in (["alps", "tignes"], ["tignes", "alps"])
        assert items[0]["answer"]["items"][0]["sale"] == {"category": "ski"}
        assert len({one["answer"]["recommendation_id"] for one in items}) == 3

    async def test_a_visit_that_cannot_be_answered_leaves_the_others_theirs(
        self, client: httpx.AsyncClient
    ) -> None:
        visits = [
            {"variant": ["none:a"]},
            {"limit": 1},
            {"filter": "stars > 3"},
            {"filter": "price <"},
            {"variant": ["a:b", "a:c"]},
            {"limit": 2},
        ]

        items = (await client.post(BATCH, json={"items": visits})).json()["items"]

        assert [one["error"] and one["error"]["code"] for one in items] == [
            "unknown_variant",
            None,
            "unknown_attribute",
            "malformed_filter",
            "exclusive_variants",
            None,
        ]
        shown = [one["answer"] and len(one["answer"]["items"]) for one in items]
        assert shown == [None, 1, None, None, None, 2]

    async def test_a_batch_of_nothing_but_malformed_filters_is_answered(
        self, client: httpx.AsyncClient
    ) -> None:
        answer = await client.post(BATCH, json={"items": [{"filter": "price <"}] * 2})

        assert answer.status_code == 200
        codes = [one["error"]["code"] for one in answer.json()["items"]]
        assert codes == ["malformed_filter"] * 2
        assert "filter: " in answer.json()["items"][0]["error"]["detail"]

    @pytest.mark.parametrize("n", [0, 51])
    async def test_a_batch_is_of_one_to_fifty_visits(
        self, client: httpx.AsyncClient, n: int
    ) -> None:
        answer = await client.post(BATCH, content=json.dumps({"items": [{}] * n}), headers=JSON)

        assert answer.status_code == 422

    async def test_lists_of_one_customer_go_on_beside_a_batch(
        self, client: httpx.AsyncClient
    ) -> None:
        batch = client.post(BATCH, json={"items": [{"customer_id": f"c{n}"} for n in range(50)]})

        of_batch, alone = await asyncio.gather(batch, slate(client, customer_id="c1"))

        assert len(of_batch.json()["items"]) == 50
        assert alone["degraded"] is None


class TestBundles:
    @pytest.fixture
    def bundle(self, shelf: tuple[Path, Path]) -> Path:
        return shelf[0]

    async def test_filtered_answers_and_pages_are_made_again_to_the_bit(
        self,
        client: httpx.AsyncClient,
        stores: Stores,
        replayer: Replayer,
        tmp_path: Path,
    ) -> None:
        """Drawn by Plackett-Luce, under a rule of the plan."""
        rules = [{"name": "bound", "action": {"kind": "at_most", "n": 3, "per": "category"}}]
        drawn = {"kind": "plackett_luce", "temperature": 1.0}
        plan = {"default": {"exploration": drawn, "rules": rules}}
        assert (await client.put("/v1/plan", json=plan)).status_code == 200
        price = 'price > 0 and category != "none"'
        found = await pages(client, limit=2, customer_id="c1", filter=price)
        visits = [{"customer_id": f"c{n}", "limit": 3, "filter": price} for n in range(5)]
        await client.post(BATCH, json={"items": visits})
        disliked = {**click("e1", found[0][0], customer_id="c9"), "type": "dislike"}
        await client.post("/v1/events", json={"events": [disliked]})
        hiding = await slate(client, customer_id="c9", filter=price, limit=12)
        records = await exported(stores.connection, tmp_path / "out", n=len(found) + 6)

        again = replay_all(read_exposures(tmp_path / "out"), replayer)

        assert found[0][0] not in shown(hiding)
        assert len(found) > 1
        assert {one.filter for one in records} == {price}
        assert max(len(one.exclude) for one in records) == 2 * (len(found) - 1)
        assert (again.equal, again.differing, again.impossible) == (len(records), {}, {})
