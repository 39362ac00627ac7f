"""What is asked, by whom, about which catalogue: all that a ranking may depend on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.catalogue.catalogue_version import CatalogueVersion
from app.stores.customer import CustomerState


@dataclass(frozen=True, slots=True)
class Choice:
    """The sales that a caller wants to have ranked.

    Attributes:
        sale_ids: His candidates, each once.
        is_ordered: Whether their order says something: it then decides between sales that
            the service scores alike, and is the answer's where no model can score.
    """

    sale_ids: tuple[str, ...]
    is_ordered: bool


@dataclass(frozen=True, slots=True)
class RecommendationRequest:
    """What a caller asks for.

    Attributes:
        customer_id: Who looks at the page; None for a visitor without id.
        session_id: The visit, if the caller names it.
        device_id: The device, if the caller names it.
        market: Only sales of this market; None asks for any.
        device: As the caller names it.
        limit: Number of sales wanted.
        exclude: Sale ids that must not be shown.
        forced: The variants that the caller forces, by experiment.
        choice: The caller's own candidates; None for all sales.
    """

    customer_id: str | None = None
    session_id: str | None = None
    device_id: str | None = None
    market: str | None = None
    device: str | None = None
    limit: int = 10
    exclude: tuple[str, ...] = ()
    forced: Mapping[str, str] = field(default_factory=dict[str, str])
    choice: Choice | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RankingRequest:
    """A request at its moment.

    Attributes:
        request: What the caller asks for.
        state: The customer, and the moment of the answer.
        served: The catalogue; None before there is any.
        recommendation_id: Id of the answer, which decides what chance decides.
    """

    request: RecommendationRequest
    state: CustomerState
    served: CatalogueVersion | None
    recommendation_id: str = ""
