"""A dataset that is cut at a moment holds what was known before it."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from models.dataset.faults import FaultReport
from models.dataset.reading import Dataset
from models.domain.event import from_us
from models.domain.sale import Sale
from models.pictures.scene_labeller import SceneModelError
from tests.logs import DAY, HOUR, NOON, Row, event_table, sale
from training.pipeline.training_data import SceneFiles, cut

SOLD_OUT = from_us(NOON + HOUR)


def dataset(*sales: Sale, log: list[Row]) -> Dataset:
    images = {one.sale_id: {1: Path(f"{one.sale_id}.jpg")} for one in sales}
    return Dataset(sales, event_table(log), None, Path(), images, FaultReport.none(), "")


def test_events_count_by_when_they_were_received() -> None:
    log = [Row(at=-HOUR, sale="a"), Row(at=-HOUR, received=0, sale="b"), Row(at=HOUR, sale="c")]

    kept = cut(dataset(sale("a"), log=log), NOON).events

    assert kept.event_ids.to_list() == ["e0"]
    assert kept.sale_ids.values.gather(kept.sale_ids.codes).to_list() == ["a"]


def test_sales_that_open_later_are_unknown_with_their_pictures() -> None:
    later = sale("later", opens_at=from_us(NOON))

    kept = cut(dataset(sale("now"), later, log=[Row()]), NOON)

    assert [one.sale_id for one in kept.sales] == ["now"]
    assert kept.images.keys() == {"now"}


@pytest.mark.parametrize(
    ("until_us", "sold_out_at", "stock"),
    [(NOON, None, None), (NOON + HOUR, None, None), (NOON + 2 * HOUR, SOLD_OUT, 0)],
)
def test_that_a_sale_sells_out_is_known_only_afterwards(
    until_us: int, sold_out_at: datetime | None, stock: int | None
) -> None:
    sold_out = sale("s", sold_out_at=SOLD_OUT, stock=0)

    (known,) = cut(dataset(sold_out, log=[Row()]), until_us).sales

    assert (known.sold_out_at, known.stock) == (sold_out_at, stock)


def test_a_mask_selects_the_same_rows_of_every_column() -> None:
    log = [Row(at=n * DAY, sale=f"s{n}", customer=f"c{n}", market="fr") for n in range(4)]
    events = event_table(log)

    part = events.select(np.array([False, True, False, True]))

    assert len(part) == 2
    assert part.event_ids.to_list() == ["e1", "e3"]
    assert part.customers.codes.tolist() == [1, 3]
    assert part.customers.values.to_list() == ["c0", "c1", "c2", "c3"]
    assert (part.at_us - NOON).tolist() == [DAY, 3 * DAY]
    assert part.markets.codes.tolist() == [0, 0]


def test_a_directory_without_a_scene_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SceneModelError, match="holds no scene model"):
        SceneFiles.read(tmp_path)
