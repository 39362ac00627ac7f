"""Labels follow the content of a file: replaced pictures, and ids that are used again."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from app.catalogue.model import Model
from app.cli.console import Progress
from app.cli.fill_store import LoadSummary, fill_from_dataset
from app.stores.store import Stores
from models.catalogue.snapshot import Snapshot
from models.dataset import read_dataset
from models.domain.sale import Sale
from models.pictures.scene_labeller import DESCRIPTION_FILE, GRAPH_FILE, SceneLabeller
from models.scoring.bundle import read_bundle, read_manifest, write_bundle
from models.scoring.scorer import SNAPSHOT_FILE
from tests.bundles import DRAFT
from tests.datasets import event, sale, write_dataset
from tests.scenes import colour_labeller
from tests.shop import scorer
from training.scenes.picture_scores import score_pictures

SALE = "/v1/sales/s1"


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures by colour, and a labeller that tells them apart."""
    root = tmp_path_factory.mktemp("colours")
    colour_labeller(root)
    return root


@pytest.fixture
def data(tmp_path: Path, colours: Path) -> Path:
    """A sale with a red picture."""
    folder = write_dataset(
        tmp_path / "shop", sales=[sale(image="one.png")], events=[event(at="2025-01-02T00:00:00Z")]
    )
    show(folder, colours, "red")
    return folder


@pytest.fixture
def snapshot(data: Path, colours: Path, tmp_path: Path) -> Snapshot:
    """What a training on the data knows."""
    labeller = SceneLabeller.open(colours / "model")
    images = read_dataset(data).images
    pictures = score_pictures(images, labeller, cache=tmp_path / "cache")
    one = Sale(sale_id="s1", opens_at=datetime(2025, 1, 1, tzinfo=UTC))
    return Snapshot.from_sales({"s1": one}, pictures)


@pytest.fixture
def snapshot_bundle(snapshot: Snapshot, colours: Path, tmp_path: Path) -> Path:
    names = (GRAPH_FILE, DESCRIPTION_FILE)
    files = {name: (colours / "model" / name).read_bytes() for name in names}
    manifest = DRAFT.model_copy(update={"recommenders": [], "scene_model": "colours"})
    return write_bundle(
        tmp_path / "bundles", manifest, files={**files, SNAPSHOT_FILE: snapshot.to_bytes()}
    )


@pytest.fixture
def model(snapshot: Snapshot, colours: Path) -> Model:
    return Model(
        scorer=dataclasses.replace(scorer(), scene_model="colours", snapshot=snapshot),
        labeller=SceneLabeller.open(colours / "model"),
    )


def show(data: Path, colours: Path, colour: str) -> None:
    """Put a picture of a colour under the one name."""
    (data / "images").mkdir(exist_ok=True)
    content = (colours / f"pictures/{colour}/00.png").read_bytes()
    (data / "images" / "one.png").write_bytes(content)


async def loaded(data: Path, stores: Stores, bundle: Path) -> LoadSummary:
    return await fill_from_dataset(
        read_dataset(data), stores, bundle=bundle, state_dir=data, progress=Progress()
    )


async def label(client: httpx.AsyncClient) -> str:
    return (await client.get(SALE)).json()["picture"]["labels"][0]["label"]


async def test_a_picture_replaced_under_its_name_is_labelled_once_and_shown(
    client: httpx.AsyncClient, stores: Stores, data: Path, snapshot_bundle: Path, colours: Path
) -> None:
    """The one that was replaced may come back, too."""
    counts = [(await loaded(data, stores, snapshot_bundle)).pictures]
    for colour in ("blue", "red"):
        show(data, colours, colour)
        counts += [(await loaded(data, stores, snapshot_bundle)).pictures for _ in range(2)]
        assert await label(client) == colour

    assert counts == [0, 1, 0, 1, 0]


async def test_what_was_put_or_removed_over_http_outlasts_a_load_of_the_same_file(
    client: httpx.AsyncClient, stores: Stores, data: Path, snapshot_bundle: Path, colours: Path
) -> None:
    await loaded(data, stores, snapshot_bundle)
    green = (colours / "pictures/green/00.png").read_bytes()
    put = await client.put(f"{SALE}/image", content=green, headers={"content-type": "image/png"})
    after_put = await loaded(data, stores, snapshot_bundle), await label(client)
    removed = await client.delete(f"{SALE}/images/1")

    after_removal = await loaded(data, stores, snapshot_bundle)

    assert (put.status_code, removed.status_code) == (200, 204)
    assert (after_put[0].pictures, after_put[1], after_removal.pictures) == (0, "green", 0)
    assert (await client.get(SALE)).json()["picture"] is None


async def test_an_id_used_again_shows_no_picture_of_the_sale_before(
    client: httpx.AsyncClient, stores: Stores, data: Path, snapshot_bundle: Path
) -> None:
    """Until its own is there; a load labels the file of that name for the new sale."""
    await loaded(data, stores, snapshot_bundle)
    await client.delete(SALE)
    body = {"title": "Another sale", "opens_at": "2025-05-01T00:00:00Z"}

    created = await client.put(SALE, json=body)

    bare = (await client.get(SALE)).json()["picture"]
    counts = [(await loaded(data, stores, snapshot_bundle)).pictures for _ in range(2)]
    assert (created.status_code, bare, counts) == (201, None, [1, 0])
    assert await label(client) == "red"


async def test_labels_of_a_bundle_without_hashes_are_of_the_files_of_the_first_load(
    stores: Stores,
    data: Path,
    snapshot_bundle: Path,
    snapshot: Snapshot,
    colours: Path,
    tmp_path: Path,
) -> None:
    """An older software wrote it: what is replaced from then on is labelled."""
    unhashed = {
        sale_id: dataclasses.replace(scores, content="")
        for sale_id, scores in snapshot.pictures.items()
    }
    older = Snapshot.from_sales({one.sale_id: one for one in snapshot.sales}, unhashed)
    written = write_bundle(
        tmp_path / "older",
        read_manifest(snapshot_bundle),
        files={**read_bundle(snapshot_bundle).files, SNAPSHOT_FILE: older.to_bytes()},
    )

    counts = [(await loaded(data, stores, written)).pictures for _ in range(2)]
    show(data, colours, "blue")
    counts += [(await loaded(data, stores, written)).pictures for _ in range(2)]

    assert counts == [0, 0, 1, 0]
