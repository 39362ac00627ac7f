"""What is asked, by whom, about which catalogue: all that a ranking may depend on."""

from dataclasses import dataclass

from app.serving.ports import CustomerState
from app.serving.served import ServedCatalogue


@dataclass(frozen=True, slots=True)
class RecommendationRequest:
    """What a caller asks for.

    Attributes:
        customer_id: Who looks at the page.
        session_id: The visit, if the caller names it.
        market: Only sales of this market; None asks for any.
        device: As the caller names it.
        limit: Number of sales wanted.
        exclude: Sale ids that must not be shown.
    """

    customer_id: str
    session_id: str | None = None
    market: str | None = None
    device: str | None = None
    limit: int = 10
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """A request at its moment.

    Attributes:
        request: What the caller asks for.
        state: The customer, and the moment of the answer.
        served: The catalogue; None before there is any.
    """

    request: RecommendationRequest
    state: CustomerState
    served: ServedCatalogue | None
