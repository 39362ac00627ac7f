"""Covers: off unless the plan says so; chosen, recorded, named by clicks, and made again."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import pytest

from app.cli.replay import Replayer, replay_all
from app.stores.picture import LabelledPicture
from app.stores.store import Stores
from models.covers.cover_choice import CoverPolicy
from models.covers.cover_model import CoverModel
from models.domain.sale import PictureScores, Sale
from models.experiments.exposure import read_exposures
from models.pictures.image_statistics import STATISTICS
from models.scoring.bundle import read_bundle
from models.scoring.scorer import Scorer
from tests.api.test_interleaving import exported
from tests.bundles import choosing
from tests.plans import LAYER, terms

BEACH, ROOM = 2, 3
"""Numbers of the pictures that each sale has beside what the bundle knows."""
COVERS = CoverModel(
    axes=np.eye(128)[:, :2],
    common=np.array([0.0, 0.0, -9.0]),
    agreement=np.array([100.0, 100.0]),
    keys=np.empty(0, dtype=np.uint64),
    liking=np.empty(0),
)
"""The first picture is disliked; of the others taste alone decides."""
CHOSEN: Final = {"default": {"covers": {"temperature": 0.1, "even_share": 0.1}}}


@pytest.fixture(scope="module")
def chooser(tiny_bundle: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that knows which covers are liked."""
    return choosing(tiny_bundle[0], tmp_path_factory.mktemp("shelf"), covers=COVERS)


@pytest.fixture
def bundle(chooser: Path) -> Path:
    return chooser


@pytest.fixture
async def pictured(stores: Stores, stock: list[Sale], bundle: Path) -> None:
    """Each sale but the first has pictures of a beach and of a room."""
    scorer = Scorer.load(read_bundle(bundle))
    some = next(iter(scorer.pictures.values()))
    none = np.zeros(len(STATISTICS), dtype=np.float32)

    def scores(axis: int) -> PictureScores:
        vector = np.zeros(128, dtype=np.float32)
        vector[axis] = 1.0
        return PictureScores(some.probabilities, vector, none)

    await stores.sales.put_pictures(
        [
            LabelledPicture(sale.sale_id, scores(axis), scorer.scene_model, number=number)
            for sale in stock[1:]
            for axis, number in enumerate((BEACH, ROOM))
        ]
    )


async def asked(client: httpx.AsyncClient, customer: str) -> dict[str, Any]:
    answer = await client.get("/v1/recommendations", params={"customer_id": customer, "limit": 12})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def clicked(
    client: httpx.AsyncClient, customer: str, sale_ids: list[str], *, cover: int
) -> None:
    events = [
        {
            "event_id": f"{customer}-{sale_id}",
            "customer_id": customer,
            "type": "click",
            "sale_id": sale_id,
            "at": datetime.now(UTC).isoformat(),
            "cover": cover,
        }
        for sale_id in sale_ids
    ]
    posted = await client.post("/v1/events", json={"events": events})
    assert posted.json()["accepted"] == len(events), posted.text


@pytest.mark.usefixtures("pictured")
async def test_covers_are_the_shops_unless_the_plan_says_otherwise(
    client: httpx.AsyncClient,
) -> None:
    before = await asked(client, "c1")
    put = await client.put("/v1/plan", json=CHOSEN)
    assert put.status_code == 200, put.text
    after = await asked(client, "c1")

    assert {item["cover"] for item in before["items"]} == {None}
    assert [item["sale_id"] for item in after["items"]] == [
        item["sale_id"] for item in before["items"]
    ]
    assert {item["cover"] for item in after["items"]} & {BEACH, ROOM}


@pytest.mark.usefixtures("pictured")
@pytest.mark.parametrize("liked", [BEACH, ROOM])
async def test_a_click_on_a_cover_shows_the_next_sales_by_what_is_like_it(
    client: httpx.AsyncClient, stock: list[Sale], liked: int
) -> None:
    """0.95 of twelve sales are at least six but for one in a hundred thousand times."""
    await client.put("/v1/plan", json=CHOSEN)
    await clicked(client, "c1", [one.sale_id for one in stock[1:4]], cover=liked)

    covers = [item["cover"] for item in (await asked(client, "c1"))["items"]]

    assert covers.count(liked) > 6


@pytest.mark.usefixtures("pictured")
async def test_covers_are_recorded_with_their_propensities_and_made_again(
    client: httpx.AsyncClient, stores: Stores, replayer: Replayer, tmp_path: Path
) -> None:
    await client.put("/v1/plan", json=CHOSEN)
    answers = [await asked(client, f"c{number}") for number in range(5)]

    records = await exported(stores.connection, tmp_path / "out", n=5)
    again = replay_all(read_exposures(tmp_path / "out"), replayer)

    by_id = {one.recommendation_id: one for one in records}
    for answer in answers:
        record = by_id[answer["recommendation_id"]]
        shown = {item["rank"]: item["cover"] for item in answer["items"] if item["cover"]}
        assert record.covers is not None
        assert {one.rank: one.number for one in record.covers.shown} == shown
        assert all(0.1 / 9 <= one.propensity <= 1 for one in record.covers.shown)
        assert record.policy.covers == CoverPolicy.model_validate(CHOSEN["default"]["covers"])
    assert (again.equal, again.differing, again.impossible) == (5, {}, {})


@pytest.mark.usefixtures("pictured")
async def test_pages_have_covers_too(client: httpx.AsyncClient) -> None:
    await client.put("/v1/plan", json=CHOSEN)
    rows = [{"name": "one", "limit": 5}, {"name": "two", "limit": 5}]

    page = (await client.post("/v1/pages", json={"rows": rows})).json()

    covers = [item["cover"] for row in page["rows"] for item in row["items"]]
    assert len(covers) == 10
    assert set(covers) & {BEACH, ROOM}


@pytest.mark.usefixtures("pictured")
async def test_an_answer_has_the_numbers_of_the_pictures(
    client: httpx.AsyncClient, stock: list[Sale]
) -> None:
    """Each sale but the first has two beside the one that the bundle knows, if it knows one."""
    answer = await client.get("/v1/recommendations", params={"limit": 12, "fields": "pictures"})

    found = {one["sale_id"]: one["sale"]["pictures"] for one in answer.json()["items"]}
    first = found.pop(stock[0].sale_id)
    assert found
    assert all(one in ([BEACH, ROOM], [1, BEACH, ROOM]) for one in found.values())
    assert first in ([], [1])


async def test_a_variant_of_an_interleaving_may_not_choose_covers(
    client: httpx.AsyncClient,
) -> None:
    teams = [{"name": "a"}, {"name": "b", "policy": CHOSEN["default"]}]
    await client.put("/v1/plan", json={"layers": [LAYER]})

    put = await client.put(
        "/v1/experiments/both",
        json={**terms(), "kind": "interleaving", "control": "a", "variants": teams},
    )

    assert put.is_client_error
    assert "changes covers" in put.text


async def test_what_is_known_of_a_customer_has_the_covers_of_their_clicks(
    client: httpx.AsyncClient,
) -> None:
    await clicked(client, "c1", ["s1"], cover=4)
    plain = {"event_id": "e", "customer_id": "c1", "type": "view", "sale_id": "s2", "cover": 3}
    await client.post(
        "/v1/events", json={"events": [{**plain, "at": datetime.now(UTC).isoformat()}]}
    )

    known = (await client.get("/v1/customers/c1")).json()

    assert [(one["type"], one["cover"]) for one in known["events"]] == [
        ("click", 4),
        ("view", None),
    ]


async def test_an_event_names_one_of_nine_pictures(client: httpx.AsyncClient) -> None:
    event = {"event_id": "e1", "customer_id": "c1", "type": "click", "sale_id": "s", "cover": 10}
    posted = await client.post(
        "/v1/events", json={"events": [{**event, "at": datetime.now(UTC).isoformat()}]}
    )

    [result] = posted.json()["results"]
    assert result["status"] == "rejected"
    assert "cover" in result["detail"]
