"""Answers of a large catalogue, made again from exported files to the bit."""

import itertools
from pathlib import Path

import httpx
import polars as pl
import pytest

from app.catalogue.model import Model
from app.resources import SNAPSHOTS
from app.settings import Settings
from app.stores.store import Stores
from models.dataset import read_dataset
from models.domain.sale import Sale
from models.scoring.first_stage import RANKED_IN_FULL
from tests.api.test_interleaving import exported
from tests.builders import scorer
from tests.shop import sale
from tests.worlds import Silent
from training.checks.parity import OfflineRows

N_SALES = RANKED_IN_FULL + 200
N_CUSTOMERS = 4
RULES = [
    {"name": "pin", "where": 'sale_id == "s7"', "action": {"kind": "pin", "rank": 2}},
    {"name": "bound", "action": {"kind": "at_most", "n": 1, "per": "category"}},
]


@pytest.fixture
def stock() -> list[Sale]:
    """More open sales than are ranked in full, of forty categories and many prices."""
    return [
        sale(f"s{number}", category=f"c{number % 40}", price=50.0 + number % 977)
        for number in range(N_SALES)
    ]


@pytest.fixture
def model(stock: list[Sale]) -> Model:
    """Trees and all recommenders."""
    return Model(scorer=scorer(stock))


async def answered(client: httpx.AsyncClient) -> int:
    """Ask for customers with and without a past, with and without rules; return how often."""
    n_answers = 0
    for rules, number in itertools.product([[], RULES], range(N_CUSTOMERS)):
        plan = {"default": {"rules": rules}}
        assert (await client.put("/v1/plan", json=plan)).status_code == 200
        events = [
            {"customer_id": f"c{number}", "type": kind, "sale_id": f"s{100 * number + place}"}
            for place, kind in enumerate(["impression", "view", "click", "purchase"][:number])
        ]
        if events:
            assert (await client.post("/v1/events", json={"events": events})).status_code == 200
        for customer in (f"c{number}", f"new{number}"):
            found = await client.get(f"/v1/recommendations?customer_id={customer}&limit=10")
            assert found.json()["degraded"] is None, found.text
            assert len(found.json()["items"]) == 10
            n_answers += 1
    return n_answers


async def test_shortlists_of_exported_answers_are_those_of_the_service_to_the_bit(
    client: httpx.AsyncClient,
    stores: Stores,
    stock: list[Sale],
    model: Model,
    settings: Settings,
    tmp_path: Path,
) -> None:
    """The hash of the features is that of the shortlist: which sales, in which order, and what."""
    assert model.scorer is not None
    n_answers, out = await answered(client), tmp_path / "out"
    records = await exported(stores.connection, out, n=n_answers)
    named = ("sale_id", "category", "price", "opens_at", "closes_at")
    columns = {name: [getattr(one, name) for one in stock] for name in named}
    pl.DataFrame(columns).write_parquet(out / "sales.parquet")

    dataset = read_dataset(out, as_received=True)
    rows = OfflineRows(dataset, model.scorer, settings.state_dir / SNAPSHOTS)
    again = rows.compare(records, Silent())

    assert (again.differing, again.other_counts) == ((), ())
    assert {*again.equal} == {one.recommendation_id for one in records}
    assert len({one.feature_hash for one in records}) == n_answers
