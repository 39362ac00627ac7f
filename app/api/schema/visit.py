"""Visit of a request: the customer, their market and device, and forced variants."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from app.api.schema.request_filter import FILTER_FIELD, Filter
from app.errors import ExclusiveVariantsError
from app.recommend.request import RecommendationRequest
from models.domain.event import Identifier, Market
from models.experiments.plan.experiment import MAX_VARIANTS
from models.query.candidates import CallerChoice
from models.slate.page import PageRow

MAX_EXCLUDED: Final = 500

_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"

ForcedPair = Annotated[str, Field(pattern=rf"^{_NAME}:{_NAME}$")]


class VisitFields(BaseModel):
    """Fields of every request that is assigned to variants."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    customer_id: Identifier | None = Field(
        default=None,
        description="The customer; unset or unknown: ranked as for a new customer.",
        examples=["c-1842"],
    )
    session_id: Identifier | None = Field(
        default=None,
        description="The visit, for the log and for experiments by visit.",
        examples=["v-77"],
    )
    device_id: Identifier | None = Field(
        default=None,
        description="The device, for the log and for experiments by device.",
        examples=["d-4f1"],
    )
    market: Market | None = Field(
        default=None, description="Only sales of this market; unset: of any.", examples=["fr"]
    )
    device: Identifier | None = Field(
        default=None,
        description="The kind of device, by the word that your events have for it.",
        examples=["mobile"],
    )
    variant: tuple[ForcedPair, ...] = Field(
        default=(),
        max_length=MAX_VARIANTS,
        description="Variants to force, as `experiment:variant`: where another platform decides, "
        "or to look at them. They are recorded as forced, and count in no result.",
        examples=[["home-page:popularity"]],
    )

    def to_request(
        self,
        *,
        limit: int = 10,
        choice: CallerChoice | None = None,
        filter_text: str | None = None,
        rows: tuple[PageRow, ...] = (),
    ) -> RecommendationRequest:
        """Return the request for a slate of so many sales, or for the rows of a page.

        Raises:
            ExclusiveVariantsError: If an experiment is forced to different variants.
        """
        variants: dict[str, str] = {}
        for pair in self.variant:
            name, _, variant = pair.partition(":")
            if variants.setdefault(name, variant) != variant:
                msg = f"experiment {name!r} is forced to {variants[name]!r} and {variant!r}"
                raise ExclusiveVariantsError(msg)
        return RecommendationRequest(
            customer_id=self.customer_id,
            session_id=self.session_id,
            device_id=self.device_id,
            market=self.market,
            device=self.device,
            limit=limit,
            forced=variants,
            choice=choice or CallerChoice(),
            filter=filter_text,
            rows=rows,
        )


class ListFields(VisitFields):
    """Fields of every request for sales of the catalogue."""

    exclude: tuple[Identifier, ...] = Field(
        default=(),
        max_length=MAX_EXCLUDED,
        description="Sales not to show; in a URL, repeat it per sale.",
        examples=[["s9"]],
    )
    filter: Filter | None = FILTER_FIELD
