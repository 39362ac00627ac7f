"""Model card: what a bundle was trained on, and figures of it on slates that it did not learn from.

In the spirit of Mitchell et al., Model Cards for Model Reporting, FAT* 2019.
"""

from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from models.ranker.objective import TrainingObjective
from models.scoring.bundle import Bundle, BundleError
from models.scoring.probability import ProbabilityOf

MODEL_CARD_FILE: Final = "model_card.json"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Figure(_Part):
    """A value with its 95% interval over customers, of ``n`` lists or predictions."""

    value: float
    low: float
    high: float
    n: int


Figures = dict[str, dict[str, Figure]]
"""By scorer and metric."""


class TrainingPeriod(_Part):
    """The events that a bundle was trained on.

    Attributes:
        first: Time of the first event, ISO 8601 in UTC.
        until: End of the data.
        n_sales: Sales that had opened by then.
        n_customers: Customers with an event.
        n_events: Events by type.
        n_lists: Lists that the ranker learned from.
        sale_shares: Shares of the sales with a picture, text, price and market.
        position_share: Share of the impressions whose position is on record.
    """

    first: str
    until: str
    n_sales: int
    n_customers: int
    n_events: dict[str, int]
    n_lists: int
    sale_shares: dict[str, float]
    position_share: float


class HeldOut(_Part):
    """The lists that the figures are of: later than those that the measured ranker was fitted on.

    Attributes:
        kind: ``shown`` lists, or ``sampled`` ones: what was bought among sales drawn at random.
        first: Moment of the first list, ISO 8601 in UTC.
        last: Moment of the last list.
        n_lists: Lists with an outcome, which are ranked.
        n_customers: Their customers.
        n_outcomes: Sales bought from them, or clicked with the objective `click`.
    """

    kind: str
    first: str
    last: str
    n_lists: int
    n_customers: int
    n_outcomes: int


class ReliabilityBin(_Part):
    """Mean prediction and observed rate of a tenth of the predictions."""

    predicted: float
    observed: float


class ModelCard(_Part):
    """Model card of a bundle.

    Attributes:
        objective: What the bundle was trained for.
        probability_of: What the probabilities are of.
        outcome_hours: Longest time to the outcome that they count.
        trained_on: The training data.
        held_out: The lists of the figures.
        figures: Of the meta-model, each recommender and simple baselines.
        differences: Of every other scorer, minus the meta-model, paired by list.
        segments: Figures by segment of the lists.
        calibration: Figures of the probabilities, calibrated on other customers than measured;
            empty for sampled lists, whose rates are those of the sample.
        bins: From the smallest to the largest probabilities.
        importances: By group of features: how much the reciprocal rank falls when it is permuted.
    """

    objective: TrainingObjective
    probability_of: ProbabilityOf
    outcome_hours: float
    trained_on: TrainingPeriod
    held_out: HeldOut
    figures: Figures
    differences: Figures
    segments: dict[str, Figures]
    calibration: dict[str, Figure]
    bins: list[ReliabilityBin]
    importances: dict[str, Figure]

    def to_bytes(self) -> bytes:
        """Serialise; equal cards give equal bytes."""
        return (self.model_dump_json(indent=1) + "\n").encode()


def read_model_card(bundle: Bundle) -> ModelCard:
    """Read the model card of a bundle.

    Raises:
        BundleError: If it is missing or malformed.
    """
    try:
        return ModelCard.model_validate_json(bundle.content(MODEL_CARD_FILE))
    except ValidationError as exc:
        msg = f"bundle {bundle.id}: malformed {MODEL_CARD_FILE}: {exc}"
        raise BundleError(msg) from exc
