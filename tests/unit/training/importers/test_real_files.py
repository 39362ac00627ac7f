"""Mappings of real sets, on the sets themselves: counts as their files have them."""

from pathlib import Path

import polars as pl
import pytest

from models.dataset import read_dataset
from tests.proofs import ROOT
from tests.shared import shared_data
from training.importers.mapping import read_mapping
from training.importers.table import Files, import_table

MAPPINGS = ROOT / "benchmarks" / "quality" / "mappings"


def test_pages_of_hotels_become_impressions_clicks_and_bookings(tmp_path: Path) -> None:
    source = shared_data("expedia/slates.parquet")
    pages = pl.read_parquet(source)

    imported = import_table(
        Files([source]), read_mapping(str(MAPPINGS / "expedia.yaml")), out=tmp_path
    )
    dataset = read_dataset(tmp_path)

    assert imported.n_events == {
        "click": pages["click_bool"].sum(),
        "impression": pages.height,
        "purchase": pages["booking_bool"].sum(),
    }
    assert len(imported.faults) == 0
    assert len(dataset.events) == sum(imported.n_events.values())
    assert len(dataset.sales) == pages["prop_id"].n_unique()
    assert set(dataset.sales[0].attributes) >= {"stars", "review", "brand"}


def test_lists_of_news_in_a_text_become_impressions_and_clicks(tmp_path: Path) -> None:
    source, news = shared_data("mind/behaviors.parquet"), shared_data("mind/news.parquet")
    shown = pl.read_parquet(source)["impressions"].str.split(" ").explode()

    imported = import_table(
        Files([source], sales=news), read_mapping(str(MAPPINGS / "mind.yaml")), out=tmp_path
    )

    clicked = shown.str.ends_with("-1").sum()
    assert imported.n_events == {"impression": len(shown), "click": clicked}
    ids = {text.rpartition("-")[0] for text in shown}
    assert imported.n_sales == len(ids | {*pl.read_parquet(news)["news_id"]})


@pytest.mark.parametrize("name", sorted(path.stem for path in MAPPINGS.glob("*.yaml")))
def test_every_mapping_is_valid_and_says_what_it_is_for(name: str) -> None:
    assert read_mapping(str(MAPPINGS / f"{name}.yaml")).about
