"""Value of pictures for new sales: paired comparison of four rankings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from models.scoring.scorer import META
from training.evaluation.protocol import EvaluatedSlate
from training.statistics.bootstrap import Interval, mean_interval

PICTURES: Final = "pictures"
WITHOUT: Final = "without_pictures"
POPULARITY: Final = "popularity"
PERMUTED: Final = "pictures_permuted"


@dataclass(frozen=True)
class Rankings:
    """Evaluations of the same slates in the same order, by three rankings.

    Attributes:
        pictures: By a bundle trained with pictures.
        without: By a bundle trained without pictures.
        permuted: By the first bundle, with pictures permuted among the sales.
    """

    pictures: list[EvaluatedSlate]
    without: list[EvaluatedSlate]
    permuted: list[EvaluatedSlate]

    def scorers(self) -> Mapping[str, tuple[list[EvaluatedSlate], str]]:
        """Return the evaluation and the scorer of each name."""
        return {
            PICTURES: (self.pictures, META),
            WITHOUT: (self.without, META),
            POPULARITY: (self.pictures, POPULARITY),
            PERMUTED: (self.permuted, META),
        }


def picture_worth(rankings: Rankings, *, seed: int) -> dict[str, dict[str, Interval]]:
    """Average the metrics of every scorer, and their differences to the one with pictures.

    Args:
        rankings: The evaluations.
        seed: Seed of the resamples.

    Returns:
        Intervals by name and metric: the four scorers, and ``pictures - NAME`` for the mean of
        the paired differences; above 0 pictures help. Metrics without a value are left out.

    Raises:
        ValueError: If the evaluations are not of the same slates.
    """
    parts = (rankings.pictures, rankings.without, rankings.permuted)
    evaluated = [[one.customer for one in part] for part in parts]
    if evaluated[0] != evaluated[1] or evaluated[0] != evaluated[2]:
        msg = "evaluations of different slates cannot be paired"
        raise ValueError(msg)
    customers = np.array(evaluated[0], dtype=np.int64)
    scorers = rankings.scorers()
    metrics = list(dict.fromkeys(m for one in rankings.pictures for m in one.metrics[META]))
    figures: dict[str, dict[str, Interval]] = {name: {} for name in scorers}
    for metric in metrics:
        values = {
            name: np.array([one.metrics[scorer].get(metric, np.nan) for one in slates])
            for name, (slates, scorer) in scorers.items()
        }
        if np.isnan(values[PICTURES]).all():
            continue
        for name, own in values.items():
            figures[name][metric] = mean_interval(own, customers, seed=seed)
            if name != PICTURES:
                # One seed, so that differences are of the same resamples as the means.
                gap = mean_interval(values[PICTURES] - own, customers, seed=seed)
                figures.setdefault(f"{PICTURES} - {name}", {})[metric] = gap
    return figures
