"""GET /v1/recommendations."""

import asyncio
import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import httpx
import orjson
import pytest

from app.catalogue.model import Model
from app.settings import Settings
from app.stores.exposure import unpacked
from app.stores.keys import exposures_stream, partition
from app.stores.store import Stores
from models.domain.customer import Window
from tests.contract.servers import hanging
from tests.plans import written
from tests.shop import BrokenRanker, sale, scorer

URL = "/v1/recommendations"


def sale_ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["sale_id"] for item in answer.json()["items"]]


def click(event_id: str, sale_id: str, *, customer_id: str = "c1") -> dict[str, str]:
    return {
        "event_id": event_id,
        "customer_id": customer_id,
        "type": "click",
        "sale_id": sale_id,
        "at": datetime.now(UTC).isoformat(),
    }


async def test_an_unknown_customer_is_answered_in_full(client: httpx.AsyncClient) -> None:
    answer = await client.get(URL, params={"customer_id": "stranger"})

    assert sorted(sale_ids(answer)) == ["alps", "bali", "nice", "rome", "tignes"]
    body = answer.json()
    assert (body["bundle"], body["assignments"], body["degraded"]) == ("by-hand", [], None)
    assert body["probability_of"] == "shown_at_position_1"
    assert [item["rank"] for item in body["items"]] == [1, 2, 3, 4, 5]
    assert {item["purchase_probability"] for item in body["items"]} == {0.1}


async def test_an_acknowledged_click_moves_its_category_up(client: httpx.AsyncClient) -> None:
    """Interest 1 of 1.5 in skiing: its sales get (1 + 2/3) / 10, all others 1/10."""
    await client.post("/v1/events", json={"events": [click("e1", "alps")]})

    answer = await client.get(URL, params={"customer_id": "c1"})

    assert set(sale_ids(answer)[:2]) == {"alps", "tignes"}
    best, last = (answer.json()["items"][rank]["purchase_probability"] for rank in (0, -1))
    assert best == pytest.approx(1 / 6, abs=1e-4)  # the click fades from its first second on
    assert last == 0.1


async def test_another_customers_click_changes_nothing(client: httpx.AsyncClient) -> None:
    before = sale_ids(await client.get(URL, params={"customer_id": "c2"}))
    await client.post("/v1/events", json={"events": [click("e1", "tignes")]})

    assert sale_ids(await client.get(URL, params={"customer_id": "c2"})) == before


async def test_a_slate_has_as_many_sales_as_asked_for(client: httpx.AsyncClient) -> None:
    answer = await client.get(URL, params={"customer_id": "c1", "limit": 2})

    assert len(sale_ids(answer)) == 2


@pytest.mark.parametrize(
    ("market", "expected"),
    [("fr", {"alps", "bali", "nice", "rome"}), ("de", {"alps", "bali", "rome"})],
)
async def test_only_sales_of_the_market_that_are_not_excluded_are_shown(
    client: httpx.AsyncClient, market: str, expected: set[str]
) -> None:
    answer = await client.get(
        URL, params={"customer_id": "c1", "market": market, "exclude": ["tignes", "unknown"]}
    )

    assert set(sale_ids(answer)) == expected


@pytest.mark.parametrize(
    ("parameters", "location"),
    [
        ({"customer_id": ""}, "query.customer_id"),
        ({"customer_id": "x" * 129}, "query.customer_id"),
        ({"customer_id": "c1\n"}, "query.customer_id"),
        ({"customer_id": "c1", "limit": 0}, "query.limit"),
        ({"customer_id": "c1", "limit": 101}, "query.limit"),
        ({"customer_id": "c1", "exclude": ["s"] * 501}, "query.exclude"),
        ({"customer_id": "c1", "maket": "fr"}, "query.maket"),
    ],
)
async def test_a_malformed_question_is_refused_by_name(
    client: httpx.AsyncClient, parameters: dict[str, str | int | list[str]], location: str
) -> None:
    answer = await client.get(URL, params=parameters)

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "malformed"
    assert [error["location"] for error in answer.json()["errors"]] == [location]


async def test_stages_are_timed(client: httpx.AsyncClient) -> None:
    answer = await client.get(URL, params={"customer_id": "c1"})

    stages = [stage.split(";dur=") for stage in answer.headers["server-timing"].split(", ")]
    assert [name for name, _ in stages] == ["read", "rank", "total"]
    assert all(float(milliseconds) > 0 for _, milliseconds in stages)


async def exposures(stores: Stores, customer_id: str) -> list[dict[str, object]]:
    stream = exposures_stream(partition(customer_id))
    entries: list[tuple[bytes, dict[bytes, bytes]]] = []
    async with asyncio.timeout(10.0):
        while not entries:
            reply = await stores.connection.execute("XRANGE", stream, "-", "+", doing="looking")
            entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", reply)
    return [
        cast("dict[str, object]", orjson.loads(unpacked(fields[b"x"]))) for _, fields in entries
    ]


async def test_the_record_of_an_answer_holds_what_it_was_made_from(
    client: httpx.AsyncClient, stores: Stores, settings: Settings
) -> None:
    await client.post("/v1/events", json={"events": [click("e1", "alps")]})
    answer = await client.get(
        URL, params={"customer_id": "c1", "limit": 1, "device": "tv", "exclude": "rome"}
    )

    [record] = await exposures(stores, "c1")

    window = Window.unpack(base64.b64decode(cast("str", record["window"])))
    [item] = answer.json()["items"]
    assert record["recommendation_id"] == answer.json()["recommendation_id"]
    assert (record["device"], record["limit"], record["exclude"]) == ("tv", 1, ["rome"])
    assert window.pack() == (await stores.customers.read("c1")).window.pack()
    assert [item.pop(name) for name in ("explanation", "sale", "cover")] == [None] * 3
    assert record["slate"] == [{**item, "propensity": 1.0}]
    assert len(cast("str", record["feature_hash"])) == 32
    content, counts = cast("str", record["snapshot_id"]).split(".")
    saved = {path.name for path in (settings.state_dir / "snapshots").iterdir()}
    assert {f"content-{content}.npz", f"counts-{counts}.npz"} <= saved


async def test_a_visitor_without_id_is_answered_in_full_and_recorded_without(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    answer = await client.get(URL, params={"limit": 3})

    [record] = await exposures(stores, cast("str", answer.json()["recommendation_id"]))
    assert len(sale_ids(answer)) == 3
    assert answer.json()["degraded"] is None
    assert record["customer_id"] is None


def assignments(record: dict[str, object]) -> list[dict[str, object]]:
    return cast("list[dict[str, object]]", record["assignments"])


class TestAForcedVariant:
    @pytest.fixture
    def settings(self, settings: Settings, tmp_path: Path) -> Settings:
        return settings.model_copy(update={"plan": written(tmp_path)})

    @pytest.mark.parametrize("variant", ["meta", "popularity"])
    async def test_it_answers_and_is_recorded_as_forced(
        self, client: httpx.AsyncClient, stores: Stores, variant: str
    ) -> None:
        answer = await client.get(URL, params={"customer_id": "c1", "variant": f"order:{variant}"})

        [record] = await exposures(stores, "c1")
        assert answer.json()["assignments"] == [
            {"experiment": "order", "variant": variant, "forced": True}
        ]
        [assigned] = assignments(record)
        assert (assigned["variant"], assigned["is_forced"]) == (variant, True)
        assert record["order_by"] == variant

    async def test_an_assigned_one_is_recorded_with_its_unit_and_share(
        self, client: httpx.AsyncClient, stores: Stores
    ) -> None:
        answer = await client.get(URL, params={"customer_id": "c1"})

        [record] = await exposures(stores, "c1")
        assert assignments(record) == [
            {
                "experiment": "order",
                "variant": answer.json()["assignments"][0]["variant"],
                "unit": "customer",
                "unit_id": "c1",
                "share_bp": 5_000,
                "is_forced": False,
            }
        ]

    @pytest.mark.parametrize("pair", ["order:mta", "ordr:meta"])
    async def test_an_unknown_one_is_refused(self, client: httpx.AsyncClient, pair: str) -> None:
        answer = await client.get(URL, params={"customer_id": "c1", "variant": pair})

        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_variant")
        assert all(repr(name) in answer.json()["detail"] for name in pair.split(":"))

    async def test_one_that_is_no_pair_is_malformed(self, client: httpx.AsyncClient) -> None:
        answer = await client.get(URL, params={"customer_id": "c1", "variant": "meta"})

        assert (answer.status_code, answer.json()["code"]) == (422, "malformed")

    async def test_one_that_is_forced_twice_to_the_same_is_forced(
        self, client: httpx.AsyncClient
    ) -> None:
        pairs = ["order:popularity", "order:popularity"]
        answer = await client.get(URL, params={"customer_id": "c1", "variant": pairs})

        assert answer.status_code == 200
        assert [one["variant"] for one in answer.json()["assignments"]] == ["popularity"]

    async def test_a_visitor_without_the_unit_is_in_no_experiment(
        self, client: httpx.AsyncClient
    ) -> None:
        answer = await client.get(URL, params={"session_id": "v1", "device_id": "d1"})

        assert answer.json()["assignments"] == []

    async def test_answers_are_timed_by_variant_unless_forced(
        self, client: httpx.AsyncClient
    ) -> None:
        answer = await client.get(URL, params={"customer_id": "c1"})
        await client.get(URL, params={"customer_id": "c1", "variant": "order:meta"})

        [assigned] = answer.json()["assignments"]
        lines = (await client.get("/metrics")).text.splitlines()
        counts = [line for line in lines if line.startswith("vitrine_answer_seconds_count")]
        labels = f'degraded="",experiment="order",variant="{assigned["variant"]}"'
        assert counts == [f"vitrine_answer_seconds_count{{{labels}}} 1.0"]


class TestAVariantByPopularity:
    @pytest.fixture
    def settings(self, settings: Settings, tmp_path: Path) -> Settings:
        return settings.model_copy(update={"plan": written(tmp_path, popularity_bp=10_000)})

    async def test_it_ignores_what_the_customer_likes(self, client: httpx.AsyncClient) -> None:
        before = sale_ids(await client.get(URL, params={"customer_id": "c1"}))
        await client.post("/v1/events", json={"events": [click("e1", before[-1])]})

        answer = await client.get(URL, params={"customer_id": "c1"})

        assert sale_ids(answer) == before
        assert answer.json()["assignments"][0]["variant"] == "popularity"


class TestAModelThatFails:
    @pytest.fixture
    def model(self) -> Model:
        return Model(scorer=scorer(ranker=BrokenRanker()))

    async def test_it_is_replaced_by_popularity_counted_and_recorded(
        self, client: httpx.AsyncClient, stores: Stores
    ) -> None:
        answer = await client.get(URL, params={"customer_id": "c1"})
        [record] = await exposures(stores, "c1")

        assert len(sale_ids(answer)) == 5
        assert answer.json()["degraded"] == "popularity"
        assert (record["degraded"], record["cause"]) == ("popularity", "model_failed")
        assert answer.json()["items"][0]["purchase_probability"] is None
        assert 'model_errors_total{error="ArithmeticError"}' in (await client.get("/metrics")).text


class TestNoModel:
    @pytest.fixture
    def model(self) -> Model:
        return Model(failure="bundle b1: ranker.txt has sha256 0")

    async def test_the_page_is_not_empty(self, client: httpx.AsyncClient) -> None:
        answer = await client.get(URL, params={"customer_id": "c1"})

        assert len(sale_ids(answer)) == 5
        assert (answer.json()["degraded"], answer.json()["bundle"]) == ("popularity", None)
        assert answer.json()["probability_of"] is None

    async def test_the_service_is_not_ready_and_says_why(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/health/ready")

        assert answer.status_code == 503
        assert "bundle b1: ranker.txt has sha256 0" in answer.json()["detail"]


class TestAnEmptyStore:
    @pytest.fixture
    def model(self) -> Model:
        return Model(scorer=scorer(sale("seed")))

    @pytest.fixture
    async def stores(self, stores: Stores) -> Stores:
        await stores.connection.execute("FLUSHALL", doing="emptying the store")
        return stores

    async def test_the_bundles_own_sales_are_shown(self, client: httpx.AsyncClient) -> None:
        answer = await client.get(URL, params={"customer_id": "c1"})

        assert sale_ids(answer) == ["seed"]
        assert answer.json()["degraded"] is None


class TestAStoreThatHangs:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"read_timeout_ms": 50, "write_timeout_ms": 30})

    async def test_the_customer_is_anonymous_and_events_are_refused(
        self, client: httpx.AsyncClient, stores: Stores
    ) -> None:
        await client.post("/v1/events", json={"events": [click("e1", "alps")]})

        async with hanging(stores.connection):
            answer = await client.get(URL, params={"customer_id": "c1"})
            refusal = await client.post("/v1/events", json={"events": [click("e2", "alps")]})

        assert len(sale_ids(answer)) == 5
        assert answer.json()["degraded"] == "anonymous"
        assert {item["purchase_probability"] for item in answer.json()["items"]} == {0.1}
        assert (refusal.status_code, refusal.json()["code"]) == (503, "store_unavailable")
        assert refusal.headers["retry-after"] == "1"
