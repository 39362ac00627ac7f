"""Promotions over HTTP, with real bundles, and customers who buy what they are shown first."""

import asyncio
import math
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.export import export
from app.settings import Settings
from app.stores.connection import Connection
from app.stores.promotion import StoredPromotion
from app.stores.store import Stores
from tests.api.conftest import N_OF_BUNDLE
from tests.bundles import dishonest, lacking, recalibrated, reversed_order
from tests.plans import LAYER, terms

URL = "/v1/promotions"
PLAN = "/v1/plan"
N_CUSTOMERS = 420
COMES_WITHIN_S = 300.0
SHOWN = 4
"""Of all sales: a reversed order then shows others, and what it shows first sells worse."""

RULES: dict[str, Any] = {
    "shadow": {"min_answers": 20, "max_slower": 2.0, "max_drift": 1e6},
    # Undecided after a tenth of a second: the canary decides.
    "interleaving": {"share_bp": 10_000, "min_hours": 0.0, "max_days": 1e-6},
    "canary": {
        "shares_bp": [3_000, 5_000],
        "min_units": 50,
        "min_hours": 0.0,
        "margin": 0.5,
        # Machines that run tests are busy.
        "results": {"window_hours": 0.0005, "planned_units": 400, "max_slower": 9.0},
    },
}
DRAWN: dict[str, Any] = {"kind": "plackett_luce", "temperature": 0.3}
BLIND = RULES | {"shadow": RULES["shadow"] | {"min_overlap": 0.0}}
"""What nothing but customers who buy less can find."""
SHARED = {"window_hours": 0.0005, "planned_units": 100}
PATIENT = BLIND | {
    "interleaving": {"share_bp": 10_000, "min_hours": 0.0, "max_days": 1.0, "results": SHARED}
}
"""What customers have to decide who see sales of both."""
EXPLORED = {"kind": "plackett_luce", "temperature": 0.1}


@pytest.fixture(scope="module")
def shelf(
    tiny_bundle: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A serving bundle, and candidates good and bad."""
    root = tmp_path_factory.mktemp("shelf")
    original = tiny_bundle[0]
    return {
        "serving": recalibrated(original, root, shift=0.0),
        "good": recalibrated(original, root, shift=0.05),
        "reversed": reversed_order(original, root, centre=-4.0),
        "lacking": lacking(original, root, recommender="content"),
        "liar": dishonest(original, root),
    }


@pytest.fixture
def explored_share() -> float:
    """Most tests expect the order of the model."""
    return 0.0


@pytest.fixture
def settings(settings: Settings, explored_share: float) -> Settings:
    return settings.model_copy(update={"explored_share": explored_share})


@pytest.fixture
def bundle(shelf: dict[str, Path]) -> Path:
    return shelf["serving"]


@dataclass
class Shop:
    """Customers who come and buy, and what an export made of it."""

    client: httpx.AsyncClient
    connection: Connection
    out: Path
    liked: set[str] = field(default_factory=set[str])
    n_asked: int = 0
    bundles: dict[str, str] = field(default_factory=dict[str, str])

    async def ask(self, customer: str) -> dict[str, Any]:
        params: dict[str, str | int] = {"customer_id": customer, "limit": SHOWN}
        answer = await self.client.get("/v1/recommendations", params=params)
        assert answer.status_code == 200, answer.text
        self.n_asked += 1
        body: dict[str, Any] = answer.json()
        assert body["degraded"] is None, body
        return body

    async def learn(self) -> None:
        """Let all customers like the half that the serving bundle ranks first for a new one."""
        params = {"customer_id": "visitor", "limit": N_OF_BUNDLE // 2}
        answer = await self.client.get("/v1/recommendations", params=params)
        self.liked = {item["sale_id"] for item in answer.json()["items"]}
        assert len(self.liked) == N_OF_BUNDLE // 2, answer.text

    async def visit(self, number: int) -> None:
        """Four of five buy the first sale if they like it, and none buys another one."""
        customer = f"c{number}"
        body = await self.ask(customer)
        self.bundles[customer] = body["bundle"]
        first = body["items"][0]["sale_id"]
        if first not in self.liked or number % 5 == 0:
            return
        event = {
            "event_id": f"e{number}-{self.n_asked}",
            "customer_id": customer,
            "type": "purchase",
            "sale_id": first,
            "at": datetime.now(UTC).isoformat(),
            "exposure_id": body["recommendation_id"],
            "revenue": 100.0,
        }
        answer = await self.client.post("/v1/events", json={"events": [event]})
        assert answer.json()["accepted"] == 1, answer.text

    async def promotion(self, number: int = 1) -> dict[str, Any]:
        answer = await self.client.get(f"{URL}/{number}")
        assert answer.status_code == 200, answer.text
        return answer.json()["promotion"]

    async def comes_to(self, stage: str, share_bp: int = 0) -> dict[str, Any]:
        """Come again, and export, until a promotion is at a stage with all that it wants."""
        async with asyncio.timeout(COMES_WITHIN_S):
            while True:
                promotion = await self.promotion()
                at = promotion["stage"], promotion["share_bp"], promotion["is_settled"]
                if at == (stage, share_bp, True):
                    return promotion
                assert promotion["stage"] not in {"full", "stopped"} - {stage}, promotion
                await self.ask("visitor")
                if promotion["stage"] in {"interleaving", "canary"}:
                    await export(self.connection, self.out)
                await asyncio.sleep(0.1)


@pytest.fixture
async def shop(client: httpx.AsyncClient, store_url: str, tmp_path: Path) -> AsyncGenerator[Shop]:
    connection = Connection.open(store_url)
    shop = Shop(client, connection, tmp_path / "out")
    await shop.learn()
    yield shop
    await connection.close()


async def begin(
    client: httpx.AsyncClient, bundle: Path, rules: dict[str, Any] = RULES
) -> httpx.Response:
    return await client.post(URL, json={"bundle": bundle.name, "rules": rules})


async def begun(
    client: httpx.AsyncClient, bundle: Path, rules: dict[str, Any] = RULES
) -> dict[str, Any]:
    answer = await begin(client, bundle, rules)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def wanted(client: httpx.AsyncClient) -> dict[str, Any]:
    return (await client.get("/v1/bundles")).json()["wanted"]


def last(promotion: dict[str, Any]) -> dict[str, Any]:
    return promotion["decisions"][-1]


def breached(promotion: dict[str, Any]) -> list[str]:
    findings = last(promotion)["findings"]
    return [one["rule"] for one in findings if one["state"] == "breached"]


async def test_a_good_candidate_reaches_everybody_step_by_step(
    shop: Shop, shelf: dict[str, Path]
) -> None:
    good, serving = shelf["good"].name, shelf["serving"].name
    await begun(shop.client, shelf["good"])

    await shop.comes_to("canary", 3_000)
    seen: list[dict[str, str]] = []
    for share_bp, following in ((3_000, ("canary", 5_000)), (5_000, ("full", 0))):
        bundles: dict[str, str] = {}
        for number in range(N_CUSTOMERS):
            await shop.visit(number)
            # Where visits are slow it may go on by those of the stage before.
            if (await shop.promotion())["share_bp"] != share_bp:
                break
            bundles[f"c{number}"] = shop.bundles[f"c{number}"]
        seen.append(bundles)
        await shop.comes_to(*following)

    promotion = await shop.promotion()
    stages = [(one["stage"], one["share_bp"]) for one in promotion["decisions"]]
    assert stages == [
        ("shadow", 0),
        ("estimate", 0),
        ("interleaving", 10_000),
        ("canary", 3_000),
        ("canary", 5_000),
        ("full", 0),
    ]
    for bundles, p in zip(seen, (0.3, 0.5), strict=True):
        n = sum(bundle == good for bundle in bundles.values())
        assert abs(n - len(bundles) * p) <= 5 * math.sqrt(len(bundles) * p * (1 - p))
    # Whoever saw the candidate at the smaller share sees it at the larger one.
    assert all(bundle == good for one, bundle in seen[1].items() if seen[0].get(one) == good)
    figures = {one["rule"]: one["found"] for one in last(promotion)["findings"]}
    assert figures["min_units"] >= 50
    assert figures["conversion"] is not None
    now = await wanted(shop.client)
    assert (now["active"], now["previous"], now["shadow"]) == (good, serving, None)
    assert (await shop.ask("visitor"))["bundle"] == good
    assert (await shop.ask("c1"))["assignments"] == []
    # A night that began before took the earlier bundle for the one that serves.
    nightly = {"bundle": serving, "spare_promotion": True}
    spared = await shop.client.put("/v1/bundles/active", json=nightly)
    assert (spared.status_code, spared.json()["code"]) == (409, "promotion_spared")
    assert (await wanted(shop.client))["active"] == good


@pytest.mark.parametrize("explored_share", [0.02])
async def test_of_the_usual_exploration_no_estimate_is_waited_for(
    shop: Shop, shelf: dict[str, Path]
) -> None:
    await begun(shop.client, shelf["good"], PATIENT)

    shared = await shop.comes_to("interleaving", 10_000)

    (estimate,) = [one for one in last(shared)["findings"] if one["rule"] == "estimate"]
    assert estimate["state"] == "held"
    assert "2.0% of answers are drawn by chance, below 10.0%" in estimate["said"]


@pytest.mark.parametrize(
    ("explored_share", "default"), [(1.0, {}), (0.0, {"exploration": {**DRAWN, "share": 0.5}})]
)
async def test_an_estimate_is_waited_for_where_the_service_or_the_plan_draws_enough_answers(
    shop: Shop, shelf: dict[str, Path], default: dict[str, Any]
) -> None:
    put = await shop.client.put(PLAN, json={"default": default})
    assert put.is_success, put.text
    await begun(shop.client, shelf["good"])

    await shop.comes_to("estimate")
    found = (await shop.client.get(f"{URL}/1")).json()["findings"]

    said = {one["rule"]: (one["state"], one["said"]) for one in found}
    assert said["estimate"] == ("open", "no off-policy estimate was submitted yet")


async def test_a_reversed_order_is_stopped_in_shadow(shop: Shop, shelf: dict[str, Path]) -> None:
    await begun(shop.client, shelf["reversed"])

    stopped = await shop.comes_to("stopped")

    assert breached(stopped) == ["min_overlap"]
    assert [one["stage"] for one in stopped["decisions"]] == ["shadow", "stopped"]
    assert (await wanted(shop.client))["shadow"] is None


async def test_a_candidate_that_fails_is_stopped_in_shadow(
    shop: Shop, shelf: dict[str, Path]
) -> None:
    """Everybody sees an order that it does not know."""
    await shop.client.put(PLAN, json={"default": {"order_by": "content"}})
    await begun(shop.client, shelf["lacking"])

    stopped = await shop.comes_to("stopped")

    assert breached(stopped) == ["max_failed"]
    assert [one["stage"] for one in stopped["decisions"]] == ["shadow", "stopped"]


async def test_customers_who_buy_less_stop_a_canary_and_all_see_the_serving_bundle_again(
    shop: Shop, shelf: dict[str, Path]
) -> None:
    await begun(shop.client, shelf["reversed"], BLIND)

    await shop.comes_to("canary", 3_000)
    for number in range(N_CUSTOMERS):
        await shop.visit(number)
    assert set(shop.bundles.values()) == {shelf["serving"].name, shelf["reversed"].name}
    stopped = await shop.comes_to("stopped")

    assert breached(stopped) == ["conversion"]
    assert "conversion changes by -" in last(stopped)["reason"]
    for number in range(N_CUSTOMERS):
        assert (await shop.ask(f"c{number}"))["bundle"] == shelf["serving"].name
    assert (await wanted(shop.client))["active"] == shelf["serving"].name
    # What came of it stays readable.
    results = await shop.client.get("/v1/experiments/promotion-1/results")
    assert results.status_code == 200, results.text


async def test_customers_who_see_both_orders_stop_the_worse_one_before_any_canary(
    shop: Shop, shelf: dict[str, Path]
) -> None:
    await begun(shop.client, shelf["reversed"], PATIENT)

    await shop.comes_to("interleaving", 10_000)
    for number in range(N_CUSTOMERS // 5):
        await shop.visit(number)
    running = (await shop.client.get(PLAN)).json()["experiments"][0]
    results = "/v1/experiments/promotion-1-interleaving/results"
    stopped = await shop.comes_to("stopped")
    found = await shop.client.get(results)

    assert breached(stopped) == ["overall"]
    assert "customers prefer it by overall: -" in last(stopped)["reason"]
    assert [one["stage"] for one in stopped["decisions"]][-2:] == ["interleaving", "stopped"]
    assert running["kind"] == "interleaving"
    # The serving bundle answers, in every slate and after the end.
    assert set(shop.bundles.values()) == {shelf["serving"].name}
    assert found.status_code == 200, found.text
    # Read as the promotion reads it, not by windows of a week.
    assert found.json()["rules"]["window_hours"] == SHARED["window_hours"]
    assert found.json()["verdict"].startswith("Customers prefer serving to candidate: of ")
    after = await shop.ask("c1")
    assert (after["assignments"], after["degraded"]) == ([], None)
    assert (await wanted(shop.client))["active"] == shelf["serving"].name


async def test_a_promotion_is_stopped_by_one_call(shop: Shop, shelf: dict[str, Path]) -> None:
    await begun(shop.client, shelf["good"])
    await shop.comes_to("canary", 3_000)

    answer = await shop.client.post(f"{URL}/1/stop", json={"reason": "wrong prices"})
    stopped = await shop.comes_to("stopped")

    assert (answer.status_code, answer.json()["stage"]) == (200, "stopped")
    assert last(stopped)["reason"] == "wrong prices"
    assert {(await shop.ask(f"c{n}"))["bundle"] for n in range(50)} == {shelf["serving"].name}
    again = await shop.client.post(f"{URL}/1/stop", json={"reason": "again"})
    assert (again.status_code, again.json()["code"]) == (409, "promotion_refused")


async def test_a_stop_that_is_made_twice_leaves_the_results_readable(
    shop: Shop, shelf: dict[str, Path], stores: Stores
) -> None:
    """As when its worker dies after it ended the experiment, and before it says so."""
    await begun(shop.client, shelf["good"], PATIENT)
    await shop.comes_to("interleaving", 10_000)
    await shop.client.post(f"{URL}/1/stop", json={"reason": "wrong prices"})
    await shop.comes_to("stopped")
    ended = (await shop.client.get(PLAN)).json()
    stored = await stores.promotions.read()
    assert stored is not None

    again = StoredPromotion(stored.version + 1, stored.promotion.unsettled())
    await stores.promotions.change(again, before=stored.version)
    await shop.comes_to("stopped")

    (experiment,) = ended["experiments"]
    assert experiment["name"] == "promotion-1-interleaving"
    assert experiment["ends_at"] is not None
    assert (await shop.client.get(PLAN)).json() == ended


async def test_an_exposure_names_the_side_of_the_canary(shop: Shop, shelf: dict[str, Path]) -> None:
    await begun(shop.client, shelf["good"])
    await shop.comes_to("canary", 3_000)

    for number in range(40):
        body = await shop.ask(f"c{number}")
        sides = {one["variant"] for one in body["assignments"]}
        expected = shelf["good"].name if sides == {"candidate"} else shelf["serving"].name
        assert body["bundle"] == expected
    await shop.client.post(f"{URL}/1/stop", json={"reason": "enough"})
    audit = (await shop.client.get("/v1/experiments/audit")).json()["items"]
    assert "promotion 1, " in audit[-1]["who"]


async def test_an_estimate_is_waited_for_where_answers_are_drawn(
    shop: Shop, shelf: dict[str, Path]
) -> None:
    explored = {"default": {"exploration": EXPLORED}}
    assert (await shop.client.put(PLAN, json=explored)).status_code == 200
    blind = BLIND | {"estimate": {"estimator": "dr", "margin": 0.1}}
    await begun(shop.client, shelf["good"], blind)
    waiting = await shop.comes_to("estimate")
    worse = {
        "bundle": shelf["good"].name,
        "logged": {"value": 0.2, "low": 0.19, "high": 0.21, "n": 900},
        "difference": {"dr": {"value": -0.08, "low": -0.1, "high": -0.06, "n": 900}},
        "support": {"n_rounds": 900},
    }

    other = await shop.client.put(f"{URL}/1/estimate", json=worse | {"bundle": "b9"})
    handed = await shop.client.put(f"{URL}/1/estimate", json=worse)
    stopped = await shop.comes_to("stopped")

    assert (waiting["stage"], handed.status_code) == ("estimate", 200)
    assert (other.status_code, other.json()["code"]) == (409, "promotion_refused")
    assert breached(stopped) == ["estimate"]


async def test_what_cannot_begin_says_why_and_changes_nothing(
    shop: Shop, shelf: dict[str, Path]
) -> None:
    codes: dict[str, str] = {}
    for name in ("serving", "liar"):
        answer = await begin(shop.client, shelf[name])
        codes[name] = answer.json()["code"]
    unknown = await begin(shop.client, Path("20990101T000000-000000000000"))
    falling = RULES | {"canary": {"shares_bp": [500, 100]}}
    malformed = await begin(shop.client, shelf["good"], falling)

    assert codes == {"serving": "promotion_refused", "liar": "bundle_refused"}
    assert (unknown.status_code, malformed.status_code) == (404, 422)
    assert (await shop.client.get(URL)).json() == {"items": []}
    assert (await wanted(shop.client))["active"] is None


async def test_another_promotion_waits_for_the_end_of_the_first(
    shop: Shop, shelf: dict[str, Path]
) -> None:
    await begun(shop.client, shelf["good"])
    refused = await begin(shop.client, shelf["lacking"])
    await shop.client.post(f"{URL}/1/stop", json={"reason": "enough"})
    await shop.comes_to("stopped")

    second = await begun(shop.client, shelf["lacking"])

    assert (refused.status_code, second["number"]) == (409, 2)
    listed = (await shop.client.get(URL)).json()["items"]
    assert [(one["number"], one["stage"]) for one in listed] == [(2, "shadow"), (1, "stopped")]


async def test_an_experiment_on_bundles_leaves_no_room_for_a_canary(
    shop: Shop, shelf: dict[str, Path]
) -> None:
    own = [{"name": "popularity", "share_bp": 10_000, "policy": {"bundle": shelf["lacking"].name}}]
    await shop.client.put(PLAN, json={"layers": [LAYER]})
    await shop.client.put("/v1/experiments/order", json=terms(variants=own))

    answer = await begin(shop.client, shelf["good"])

    assert (answer.status_code, answer.json()["code"]) == (409, "plan_refused")
    assert "put them into one layer" in answer.json()["detail"]


async def test_where_an_interleaving_has_no_room_the_canary_follows(
    shop: Shop, shelf: dict[str, Path]
) -> None:
    """An experiment on exploration excludes an interleaving, and no canary."""
    arms = [
        {"name": "certain", "share_bp": 5_000, "policy": {"exploration": None}},
        {"name": "drawn", "share_bp": 5_000, "policy": {"exploration": EXPLORED}},
    ]
    await shop.client.put(PLAN, json={"layers": [LAYER]})
    exploring = await shop.client.put(
        "/v1/experiments/draws", json=terms(control="certain", variants=arms)
    )
    assert exploring.status_code == 200, exploring.text

    await begun(shop.client, shelf["good"], PATIENT)
    promotion = await shop.comes_to("canary", 3_000)

    assert [one["stage"] for one in promotion["decisions"]][-2:] == ["interleaving", "canary"]
    assert last(promotion)["reason"].startswith("no interleaving: ")
    assert "draws" in last(promotion)["reason"]
    plan = (await shop.client.get(PLAN)).json()
    assert [one["name"] for one in plan["experiments"]] == ["draws", "promotion-1"]


async def test_a_nightly_activation_leaves_a_running_promotion_alone(
    shop: Shop, shelf: dict[str, Path]
) -> None:
    await begun(shop.client, shelf["good"])
    nightly = {"bundle": shelf["lacking"].name, "spare_promotion": True}

    spared = await shop.client.put("/v1/bundles/active", json=nightly)
    promotion = await shop.comes_to("canary", 3_000)
    again = await shop.client.put("/v1/bundles/active", json=nightly)

    assert [(one.status_code, one.json()["code"]) for one in (spared, again)] == [
        (409, "promotion_spared")
    ] * 2
    assert "promotion 1 runs" in spared.json()["detail"]
    assert breached(promotion) == []
    assert (await wanted(shop.client))["active"] == shelf["serving"].name
    await shop.client.post(f"{URL}/1/stop", json={"reason": "enough"})
    await shop.comes_to("stopped")
    done = await shop.client.put("/v1/bundles/active", json=nightly)
    assert done.json()["active"] == shelf["lacking"].name


async def test_another_activation_by_hand_stops_a_promotion(
    shop: Shop, shelf: dict[str, Path]
) -> None:
    await begun(shop.client, shelf["good"])
    await shop.client.put("/v1/bundles/active", json={"bundle": shelf["lacking"].name})

    stopped = await shop.comes_to("stopped")

    assert breached(stopped) == ["by_hand"]
    assert (await wanted(shop.client))["active"] == shelf["lacking"].name


async def test_an_emptied_store_goes_on_with_the_canary(
    shop: Shop, shelf: dict[str, Path], stores: Stores
) -> None:
    await begun(shop.client, shelf["good"])
    await shop.comes_to("canary", 3_000)
    before = (await shop.client.get(PLAN)).json()
    sales = (await stores.sales.changes(0)).sales

    await stores.connection.execute("FLUSHALL", doing="emptying the store")
    await stores.sales.put(sales)

    async with asyncio.timeout(60.0):
        while not (await stores.promotions.version() and await stores.plans.version()):
            await shop.client.get("/health/live")
        while (await shop.client.get(PLAN)).json() != before:
            pass
        while (await shop.client.get("/v1/recommendations")).json()["degraded"] is not None:
            pass
    again = await shop.comes_to("canary", 3_000)
    assert [one["stage"] for one in again["decisions"]] == [
        "shadow",
        "estimate",
        "interleaving",
        "canary",
    ]
    assert (await wanted(shop.client))["active"] == shelf["serving"].name
