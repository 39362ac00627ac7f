"""Lists that a ranker ordered are known by the answers on record."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.dataset.events import Labels
from models.experiments.exposure import ExposureError
from tests.unit.training.ranker.test_fit_ranker import slates_of
from training.examples.ranked_lists import ranked_lists

EXPOSURES = Labels.from_series(pl.Series(["by-ranker", "by-popularity", "too-late", "elsewhere"]))
SLATES = replace(
    slates_of(np.zeros(25, dtype=np.bool_)),
    # The codes of the four, sorted, and -1: a list of a website that names no exposure.
    exposures=np.array([*EXPOSURES.codes, -1]),
)


def test_full_answers_in_the_order_of_a_ranker_are_ranked(tmp_path: Path) -> None:
    answers = {
        "recommendation_id": ["by-ranker", "by-popularity", "too-late"],
        "order_by": ["meta-revenue", "popularity", "meta"],
        "degraded": [None, None, "popularity"],
    }
    pl.DataFrame(answers).write_parquet(tmp_path / "exposures.parquet")

    found = ranked_lists(tmp_path, SLATES, exposures=EXPOSURES)

    assert found.tolist() == [True, False, False, False, False]


def test_without_answers_on_record_no_list_is_ranked(tmp_path: Path) -> None:
    assert not ranked_lists(tmp_path, SLATES, exposures=EXPOSURES).any()


def test_answers_that_do_not_say_what_ordered_them_are_refused(tmp_path: Path) -> None:
    answers = pl.DataFrame({"recommendation_id": ["by-ranker"]})
    answers.write_parquet(tmp_path / "exposures.parquet")

    with pytest.raises(ExposureError, match=r"exposures\.parquet"):
        ranked_lists(tmp_path, SLATES, exposures=EXPOSURES)
