"""Value of pictures, from evaluations made by hand."""

import numpy as np
import pytest

from models.domain.sale import PictureScores
from models.scoring.scorer import META
from tests.judged import slate
from training.evaluation.cold_start import Rankings, picture_worth
from training.evaluation.protocol import EvaluatedSlate
from training.scenes.picture_scores import permuted


def judged(*gains: float, popularity: float = 0.0) -> list[EvaluatedSlate]:
    """One slate a customer, whose first ten bring so many purchases."""
    return [
        slate(customer, {META: {"gain": gain}, "popularity": {"gain": popularity}})
        for customer, gain in enumerate(gains)
    ]


def test_pictures_are_compared_slate_by_slate() -> None:
    """0.5, 0.3 and 0.1 purchases with pictures: a constant 0.1 more than with wrong ones."""
    rankings = Rankings(
        pictures=judged(0.5, 0.3, 0.1, popularity=0.1),
        without=judged(0.3, 0.3, 0.3),
        permuted=judged(0.4, 0.2, 0.0),
    )

    worth = picture_worth(rankings, seed=0)

    gap = worth["pictures - pictures_permuted"]["gain"]
    assert (gap.value, gap.low, gap.high) == pytest.approx((0.1, 0.1, 0.1))
    assert worth["pictures"]["gain"].value == pytest.approx(0.3)
    assert worth["pictures - popularity"]["gain"].value == pytest.approx(0.2)
    doubtful = worth["pictures - without_pictures"]["gain"]
    assert doubtful.value == pytest.approx(0.0)
    assert doubtful.low < 0 < doubtful.high


def test_rankings_of_different_slates_are_not_paired() -> None:
    rankings = Rankings(pictures=judged(0.1), without=judged(0.1, 0.2), permuted=judged(0.1))

    with pytest.raises(ValueError, match="different slates"):
        picture_worth(rankings, seed=0)


def test_pictures_are_dealt_out_anew_and_none_is_lost() -> None:
    pictures = {
        f"s{number}": PictureScores(
            np.full(2, number, dtype=np.float32),
            np.full(3, number, dtype=np.float32),
            np.full(4, number, dtype=np.float32),
        )
        for number in range(20)
    }

    exchanged = permuted(pictures, 1)

    assert sorted(exchanged) == sorted(pictures)
    assert {id(scores) for scores in exchanged.values()} == {
        id(scores) for scores in pictures.values()
    }
    assert sum(exchanged[name] is pictures[name] for name in pictures) < len(pictures) / 2
    assert permuted(pictures, 1) == exchanged
