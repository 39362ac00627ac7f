"""Answers that the evaluated bundle made itself are counted, under all of its ids."""

from pathlib import Path

import polars as pl
import pytest

from models.domain.event import from_us
from models.experiments.exposure import ExposureError
from models.scoring.bundle import write_bundle
from tests.bundles import DRAFT
from tests.logs import HOUR, NOON
from training.evaluation.self_made import SelfMade, self_made

JUDGED = DRAFT.model_copy(
    update={"until": "2025-06-01T00:00:00+00:00", "created_at": "2025-06-01T00:00:00+00:00"}
)
REFITTED = JUDGED.model_copy(
    update={"until": "2025-06-04T00:00:00+00:00", "judged_as": JUDGED.bundle_id}
)


def test_a_log_without_exposures_has_none(tmp_path: Path) -> None:
    assert self_made(tmp_path, JUDGED, bundles=tmp_path, since_us=NOON) == SelfMade(0, 0)


def test_answers_without_a_bundle_are_an_error_that_names_the_file(tmp_path: Path) -> None:
    pl.DataFrame({"now": [from_us(NOON)]}).write_parquet(tmp_path / "exposures.parquet")

    with pytest.raises(ExposureError, match=r"exposures.parquet .*export-events: .*bundle_id"):
        self_made(tmp_path, JUDGED, bundles=tmp_path, since_us=NOON)


def test_answers_of_other_refits_of_the_same_ranker_count(tmp_path: Path) -> None:
    """The bundle of the night before is another bundle with the same ranker."""
    before = REFITTED.model_copy(update={"until": "2025-06-03T00:00:00+00:00"})
    written = write_bundle(tmp_path / "bundles", before, files={})
    pl.DataFrame({"bundle_id": [written.name], "now": [from_us(NOON)]}).write_parquet(
        tmp_path / "exposures.parquet"
    )

    found = self_made(tmp_path, REFITTED, bundles=tmp_path / "bundles", since_us=NOON)

    assert found == SelfMade(1, 1)


def test_answers_of_the_bundle_and_of_what_it_was_judged_as_count(tmp_path: Path) -> None:
    """The second answer came before, the last is of another bundle."""
    answers = pl.DataFrame(
        {
            "bundle_id": [REFITTED.bundle_id, REFITTED.bundle_id, JUDGED.bundle_id, "c"],
            "now": [from_us(NOON + hours * HOUR) for hours in (1, -1, 2, 3)],
        }
    )
    answers.write_parquet(tmp_path / "exposures.parquet")

    found = self_made(tmp_path, REFITTED, bundles=tmp_path, since_us=NOON)

    assert found == SelfMade(3, 2)
