import asyncio
import json
import os
from pathlib import Path
from typing import cast

import httpx
import numpy as np
import pytest

from app.bundles.bundle_repository import BundleRepository
from app.catalogue.model import Model
from app.settings import Settings
from app.stores.picture import LabelledPicture
from app.stores.store import Stores
from models.domain.sale import PictureScores
from models.neighbours.search import EMBEDDING_SIZE
from tests.bundles import dishonest, recalibrated, relabelled

URL = "/v1/bundles"
ASK = "/v1/recommendations?customer_id=c1"


@pytest.fixture(scope="module")
def root(tiny_bundle: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundles, of which one lies about its scores, and one will not fit a store's pictures."""
    root = tmp_path_factory.mktemp("shelf")
    (root / "first").write_text(recalibrated(tiny_bundle[0], root, shift=0.5).name)
    (root / "second").write_text(recalibrated(tiny_bundle[0], root, shift=1.0).name)
    (root / "bad").write_text(dishonest(tiny_bundle[0], root).name)
    (root / "misfit").write_text(relabelled(tiny_bundle[0], root, scene_model="misfit").name)
    return root


@pytest.fixture(scope="module")
def first(root: Path) -> str:
    return (root / "first").read_text()


@pytest.fixture(scope="module")
def second(root: Path) -> str:
    return (root / "second").read_text()


@pytest.fixture(scope="module")
def bad(root: Path) -> str:
    return (root / "bad").read_text()


@pytest.fixture(scope="module")
def misfit(root: Path) -> str:
    return (root / "misfit").read_text()


@pytest.fixture
def settings(settings: Settings, root: Path, first: str) -> Settings:
    return settings.model_copy(update={"bundles": root, "bundle": first, "deadline_ms": 5_000})


@pytest.fixture
def model(root: Path, first: str) -> Model:
    return BundleRepository(root, first).load(first)


async def answering(client: httpx.AsyncClient) -> str:
    return cast("str", (await client.get(ASK)).json()["bundle"])


def wanted(active: str | None, previous: str | None, shadow: str | None = None) -> object:
    return {"active": active, "previous": previous, "shadow": shadow}


async def test_bundles_are_listed_with_what_they_are(
    client: httpx.AsyncClient, first: str, second: str, bad: str, misfit: str
) -> None:
    answer = (await client.get(URL)).json()

    assert answer["wanted"] == wanted(None, None)
    assert {one["bundle"] for one in answer["bundles"]} == {first, second, bad, misfit}
    assert {one["fault"] for one in answer["bundles"]} == {None}
    awaiting = [one["bundle"] for one in answer["bundles"] if one["awaits_traffic"]]
    assert awaiting == [misfit]
    assert [one["active"] for one in answer["workers"]] == [first]


async def test_an_activated_bundle_answers_the_next_request(
    client: httpx.AsyncClient, first: str, second: str
) -> None:
    before = await answering(client)

    activated = await client.put(f"{URL}/active", json={"bundle": second})

    assert (activated.status_code, activated.json()) == (200, wanted(second, first))
    assert (before, await answering(client)) == (first, second)


async def test_a_rollback_is_one_call_and_two_are_none(
    client: httpx.AsyncClient, first: str, second: str
) -> None:
    await client.put(f"{URL}/active", json={"bundle": second})

    once = await client.post(f"{URL}/rollback")
    served = await answering(client)
    twice = await client.post(f"{URL}/rollback")

    assert (once.json(), served) == (wanted(first, second), first)
    assert (twice.json(), await answering(client)) == (wanted(second, first), second)


async def test_a_loaded_bundle_whose_files_were_damaged_is_not_activated_but_rolled_back_to(
    client: httpx.AsyncClient, root: Path, first: str, second: str
) -> None:
    """The worker holds it still; others that start later would not find it."""
    await client.put(f"{URL}/active", json={"bundle": second})
    file = max((root / first).iterdir(), key=lambda path: path.stat().st_size)
    whole, times = file.read_bytes(), file.stat()
    file.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    try:
        activated = await client.put(f"{URL}/active", json={"bundle": first})
        rolled_back = await client.post(f"{URL}/rollback")
        served = await answering(client)
        metrics = (await client.get("/metrics")).text
    finally:
        file.write_bytes(whole)
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))

    assert (activated.status_code, activated.json()["code"]) == (409, "bundle_refused")
    assert (rolled_back.status_code, served) == (200, first)
    assert 'vitrine_bundles_total{outcome="refused"} 1.0' in metrics


async def test_a_rollback_before_any_activation_says_so(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"{URL}/rollback")

    assert (answer.status_code, answer.json()["code"]) == (409, "no_previous_bundle")


async def test_a_bundle_that_does_not_reproduce_its_scores_is_refused_with_the_reason(
    client: httpx.AsyncClient, first: str, bad: str
) -> None:
    answer = await client.put(f"{URL}/active", json={"bundle": bad})

    assert (answer.status_code, answer.json()["code"]) == (409, "bundle_refused")
    assert "does not reproduce its own scores" in answer.json()["detail"]
    assert await answering(client) == first
    assert (await client.get(URL)).json()["wanted"] == wanted(None, None)
    assert 'bundles_total{outcome="refused"} 1.0' in (await client.get("/metrics")).text


async def unreadable_picture(stores: Stores) -> None:
    """A picture by the misfit's scene model, of more labels than its topics are made of."""
    scores = PictureScores(
        np.full(1_000, 0.001, np.float32),
        np.full(EMBEDDING_SIZE, 0.1, np.float32),
        np.full(4, 0.5, np.float32),
    )
    unknown = await stores.sales.put_pictures([LabelledPicture("alps", scores, "misfit")])
    assert not unknown


async def test_a_bundle_whose_catalogue_cannot_be_built_is_refused_and_nothing_changes(
    client: httpx.AsyncClient, stores: Stores, first: str, misfit: str
) -> None:
    await unreadable_picture(stores)
    answer = await client.put(f"{URL}/active", json={"bundle": misfit})
    while answer.status_code == 200:  # the picture was not followed yet
        await client.put(f"{URL}/active", json={"bundle": first})
        answer = await client.put(f"{URL}/active", json={"bundle": misfit})
    shadow = await client.put(f"{URL}/shadow", json={"bundle": misfit})

    assert (answer.status_code, answer.json()["code"]) == (409, "bundle_refused")
    assert (shadow.status_code, shadow.json()["code"]) == (409, "bundle_refused")
    assert await answering(client) == first


async def test_a_worker_that_cannot_build_what_others_want_says_so_and_follows_on(
    client: httpx.AsyncClient, stores: Stores, first: str, second: str, misfit: str
) -> None:
    await unreadable_picture(stores)
    await stores.bundles.activate(misfit, instead_of=first)
    await stores.bundles.shadow(misfit)
    worker: dict[str, str | None] = {"failure": None}
    async with asyncio.timeout(60.0):
        while worker["failure"] is None:
            [worker] = (await client.get(URL)).json()["workers"]

    await stores.bundles.activate(second, instead_of=first)

    assert f"bundle {misfit} is refused" in (worker["failure"] or "")
    assert worker["active"] == first
    async with asyncio.timeout(60.0):
        while await answering(client) != second:
            pass


@pytest.mark.parametrize("unknown", ["20990101T000000-000000000000", "../first", "first"])
async def test_an_unknown_bundle_is_not_found(client: httpx.AsyncClient, unknown: str) -> None:
    answer = await client.put(f"{URL}/active", json={"bundle": unknown})

    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_bundle")


async def test_what_another_worker_activated_answers_here_a_poll_later(
    client: httpx.AsyncClient, stores: Stores, first: str, second: str
) -> None:
    await stores.bundles.activate(second, instead_of=first)

    async with asyncio.timeout(60.0):
        while await answering(client) != second:
            pass


async def test_what_another_worker_wants_and_this_one_cannot_load_shows(
    client: httpx.AsyncClient, stores: Stores, first: str, bad: str
) -> None:
    await stores.bundles.activate(bad, instead_of=first)

    worker: dict[str, str | None] = {"failure": None}
    async with asyncio.timeout(60.0):
        while worker["failure"] is None:
            [worker] = (await client.get(URL)).json()["workers"]

    assert "does not reproduce its own scores" in worker["failure"]
    assert (worker["active"], await answering(client)) == (first, first)


async def test_an_emptied_store_is_told_again_what_shall_answer(
    client: httpx.AsyncClient, stores: Stores, first: str, second: str
) -> None:
    await client.put(f"{URL}/active", json={"bundle": second})

    await stores.connection.execute("FLUSHALL", doing="emptying the store")

    async with asyncio.timeout(60.0):
        while (await client.get(URL)).json()["wanted"] != wanted(second, first):
            pass


async def test_a_shadow_scores_what_was_answered_and_answers_nothing(
    client: httpx.AsyncClient, first: str, second: str
) -> None:
    """The shadow's log-odds lie higher by a half, so its order is the same."""
    shadowed = await client.put(f"{URL}/shadow", json={"bundle": second})

    metrics = ""
    async with asyncio.timeout(60.0):
        while 'shadow_answers_total{outcome="scored"}' not in metrics:
            assert await answering(client) == first
            metrics = (await client.get("/metrics")).text

    ended = await client.delete(f"{URL}/shadow")
    assert shadowed.json() == wanted(None, None, second)
    assert ended.json() == wanted(None, None)
    assert "vitrine_shadow_overlap_sum 1.0" in metrics
    higher, lower = (
        float(metrics.split(f'probability_sum{{role="{role}"}} ')[1].split()[0])
        for role in ("shadow", "champion")
    )
    assert higher > lower


async def test_the_card_of_a_bundle_is_what_training_wrote(
    client: httpx.AsyncClient, root: Path, first: str
) -> None:
    answer = await client.get(f"{URL}/{first}/card")

    assert answer.json() == json.loads((root / first / "model_card.json").read_text())
    assert answer.json()["held_out"]["n_lists"] > 0


async def test_a_bundle_without_a_true_card_has_none(
    client: httpx.AsyncClient, root: Path, second: str
) -> None:
    unknown = await client.get(f"{URL}/nowhere/card")
    path = root / second / "model_card.json"
    whole = path.read_bytes()
    path.write_bytes(whole[:-2])
    damaged = await client.get(f"{URL}/{second}/card")
    path.write_bytes(whole)

    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_bundle")
    assert (damaged.status_code, damaged.json()["code"]) == (409, "bundle_refused")
