"""Linear offsets: rows by hand, bytes, and refused arrays."""

from dataclasses import replace

import numpy as np
import pytest

from models.arrays.array_file import Arrays
from models.ranker.linear_offset import LinearOffset
from models.ranker.logistic import Regressions
from models.ranker.position_effect import PositionEffect
from tests.builders import SCHEMA, flat_offset, offset

BY_HAND = LinearOffset(
    replace(flat_offset(3).regression, weights=np.array([0.5, 0.0, 0.0]), intercept=-1.0),
    columns=(1, 2),
    position_effect=PositionEffect(np.array([[1.0, 0.25], [1.0, 0.5]]), np.array([0.125])),
)
ROWS = np.array(
    [[2.0, 1.0, 0.125], [2.0, 2.0, 0.75], [-2.0, 7.0, 0.125], [np.nan, np.nan, 0.125]],
    dtype=np.float32,
)


def test_log_odds_are_those_of_position_1() -> None:
    assert BY_HAND.log_odds(ROWS).tolist() == [0.0, 0.0, -2.0, -1.0]


def test_who_looks_depends_on_position_and_device_alone() -> None:
    """Devices without a curve of their own, and unknown ones, have the first."""
    assert BY_HAND.p_examined(ROWS).tolist() == [1.0, 0.25, 0.5, 1.0]
    assert BY_HAND.p_examined(np.array([[0, 2, np.nan], [0, 2, 0]], np.float32)).tolist() == [
        0.25,
        0.25,
    ]


def test_many_rows_are_scored_as_one_by_one(rng: np.random.Generator) -> None:
    made = offset(SCHEMA, seed=1)
    matrix = rng.normal(size=(17_000, len(SCHEMA.names))).astype(np.float32)

    alone = [made.log_odds(row[None])[0] for row in matrix[16_380:16_390]]

    assert made.log_odds(matrix)[16_380:16_390].tolist() == alone


def test_margins_together_are_those_alone_whether_or_not_their_scale_is_one() -> None:
    wide = replace(BY_HAND.regression.scale, scales=np.array([4.0, 4.0, 4.0]))
    other = replace(BY_HAND, regression=replace(BY_HAND.regression, scale=wide, intercept=0.0))
    read = LinearOffset.from_bytes(BY_HAND.to_bytes(), n_features=3)

    together = Regressions([one.regression for one in (BY_HAND, read, other)])

    assert together.log_odds(ROWS).tolist() == [
        [0.0, 0.0, -2.0, -1.0],
        [0.0, 0.0, -2.0, -1.0],
        [0.25, 0.25, -0.25, 0.0],
    ]
    assert read.with_scale_of(BY_HAND).regression.scale is BY_HAND.regression.scale
    assert other.with_scale_of(BY_HAND) is other


def test_bytes_round_trip() -> None:
    restored = LinearOffset.from_bytes(BY_HAND.to_bytes(), n_features=3)

    assert restored.to_bytes() == BY_HAND.to_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"columns": np.array([0, 3])}, r"not an offset over 3 features: columns \[0, 3\]"),
        ({"columns": np.array([0])}, "not an offset over 3 features"),
        ({"examined_devices": np.array([0.5, 0.25])}, "of 3 curves of equal length"),
        (
            {"examined": np.ones(6), "examined_devices": np.array([0.5, 0.25])},
            r"must ascend, got \[0.5, 0.25\]",
        ),
        ({"examined": np.array([])}, r"examination probabilities .* got \[\]"),
        (
            {"examined": np.array([1.0, 0.0, 1.0, 1.0])},
            r"got \[1.0, 0.0, 1.0, 1.0\]",
        ),
        ({"examined": np.array([1.0, np.nan])}, r"examination probabilities .* got \[1.0, nan\]"),
        ({"weights": np.ones(2)}, "not a logistic regression over 3 features"),
    ],
)
def test_what_is_no_offset_is_refused(changes: dict[str, np.ndarray], message: str) -> None:
    arrays = {**Arrays.from_bytes(BY_HAND.to_bytes()).arrays, **changes}

    with pytest.raises(ValueError, match=message):
        LinearOffset.from_bytes(Arrays(arrays).to_bytes(), n_features=3)
