"""Two steps: what is opened, and what of it is bought."""

import numpy as np
import pytest

from models.ranker import Calibration, LightGbmRanker
from models.staged import (
    BUYING_FILE,
    CALIBRATION_FILE,
    RANKER_FILE,
    UNCALIBRATED,
    StagedRanker,
    ranker_files,
    read_ranker,
)
from tests.builders import SCHEMA, ranker

OPENING = LightGbmRanker(ranker(SCHEMA, seed=1).booster, UNCALIBRATED)
BUYING = LightGbmRanker(ranker(SCHEMA, seed=2).booster, UNCALIBRATED)
MATRIX = np.random.default_rng(3).normal(size=(50, len(SCHEMA.names))).astype(np.float32)


def texts(made: LightGbmRanker | StagedRanker) -> dict[str, str]:
    return {name: content.decode() for name, content in ranker_files(made).items()}


def test_the_probability_is_the_product_of_the_steps() -> None:
    staged = StagedRanker(OPENING, BUYING, UNCALIBRATED)

    product = OPENING.probabilities(MATRIX) * BUYING.probabilities(MATRIX)
    np.testing.assert_allclose(staged.probabilities(MATRIX), product, rtol=1e-9)


def test_the_product_is_calibrated() -> None:
    """An intercept of log 2 doubles the odds."""
    plain = StagedRanker(OPENING, BUYING, UNCALIBRATED).probabilities(MATRIX)
    shifted = StagedRanker(OPENING, BUYING, Calibration(1.0, float(np.log(2)))).probabilities(
        MATRIX
    )

    np.testing.assert_allclose(shifted / (1 - shifted), 2 * plain / (1 - plain), rtol=1e-6)


@pytest.mark.parametrize(
    "made", [StagedRanker(OPENING, BUYING, Calibration(0.9, -1 / 3)), ranker(SCHEMA, seed=4)]
)
def test_files_give_back_the_same_ranker(made: LightGbmRanker | StagedRanker) -> None:
    restored = read_ranker(texts(made), SCHEMA.names)

    assert type(restored) is type(made)
    np.testing.assert_array_equal(restored.probabilities(MATRIX), made.probabilities(MATRIX))


def test_one_step_has_no_file_of_the_second() -> None:
    assert set(texts(OPENING)) == {RANKER_FILE, CALIBRATION_FILE}


@pytest.mark.parametrize("file", [RANKER_FILE, BUYING_FILE])
def test_trees_of_other_features_are_refused(file: str) -> None:
    files = texts(StagedRanker(OPENING, BUYING, UNCALIBRATED))
    files[file] = files[file].replace(SCHEMA.names[0], "other")

    with pytest.raises(ValueError, match=f"{file} expects other features"):
        read_ranker(files, SCHEMA.names)


def test_no_rows_have_no_probabilities() -> None:
    staged = StagedRanker(OPENING, BUYING, UNCALIBRATED)

    assert staged.probabilities(MATRIX[:0]).shape == (0,)
