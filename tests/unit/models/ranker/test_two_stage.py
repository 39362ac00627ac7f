"""Two steps: what is opened, and what of it is bought."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from models.ranker.ranker import Calibration, LightGbmRanker
from models.ranker.two_stage import (
    BUYING_FILE,
    CALIBRATION_FILE,
    OFFSET_FILE,
    RANKER_FILE,
    UNCALIBRATED,
    TwoStageRanker,
    ranker_files,
    read_ranker,
)
from tests.builders import SCHEMA, ranker

OPENING, BUYING = (replace(ranker(SCHEMA, seed=seed), calibration=UNCALIBRATED) for seed in (1, 2))
MATRIX = np.random.default_rng(3).normal(size=(50, len(SCHEMA.names))).astype(np.float32)
MATRIX[:, SCHEMA.names.index("position")] = 1


def read(files: Mapping[str, bytes]) -> LightGbmRanker | TwoStageRanker:
    texts = {name: files[name].decode() for name in files if not name.endswith(".npz")}
    return read_ranker(texts, files, names=SCHEMA.names)


def test_the_probability_is_the_product_of_the_steps() -> None:
    staged = TwoStageRanker(OPENING, BUYING, UNCALIBRATED)

    product = OPENING.probabilities(MATRIX) * BUYING.probabilities(MATRIX)
    np.testing.assert_allclose(staged.probabilities(MATRIX), product, rtol=1e-9)


def test_positions_multiply_the_product_once() -> None:
    """What was opened was looked at: of the second step positions are not asked."""
    staged = TwoStageRanker(OPENING, BUYING, Calibration(1.3, -4.0))
    third = MATRIX.copy()
    third[:, SCHEMA.names.index("position")] = 3

    shares = staged.probabilities(third) / staged.probabilities(MATRIX)

    np.testing.assert_allclose(shares, OPENING.offset.position_effect.common[2], rtol=1e-9)


def test_the_product_is_calibrated() -> None:
    """An intercept of log 2 doubles the odds."""
    plain = TwoStageRanker(OPENING, BUYING, UNCALIBRATED).probabilities(MATRIX)
    shifted = TwoStageRanker(OPENING, BUYING, Calibration(1.0, float(np.log(2)))).probabilities(
        MATRIX
    )

    np.testing.assert_allclose(shifted / (1 - shifted), 2 * plain / (1 - plain), rtol=1e-6)


@pytest.mark.parametrize(
    "made", [TwoStageRanker(OPENING, BUYING, Calibration(0.9, -1 / 3)), ranker(SCHEMA, seed=4)]
)
def test_files_give_back_the_same_ranker(made: LightGbmRanker | TwoStageRanker) -> None:
    restored = read(ranker_files(made))

    assert type(restored) is type(made)
    np.testing.assert_array_equal(restored.probabilities(MATRIX), made.probabilities(MATRIX))


def test_one_step_has_no_file_of_the_second() -> None:
    assert set(ranker_files(OPENING)) == {RANKER_FILE, CALIBRATION_FILE, OFFSET_FILE}


@pytest.mark.parametrize("file", [RANKER_FILE, BUYING_FILE])
def test_trees_of_other_features_are_refused(file: str) -> None:
    files = ranker_files(TwoStageRanker(OPENING, BUYING, UNCALIBRATED))
    files[file] = files[file].replace(SCHEMA.names[0].encode(), b"other")

    with pytest.raises(ValueError, match=f"{file} expects other features"):
        read(files)


def test_no_rows_have_no_probabilities() -> None:
    staged = TwoStageRanker(OPENING, BUYING, UNCALIBRATED)

    assert staged.probabilities(MATRIX[:0]).shape == (0,)
