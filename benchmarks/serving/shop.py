"""A shop with a given number of open sales, for one trained bundle.

The simulated shop's own sales are closed, and windows still name them. Those that are open
are copies of them under new ids, at the prices of other ones, with pictures that are like theirs.
"""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from app.stores.embedded import embedded_server
from app.stores.picture import LabelledPicture
from app.stores.store import Stores
from models.domain.sale import PictureScores, Sale
from models.scoring.bundle import read_bundle
from models.scoring.scorer import Scorer
from tests.end_to_end.service import run
from tests.worlds import END_US, train_bundle
from training.simulator.creation import create_world
from training.simulator.parameters import WORLDS
from training.simulator.period import Period

TIMEOUT_S: Final = 600.0
N_CUSTOMERS: Final = 600
# Part of a picture vector that is noise: copies are as alike as pictures of one kind of scene.
NOISE: Final = 0.5


def make_bundle(folder: Path) -> Path:
    """Simulate a shop below a folder and train a bundle on it, unless that is done; return it."""
    root = folder / "bundles"
    data = folder / "data"
    if not data.exists():
        period = Period.ending(END_US, 10)
        create_world(data, WORLDS["standard"], period=period, n_customers=N_CUSTOMERS, seed=1)
    found = sorted(root.glob("*/manifest.json"))
    return found[0].parent if found else train_bundle(data, root, cache=folder / "cache")


def customers(folder: Path) -> list[str]:
    """Return the ids of the customers of a shop."""
    return pl.read_parquet(folder / "data" / "customers.parquet")["customer_id"].to_list()


def fill(folder: Path, bundle: Path, n_sales: int) -> Path:
    """Load a store with the shop's events and so many open sales; return its directory."""
    state = folder / f"state-{n_sales}"
    if state.exists():
        return state
    arguments = ["--data", str(folder / "data"), "--bundle", str(bundle)]
    loaded = run("app", "load", *arguments, VITRINE_STATE_DIR=str(state))
    assert loaded.returncode == 0, loaded.stderr
    with embedded_server(state) as url:
        asyncio.run(_put_copies(url, bundle, n_sales))
    return state


async def _put_copies(url: str, bundle: Path, n_sales: int) -> None:
    rng = np.random.default_rng(2)
    loaded = read_bundle(bundle)
    snapshot, model = Scorer.load(loaded).snapshot, loaded.manifest.scene_model
    now = datetime.now(UTC)
    drawn: list[list[int]] = rng.integers(len(snapshot.sales), size=(n_sales, 2)).tolist()
    sales: list[Sale] = []
    pictures: list[LabelledPicture] = []
    for number, (place, other) in enumerate(drawn):
        like, priced = snapshot.sales[place], snapshot.sales[other]
        changes = {
            "sale_id": f"open-{number}",
            "price": priced.price,
            "original_price": priced.original_price,
            "opens_at": now - timedelta(hours=float(rng.uniform(1, 100))),
            "closes_at": now + timedelta(days=float(rng.uniform(20, 30))),
            "sold_out_at": None,
        }
        sales.append(like.model_copy(update=changes))
        scores = snapshot.pictures.get(like.sale_id)
        if scores is not None:
            pictures.append(LabelledPicture(f"open-{number}", _alike(scores, rng), model))
    over = [
        sale.model_copy(update={"closes_at": now - timedelta(minutes=1)})
        for sale in snapshot.sales
        if sale.opens_at < now - timedelta(hours=1)
        and (sale.closes_at is None or sale.closes_at > now)
    ]
    stores = Stores.open(url, timeout_s=TIMEOUT_S)
    await stores.sales.put([*sales, *over])
    await stores.sales.put_pictures(pictures)
    for sale in snapshot.sales:
        if sale.opens_at >= now - timedelta(hours=1):
            await stores.sales.delete(sale.sale_id)
    await stores.server.close()


def _alike(scores: PictureScores, rng: np.random.Generator) -> PictureScores:
    length = np.sqrt(np.square(scores.embedding).sum())
    noise = rng.normal(size=len(scores.embedding)) / np.sqrt(len(scores.embedding))
    vector = scores.embedding + NOISE * length * noise
    vector *= length / max(np.sqrt(np.square(vector).sum()), 1e-9)
    cover = next(iter(scores.each.values()))
    return replace(cover, embedding=vector.astype(np.float32), content="")
