"""Every column that was sent is named, with what it is used for or why it is not."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.catalogue.attributes import AttributeColumns
from models.dataset import read_dataset
from models.features.attributes import AttributeFeatures
from models.features.schema import FeatureSchema
from models.ranker.objective import TrainingObjective
from models.recommenders.content_encoder import Projection
from models.recommenders.content_preference import ContentPreference
from tests.builders import scorer
from tests.datasets import event, sale, write_csv, write_dataset
from tests.logs import catalogue
from training.configuration import RunConfig
from training.pipeline.column_uses import ColumnUse, column_uses, uses_to_bytes
from training.recommenders.content_encoder import fit_encoder


def uses_of(folder: Path, config: RunConfig) -> dict[tuple[str, str], ColumnUse]:
    # Each brand has two sales, of which one was shown.
    stars = [
        {"stars": stars, "sku": f"a{stars}", "brand": brand}
        for stars, brand in (("3", "Alp"), ("5", "Alp"), ("4", "Sun"), ("2", "Sun"))
    ]
    sales = [sale(sale_id=f"s{n}", title="Ski", price="9", **one) for n, one in enumerate(stars)]
    shown = {"type": "impression", "position": "2", "price": "8", "colour": "red"}
    bought = {"event_id": "e2", "type": "purchase", "quantity": "2", "revenue": "16"}
    write_dataset(
        folder, sales=sales, events=[event(sale_id="s1", **one) for one in (shown, bought)]
    )
    tiers = [{"customer_id": f"c{n}", "club": "gold", "age": str(40 + n)} for n in range(2)]
    write_csv(folder / "customers.csv", tiers)
    dataset = read_dataset(folder)
    shop = catalogue(*dataset.sales)
    shown_sales = dataset.sales[1:3]
    encoder = fit_encoder(shop, np.array([float(one in shown_sales) for one in shop.sales]))
    taste = ContentPreference(
        Projection(encoder, np.zeros((encoder.size, 0))), np.empty(0), spread=np.empty(0), rate=0.0
    )
    own = AttributeFeatures(
        sales=AttributeColumns(("stars",)), customers=AttributeColumns(("age",))
    )
    model = replace(scorer(dataset.sales), schema=FeatureSchema((taste,), own))
    uses = column_uses(dataset, model, config=config, shown=shown_sales)
    return {(use.table, use.column): use for use in uses}


@pytest.fixture
def uses(tmp_path: Path) -> dict[tuple[str, str], ColumnUse]:
    return uses_of(tmp_path, RunConfig())


def test_each_column_with_a_value_is_listed(
    uses: dict[tuple[str, str], ColumnUse],
) -> None:
    assert {name: use.used for name, use in uses.items()} == {
        ("sales", "opens_at"): True,
        ("sales", "price"): True,
        ("sales", "title"): False,
        ("sales", "sku"): False,
        ("sales", "brand"): False,
        ("sales", "stars"): True,
        ("events", "position"): True,
        ("events", "price"): False,
        ("events", "quantity"): True,
        ("events", "revenue"): False,
        ("events", "colour"): False,
        ("customers", "age"): True,
        ("customers", "club"): False,
    }


def test_an_unused_column_has_its_reason(uses: dict[tuple[str, str], ColumnUse]) -> None:
    assert "has 4 texts for 4 sales" in uses["sales", "sku"].why
    assert uses["sales", "brand"].why == (
        "among the sales that were shown it has 2 texts for 2 sales"
    )
    assert uses["events", "price"].why == uses["events", "revenue"].why
    assert "read by orders by revenue" in uses["events", "price"].why
    assert "not of the contract" in uses["events", "colour"].why
    assert "no model reads" in uses["customers", "club"].why
    assert uses["customers", "age"].why == "a feature of the meta-model"
    assert uses["sales", "stars"].why == (
        "content that recommenders compare sales by; a feature of the meta-model"
    )
    assert uses["sales", "title"].why == "the recommender `text` is left out"


def test_prices_of_lists_are_used_where_a_caller_orders_them(tmp_path: Path) -> None:
    uses = uses_of(tmp_path, RunConfig(caller_orders=True))

    assert uses["events", "price"].used
    assert uses["events", "position"].why == "order of the caller"


def test_what_was_paid_is_used_where_sales_are_ordered_by_value(tmp_path: Path) -> None:
    uses = uses_of(tmp_path, RunConfig(objective=TrainingObjective.VALUE))

    for column in ("price", "quantity", "revenue"):
        assert uses["events", column].used
        assert "usual sizes of orders" in uses["events", column].why


def test_a_bundle_holds_the_list_as_json(uses: dict[tuple[str, str], ColumnUse]) -> None:
    [first, *_] = json.loads(uses_to_bytes(tuple(uses.values())))

    assert first == {
        "table": "sales",
        "column": "opens_at",
        "used": True,
        "why": "age of the sale, and when it is eligible",
    }
