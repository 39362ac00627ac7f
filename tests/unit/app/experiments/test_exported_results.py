"""Results are worked out from exported files, once for each state of them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from app.experiments.exported_results import ExportedResults
from models.dataset import DatasetError
from models.experiments.exposure import ExposureError
from models.experiments.plan.experiment import Unit
from tests.trials import START, Answer, exposures, two_arms

TRIAL = two_arms(results={"window_hours": 24})


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def exported(tmp_path: Path, pool: ThreadPoolExecutor) -> ExportedResults:
    write_exposures(tmp_path, n=1)
    events = pl.DataFrame(
        {
            "event_id": ["e1", "e2"],
            "customer_id": ["c0", "nobody"],
            "type": ["purchase", "view"],
            "sale_id": ["s1", "s1"],
            "at": [START, START + timedelta(days=3)],
        }
    )
    events.write_parquet(tmp_path / "events.parquet")
    return ExportedResults(tmp_path, pool=pool)


def write_exposures(directory: Path, *, n: int) -> None:
    frame = exposures([Answer(unit=f"c{number}") for number in range(n)])
    frame.write_parquet(directory / "exposures.parquet")


async def test_results_are_those_of_the_files(exported: ExportedResults) -> None:
    found = await exported.for_experiment(TRIAL, Unit.CUSTOMER)

    assert found.variants[0].analysed == 1
    assert found.variants[0].metrics["conversion"].value == 1.0


async def test_unchanged_files_are_not_read_again(exported: ExportedResults) -> None:
    first = await exported.for_experiment(TRIAL, Unit.CUSTOMER)

    assert await exported.for_experiment(TRIAL, Unit.CUSTOMER) is first


async def test_the_next_export_is_read(exported: ExportedResults, tmp_path: Path) -> None:
    await exported.for_experiment(TRIAL, Unit.CUSTOMER)
    write_exposures(tmp_path, n=5)

    found = await exported.for_experiment(TRIAL, Unit.CUSTOMER)

    assert found.variants[0].analysed == 5


async def test_a_changed_experiment_is_read_again(exported: ExportedResults) -> None:
    first = await exported.for_experiment(TRIAL, Unit.CUSTOMER)
    later = TRIAL.model_copy(update={"starts_at": START + timedelta(days=1)})

    assert first.variants[0].analysed == 1
    assert (await exported.for_experiment(later, Unit.CUSTOMER)).variants[0].analysed == 0


async def test_the_experiment_says_how_long_its_window_is(exported: ExportedResults) -> None:
    """Events are known until the third day: no window of a week is over."""
    found = await exported.for_experiment(two_arms(), Unit.CUSTOMER)

    assert found.rules.window_hours == 168
    assert found.variants[0].analysed == 0
    assert found.left_out["units_with_an_open_window"] == 1


async def test_a_directory_that_was_never_exported_to_is_an_error(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    nothing = ExportedResults(tmp_path, pool=pool)

    with pytest.raises(
        ExposureError, match="is not there: `python -m app export-events` writes it"
    ):
        await nothing.for_experiment(TRIAL, Unit.CUSTOMER)
    write_exposures(tmp_path, n=1)
    with pytest.raises(DatasetError, match="events"):
        await nothing.for_experiment(TRIAL, Unit.CUSTOMER)
