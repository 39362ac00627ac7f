"""Cost of exploration and diversity in expected purchases, and the gain in diversity."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.query.query import Query
from models.scoring.scorer import Scorer, Scores
from models.slate.diversity import Similarity
from models.slate.exploration import Slate, new_sales, seed_from
from models.slate.slate import make_slate
from models.slate.slate_policy import NewSaleSlots, PlackettLuce, SlatePolicy
from training.console import Progress
from training.evaluation.evaluate import Question, evaluator_of, exposure_ids, open_visits
from training.evaluation.measure import K
from training.evaluation.truth import Truth
from training.statistics.bootstrap import Interval, resample

PLAIN: Final = "plain"

# Weights and temperatures from hardly any effect to more than a shop would pay; chosen.
SETTINGS: Final[Mapping[str, SlatePolicy]] = {
    PLAIN: SlatePolicy(),
    "new sales, 1 slot": SlatePolicy(exploration=NewSaleSlots(slots=1)),
    "new sales, 2 slots": SlatePolicy(exploration=NewSaleSlots(slots=2)),
    "drawn, temperature 0.1": SlatePolicy(exploration=PlackettLuce(temperature=0.1)),
    "drawn, temperature 0.3": SlatePolicy(exploration=PlackettLuce(temperature=0.3)),
    "drawn, temperature 1": SlatePolicy(exploration=PlackettLuce(temperature=1.0)),
    "diversity 0.1": SlatePolicy(diversity=0.1),
    "diversity 0.3": SlatePolicy(diversity=0.3),
    "diversity 0.5": SlatePolicy(diversity=0.5),
}
"""What is compared; the first is what all others cost against."""

PREDICTED: Final = f"predicted_purchases_at_{K}"
EXPECTED: Final = f"expected_purchases_at_{K}"
SPREAD: Final = f"spread_at_{K}"
NEW: Final = f"new_sales_at_{K}"
METRICS: Final = (PREDICTED, EXPECTED, SPREAD, NEW)
"""By the model's calibrated probabilities; by the truth; unlikeness of two sales of a slate, from
0 to 1; sales that opened at most a day before."""

_NEW_HOURS: Final = NewSaleSlots().hours  # age of a sale that slots call new


@dataclass(frozen=True, slots=True)
class Cost:
    """Effect of an exploration or diversity setting on slates.

    Attributes:
        means: Mean over slates by metric; without what is not known.
        changes: The same as a share of what the plain slates have, minus 1.
    """

    means: dict[str, Interval]
    changes: dict[str, Interval]


def slate_cost(scorer: Scorer, question: Question, *, progress: Progress) -> dict[str, Cost]:
    """Make the slates of a question's visits by every setting, and compare slate by slate.

    Args:
        scorer: The bundle's scorer.
        question: What to evaluate on; its visits are those of the protocol `open`.
        progress: Receives the stages.

    Returns:
        Costs by setting; empty if there is no visit.
    """
    customers: list[int] = []
    values: list[NDArray[np.float64]] = []
    evaluator, slates = evaluator_of(scorer, question)
    visits = open_visits(evaluator, question.judged(slates), question=question)
    progress.stage("slates", len(visits))
    truth = Truth.read(question.dataset.directory, exposure_ids(evaluator.past, visits))
    for number, shown in enumerate(evaluator.past.queries(visits)):
        query = replace(shown, rows=evaluator.candidates(shown), positions=None, caller_list=None)
        if not len(query.rows):
            continue
        known = evaluator.known(truth, visits, slate=number)
        gains = np.full(len(query.rows), np.nan)
        if known is not None:
            gains = np.nan_to_num(known.truth[query.rows])
        scores = scorer.score(query)
        # One seed for all settings: they differ by the setting and not by the draw.
        seed = seed_from(f"{question.seed} {number}")
        made = [
            make_slate(query, scores, policy=policy, limit=K, seed=seed)
            for policy in SETTINGS.values()
        ]
        customers.append(int(visits.customers[number]))
        values.append(figures_of(query, scores, gains=gains, slates=made))
        progress.tick()
    return costs(np.array(values), np.array(customers), seed=question.seed) if values else {}


def costs(
    values: NDArray[np.float64], customers: NDArray[np.int64], *, seed: int
) -> dict[str, Cost]:
    """Average figures of slates over customers.

    Args:
        values: In the order of `SETTINGS` and `METRICS`, NaN where not known, shape
            ``(n_slates, n_settings, n_metrics)``.
        customers: Customer of each slate, shape ``(n_slates,)``.
        seed: Seed of the resamples.
    """
    n_slates = len(values)
    # The first setting, beside each, shape (n_slates, n_settings, n_metrics).
    plain = np.broadcast_to(values[:, :1], values.shape)
    flat = values.reshape(n_slates, -1)
    means = resample(flat, customers, seed=seed).intervals()
    gained = (values - plain).reshape(n_slates, -1)
    shares = resample(gained, customers, seed=seed, per=plain.reshape(n_slates, -1)).intervals()
    return {
        setting: Cost(_by_metric(means, index), _by_metric(shares, index))
        for index, setting in enumerate(SETTINGS)
    }


def _by_metric(intervals: list[Interval], index: int) -> dict[str, Interval]:
    own = intervals[index * len(METRICS) : (index + 1) * len(METRICS)]
    return {metric: one for metric, one in zip(METRICS, own, strict=True) if one.n}


def figures_of(
    query: Query, scores: Scores, *, gains: NDArray[np.float64], slates: list[Slate]
) -> NDArray[np.float64]:
    """Measure slates of one question.

    Args:
        query: The question.
        scores: Its candidates' scores.
        gains: Their true purchase probabilities, NaN if unknown, shape ``(n_sales,)``.
        slates: To be measured.

    Returns:
        Figures in the order of `METRICS`, shape ``(n_slates, 4)``.
    """
    similarity = Similarity.from_catalogue(query.catalogue, query.rows)
    is_new = new_sales(query, hours=_NEW_HOURS)
    return np.array(
        [
            [
                scores.probabilities[slate.picks].sum(),
                gains[slate.picks].sum(),
                similarity.select(slate.picks).spread(),
                is_new[slate.picks].sum(),
            ]
            for slate in slates
        ],
        dtype=np.float64,
    )
