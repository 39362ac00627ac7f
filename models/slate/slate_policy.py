"""Slate policy of a variant: bundle, order, diversity, exploration and rules."""

from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from models.covers.cover_choice import CoverPolicy
from models.domain.event import Name
from models.rules.rule import NO_RULES, SlateRule, SlateRules, request_filter
from models.scoring.scorer import META

# Defaults and bounds of exploration are chosen, not measured.


class NewSaleSlots(BaseModel):
    """Exploration by reserved positions: only new sales compete for them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["new_sales"] = "new_sales"
    slots: int = Field(default=1, ge=1, le=10, description="Places of the slate, from its end.")
    hours: float = Field(default=24.0, gt=0, le=720, description="Age of a new sale at most.")


class PlackettLuce(BaseModel):
    """Plackett-Luce exploration: draws a share of slates by the scores (Gumbel top-k)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["plackett_luce"] = "plackett_luce"
    temperature: float = Field(
        gt=0, le=10, description="Of the log-odds: small ones keep the order, 1 draws by odds."
    )
    share: float = Field(
        default=1.0, gt=0, le=1, description="Share of answers that are drawn, by their ids."
    )


Exploration = Annotated[NewSaleSlots | PlackettLuce, Field(discriminator="kind")]


class SlatePolicy(BaseModel):
    """Slate policy: bundle, order, diversity, exploration and rules of a slate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle: str | None = Field(
        default=None, max_length=128, description="Id of the bundle; unset: the active one."
    )
    order_by: Name = Field(
        default=META, description="A policy of the bundle: the meta-model or a recommender."
    )
    diversity: float = Field(
        default=0.0, ge=0, lt=1, description="Weight of being unlike what stands above."
    )
    exploration: Exploration | None = Field(
        default=None,
        description="What is tried out; left out: a share of answers, see VITRINE_EXPLORED_SHARE; "
        "null: nothing.",
    )
    rules: SlateRules = Field(
        default=NO_RULES, description="What a merchandiser asks of every slate, by precedence."
    )
    covers: CoverPolicy | None = Field(
        default=None,
        description="How the picture of each sale is chosen per customer; unset: by the shop.",
    )

    def exploring(self, usual: PlackettLuce | None) -> Self:
        """Return the policy with the usual exploration, unless it says its own or ``null``."""
        if usual is None or "exploration" in self.model_fields_set:
            return self
        return self.model_copy(update={"exploration": usual})

    def filtered(self, filter_text: str | None) -> Self:
        """Return the policy behind the filter of a request; itself if that is None.

        Raises:
            ValueError: If it is no condition on sales.
        """
        return self if filter_text is None else self.behind(request_filter(filter_text))

    def behind(self, rule: SlateRule) -> Self:
        """Return the policy with a rule in front of its own."""
        return self.model_copy(update={"rules": self.rules.behind(rule)})

    @property
    def without_exploration(self) -> Self:
        """The policy that tries nothing out."""
        return self.model_copy(update={"exploration": None})

    @property
    def drawn_share(self) -> float:
        """Share of answers whose slates are drawn by Plackett-Luce."""
        return self.exploration.share if isinstance(self.exploration, PlackettLuce) else 0.0

    def changed(self, change: "PolicyChange") -> Self:
        """Return the policy with what a variant changes of it."""
        return self.model_copy(update=change.fields())


class PolicyChange(BaseModel):
    """Policy overrides of a variant; unset fields keep their value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle: str | None = Field(default=None, max_length=128)
    order_by: Name | None = None
    diversity: float | None = Field(default=None, ge=0, lt=1)
    exploration: Exploration | None = None
    covers: CoverPolicy | None = None
    rules: SlateRules = Field(
        default=NO_RULES, description="In place of those of the default policy; [] for none."
    )

    def fields(self) -> dict[str, object]:
        """Return the set fields with their values."""
        return {name: getattr(self, name) for name in self.model_fields_set}


# Slates drawn at this temperature cost 13% of expected purchases (docs/evaluation.md).
_USUAL_TEMPERATURE: Final = 0.3

UNCHANGED: Final = PolicyChange()


def usual_exploration(share: float) -> PlackettLuce | None:
    """Return the exploration of policies that do not say theirs; None for a share of 0."""
    return PlackettLuce(temperature=_USUAL_TEMPERATURE, share=share) if share else None
