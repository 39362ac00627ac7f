"""Price of exploration: answers that it changed, and outcomes that they are expected to lose."""

from typing import Final

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from models.experiments.exposure import COST

_PER: Final = 1_000


class ExplorationPrice(BaseModel):
    """Price of exploration over answers, as their bundles expected it; nothing here is observed."""

    model_config = ConfigDict(frozen=True)

    answers: int = Field(description="Answers that exploration changed.")
    lost_per_1000: float = Field(
        description="Purchases, or clicks of a bundle that learned these, that 1,000 answers, "
        "explored or not, are expected to lose; below 0 for a gain."
    )


def exploration_price(answers: pl.DataFrame) -> ExplorationPrice | None:
    """Return the price of exploration, None without answers.

    Args:
        answers: Their `COST`, null where exploration changed nothing.
    """
    if not answers.height:
        return None
    cost = answers[COST]
    return ExplorationPrice(
        answers=cost.count(), lost_per_1000=_PER * float(cost.sum()) / answers.height
    )
