"""A model card without figures."""

from models.ranker.objective import TrainingObjective
from models.scoring.model_card import HeldOut, ModelCard, TrainingPeriod
from models.scoring.probability import ProbabilityOf

_DAY = "2025-03-10T12:00:00+00:00"


def card(
    probability_of: ProbabilityOf = ProbabilityOf.SHOWN_FIRST,
    objective: TrainingObjective = TrainingObjective.PURCHASE,
) -> ModelCard:
    """Return the card of a training on nothing."""
    return ModelCard(
        objective=objective,
        probability_of=probability_of,
        outcome_hours=24.0,
        trained_on=TrainingPeriod(
            first=_DAY,
            until=_DAY,
            n_sales=0,
            n_customers=0,
            n_events={},
            n_lists=0,
            sale_shares={},
            position_share=0.0,
        ),
        held_out=HeldOut(
            kind="shown", first=_DAY, last=_DAY, n_lists=0, n_customers=0, n_outcomes=0
        ),
        figures={},
        differences={},
        segments={},
        calibration={},
        bins=[],
        importances={},
    )
