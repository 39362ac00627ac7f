"""Rules of an analysis: window, covariate and planned size, fixed before an experiment starts."""

from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field


class Rules(BaseModel):
    """Settings of the analysis, which must be fixed before the experiment starts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Defaults are chosen: a week, because visits repeat weekly, and four weeks before it.
    window_hours: float = Field(
        default=168.0, gt=0, le=2_160, description="From a unit's first exposure on, it counts."
    )
    before_days: float = Field(
        default=28.0, gt=0, le=400, description="Before it, it is the covariate."
    )
    planned_units: int = Field(
        default=10_000,
        ge=100,
        description="Units at which looking early costs least; of an interleaving those who prefer "
        "one variant, 1,000 by default.",
    )
    # Chosen: a fifth. The only limit that depends on the machines, not on the shop.
    max_slower: float = Field(
        default=0.2, ge=0, description="Mean time of an answer beyond the control's, as a share."
    )

    def completed_by(self, usual: Self) -> Self:
        """Return it with the usual values of the fields that it was not given."""
        return usual.model_copy(update=self.model_dump(exclude_unset=True))


# Chosen: looking early costs least at this number of customers who prefer one variant; a tenth of
# the units of an A/B test, of which only those who click or buy decide here.
INTERLEAVING_RULES: Final = Rules(planned_units=1_000)
