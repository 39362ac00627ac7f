"""Predicted probabilities of shown and open sales, beside purchases and the simulator's truth."""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.evaluation.protocol import SlateEvaluator
from training.evaluation.truth import Truth
from training.examples.point_in_time import Tick
from training.examples.slates import Slates
from training.statistics.reliability import Predictions

N_OPEN: Final = 10  # open sales drawn per slate: few enough to resample; chosen, not measured

AS_SHOWN: Final = "as_shown"
UNPLACED: Final = "shown_without_position"
AS_SHOWN_TRUE: Final = "as_shown_against_truth"
FIRST_TRUE: Final = "at_position_1_against_truth"
OPEN_TRUE: Final = "open_at_position_1_against_truth"


def predict(
    evaluator: SlateEvaluator, slates: Slates, *, truth: Truth | None, tick: Tick
) -> dict[str, Predictions]:
    """Predict purchases of shown sales and, where the truth is known, of open sales.

    Args:
        evaluator: The bundle's scorer and the state at every moment.
        slates: Shown slates, ordered by time, settled.
        truth: True probabilities, if there are any.
        tick: Called once a slate.

    Returns:
        By name: `AS_SHOWN`, at the position shown against what was bought, or `UNPLACED` of lists
        whose positions are not on record; `AS_SHOWN_TRUE`,
        against the true probability at that position; `FIRST_TRUE`, the same sales at
        position 1; `OPEN_TRUE`, ten open sales drawn a slate, at position 1.
    """
    rng = np.random.default_rng(evaluator.seed)
    parts: dict[str, list[Predictions]] = {}
    queries = evaluator.past.queries(slates, caller_orders=evaluator.config.caller_orders)
    for slate, query in enumerate(queries):
        entries, customer = slates.entries(slate), int(slates.customers[slate])
        as_shown = evaluator.scorer.probabilities(query)
        positions = slates.known_positions(slate)
        kind = UNPLACED if positions is None else AS_SHOWN
        pairs = {kind: (as_shown, slates.bought[entries].astype(np.float64))}
        known = evaluator.known(truth, slates, slate=slate)
        if truth is not None and known is not None and positions is not None:
            # Positions count from 1.
            examined = truth.examined[positions - 1]
            first = replace(query, positions=None, caller_list=None)
            drawn = replace(first, rows=rng.permutation(evaluator.candidates(query))[:N_OPEN])
            pairs |= {
                AS_SHOWN_TRUE: _known(as_shown, known.truth[query.rows] * examined),
                FIRST_TRUE: _known(evaluator.scorer.probabilities(first), known.truth[query.rows]),
                OPEN_TRUE: _known(evaluator.scorer.probabilities(drawn), known.truth[drawn.rows]),
            }
        for name, (probabilities, targets) in pairs.items():
            part = Predictions(probabilities, targets, np.full(len(targets), customer))
            parts.setdefault(name, []).append(part)
        tick()
    return {name: Predictions.joined(found) for name, found in parts.items()}


def _known(
    probabilities: NDArray[np.float64], truth: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Leave out sales without a true probability."""
    given = ~np.isnan(truth)
    return probabilities[given], truth[given]
