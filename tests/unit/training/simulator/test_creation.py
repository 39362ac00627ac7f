"""The written dataset, of a world as small as it can be."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.unit.training.simulator.builder import END_US
from training.simulator.behaviour import scrolled
from training.simulator.creation import Summary, create_world, redraw_world
from training.simulator.destinations import RENDERED_SCENES
from training.simulator.parameters import DAY_US, WORLDS
from training.simulator.period import Period

PARAMETERS = replace(
    WORLDS["standard"], n_types=64, sales_per_day=3.0, scenes_per_category=2, visits=6.0
)


def _create(folder: Path, seed: int) -> Summary:
    return create_world(
        folder, PARAMETERS, period=Period.ending(END_US, 3), n_customers=60, seed=seed
    )


@pytest.fixture(scope="module")
def created(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    folder = tmp_path_factory.mktemp("world")
    return folder, _create(folder, 7)


def _contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_one_seed_gives_the_same_files_byte_for_byte(
    created: tuple[Path, Summary], tmp_path: Path
) -> None:
    _create(tmp_path, 7)

    assert _contents(tmp_path) == _contents(created[0])


def test_another_seed_gives_other_files(created: tuple[Path, Summary], tmp_path: Path) -> None:
    _create(tmp_path, 8)

    ours, theirs = _contents(created[0]), _contents(tmp_path)
    for name in ("sales", "events", "customers", "truth", "truth_sales"):
        assert ours[f"{name}.parquet"] != theirs[f"{name}.parquet"]
    assert ours["scenes/beach/0000.jpg"] != theirs["scenes/beach/0000.jpg"]


def test_every_sale_has_its_picture_and_every_scene_its_labelled_ones(
    created: tuple[Path, Summary],
) -> None:
    folder = created[0]
    sales = pl.read_parquet(folder / "sales.parquet")

    assert {path.name for path in (folder / "images").iterdir()} == set(sales["image"])
    for scene in RENDERED_SCENES:
        labelled = sorted(path.name for path in (folder / "scenes" / scene.name).iterdir())
        assert labelled == ["0000.jpg", "0001.jpg"]


def test_files_hold_only_what_is_known_at_the_end(created: tuple[Path, Summary]) -> None:
    folder = created[0]
    end = pl.Series([END_US]).cast(pl.Datetime("us", "UTC"))[0]
    events = pl.read_parquet(folder / "events.parquet")
    sales = pl.read_parquet(folder / "sales.parquet")

    assert events.filter(pl.col("received_at") > end).is_empty()
    assert events.filter(pl.col("at") > pl.col("received_at")).is_empty()
    assert sales.filter(pl.col("sold_out_at") > end).is_empty()
    assert not sales.filter(pl.col("opens_at") > end).is_empty()


def test_the_summary_counts_what_was_written(created: tuple[Path, Summary]) -> None:
    folder, summary = created
    events = pl.read_parquet(folder / "events.parquet")
    counts = dict(events.group_by("type").len().iter_rows())

    assert summary.events == len(events)
    assert {kind: n for kind, n in summary.by_type.items() if n} == counts
    assert summary.sales == len(pl.read_parquet(folder / "sales.parquet"))


def test_only_purchases_have_revenue_and_only_slates_have_positions(
    created: tuple[Path, Summary],
) -> None:
    events = pl.read_parquet(created[0] / "events.parquet")
    bought = pl.col("type") == "purchase"
    viewed = pl.col("type") == "view"

    assert events.select((pl.col("revenue").is_not_null() == bought).all()).item()
    for column in ("position", "exposure_id", "propensity", "variant"):
        assert events.select((pl.col(column).is_null() == viewed).all()).item()
    paid = events.filter(bought)
    assert (paid["revenue"] == paid["price"] * paid["quantity"]).all()


def test_truth_belongs_to_the_exposures_of_the_log(created: tuple[Path, Summary]) -> None:
    folder = created[0]
    truth = pl.read_parquet(folder / "truth.parquet")
    shown = pl.read_parquet(folder / "events.parquet").filter(pl.col("type") == "impression")
    joined = shown.join(truth, on="exposure_id", suffix="_true")

    assert len(joined) == len(shown)
    assert (joined["at"] == joined["at_true"]).all()
    assert (joined["customer_id"] == joined["customer_id_true"]).all()
    assert joined.select(pl.col("sale_ids").list.contains(pl.col("sale_id")).all()).item()
    lengths = truth.select(pl.col("sale_ids", "truth", "knowable").list.len())
    assert (lengths["sale_ids"] == lengths["truth"]).all()
    assert (lengths["sale_ids"] == lengths["knowable"]).all()


def test_examination_by_position_is_written_for_evaluation(created: tuple[Path, Summary]) -> None:
    curve = pl.read_parquet(created[0] / "truth_positions.parquet")

    assert curve["position"].to_list() == list(range(1, PARAMETERS.slate_size + 1))
    assert curve["examined"].to_list() == pytest.approx([n**-0.5 for n in curve["position"]])


def test_a_world_is_drawn_again_with_the_truth_that_was_written(
    created: tuple[Path, Summary],
) -> None:
    folder = created[0]
    period = Period.ending(END_US, 3)

    again = redraw_world(folder, PARAMETERS, period=period, n_customers=60, seed=7)

    truth = pl.read_parquet(folder / "truth.parquet")
    for at, customer, sale_ids, chances in truth.select(
        pl.col("at").dt.epoch("us"), "customer_id", "sale_ids", "truth"
    ).iter_rows():
        day = again.features.market(PARAMETERS, again.tastes, day_us=at // DAY_US * DAY_US)
        columns = np.searchsorted(day.rows, [int(name[1:]) for name in sale_ids])
        state = int(again.customers.type[int(customer[1:])])
        found = day.click[state, columns] * day.buy[state, columns]
        np.testing.assert_array_equal(found, np.float32(chances))


def test_visits_scroll_to_what_the_documentation_says() -> None:
    """4 to 10 positions, 8.6 on average; a shorter page ends at its end."""
    shares = scrolled(10)

    assert shares.sum() == pytest.approx(1.0)
    assert not shares[:3].any()
    assert shares @ np.arange(1, 11) == pytest.approx(8.6, abs=0.05)
    assert scrolled(4) == pytest.approx([0.0, 0.0, 0.0, 1.0])
