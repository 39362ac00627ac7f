"""Time until a picture is labelled over HTTP, and until both workers recommend its sale.

Method: a small simulated shop, two workers and the embedded store, real HTTP on loopback; beside it
so many closed sales with a picture vector each, as a shop has that never forgets one. Labelling is
a PUT of a JPEG, one at a time. Visible is the first of 12 answers in a row, each over a new
connection, that all hold the new sale, timed from the acknowledgement of its picture.

Last numbers: docs/scenes.md. Built upon the one before, a catalogue with one changed sale and
picture takes 12 ms of processor time at 338 sales and 119 ms at 10,000; from nothing 18 ms and
1.5 s.
"""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest

from app.stores.connection import Connection
from app.stores.embedded import embedded_server
from app.stores.picture import LabelledPicture
from app.stores.store import Stores
from models.domain.sale import PictureScores, Sale
from models.neighbours.search import EMBEDDING_SIZE
from models.pictures.image_statistics import STATISTICS
from models.pictures.scene_labeller import SceneLabeller
from models.scoring.bundle import read_bundle
from tests.end_to_end.service import serving
from tests.end_to_end.test_registration import seen_by

N_PICTURES = 100
N_SALES = 20
FIRST_BUILD_S = 20.0


def percentiles_ms(times: list[float]) -> str:
    """Format a sample of seconds."""
    return " ".join(f"p{q}={np.percentile(times, q) * 1e3:.1f}" for q in (50, 95)) + " ms"


def visible_after_s(url: str, sale_id: str) -> float:
    """Wait until every worker recommends a sale, and return how long it took."""
    started, in_a_row = time.perf_counter(), 0
    first = started
    while in_a_row < 12:
        if sale_id in seen_by(url):
            first = first if in_a_row else time.perf_counter()
            in_a_row += 1
        else:
            in_a_row = 0
    return first - started


async def fill(url: str, bundle: Path, n_closed: int) -> None:
    """Put closed sales into a store, with vectors around a few hundred scenes."""
    rng = np.random.default_rng(1)
    n_labels = len(SceneLabeller.open(bundle).labels)
    scene_model = read_bundle(bundle).manifest.scene_model
    scenes = rng.normal(size=(300, EMBEDDING_SIZE))
    opens_at = datetime.now(UTC) - timedelta(days=30)
    closes_at = opens_at + timedelta(days=9)
    sales: list[Sale] = []
    pictures: list[LabelledPicture] = []
    for number in range(n_closed):
        sale_id = f"closed-{number}"
        sales.append(Sale(sale_id=sale_id, opens_at=opens_at, closes_at=closes_at))
        vector = scenes[number % 300] + 0.7 * rng.normal(size=EMBEDDING_SIZE)
        vector /= np.sqrt(np.square(vector).sum())
        labels = rng.dirichlet(np.full(n_labels, 0.1))
        look = rng.random(len(STATISTICS), dtype=np.float32)
        scores = PictureScores(labels.astype(np.float32), vector.astype(np.float32), look)
        pictures.append(LabelledPicture(sale_id, scores, scene_model))
    stores = Stores.over(Connection.open(url))
    await stores.sales.put(sales)
    await stores.sales.put_pictures(pictures)
    await stores.server.close()


@pytest.mark.parametrize("n_closed", [300, 10_000])
def test_registration(tmp_path: Path, tiny_bundle: tuple[Path, Path], n_closed: int) -> None:
    """Print the percentiles."""
    bundle, data = tiny_bundle
    picture = next((data / "images").rglob("*.jpg")).read_bytes()
    body = {"opens_at": (datetime.now(UTC) - timedelta(hours=1)).isoformat()}
    headers = {"content-type": "image/jpeg"}
    labelling: list[float] = []
    visible: list[float] = []
    with serving(tmp_path, "--bundle", str(bundle), "--workers", "2") as service:
        service.wait_until("/health/ready", status=200)
        with embedded_server(tmp_path / "state") as url:
            asyncio.run(fill(url, bundle, n_closed))
        time.sleep(FIRST_BUILD_S)
        with httpx.Client(base_url=f"{service.url}/v1/sales", timeout=30) as client:
            for number in range(N_PICTURES):
                client.put(f"/new-{number}", json=body).raise_for_status()
                started = time.perf_counter()
                put = client.put(f"/new-{number}/image", content=picture, headers=headers)
                labelling.append(time.perf_counter() - started)
                put.raise_for_status()
                if number < N_SALES:
                    visible.append(visible_after_s(service.url, f"new-{number}"))
    print(
        f"\n{n_closed} closed sales; labelling, {len(picture)} bytes: {percentiles_ms(labelling)}"
    )
    print(f"recommended by both workers after: {percentiles_ms(visible)}")
