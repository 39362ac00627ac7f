"""Ranking request: a request for a recommendation, and all inputs of its ranking."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.catalogue.catalogue_version import CatalogueVersion
from app.recommend.degradation_level import Cause
from app.stores.customer_state import CustomerState
from models.query.candidates import CallerChoice
from models.slate.page import PageRow
from models.slate.slate_policy import SlatePolicy


@dataclass(frozen=True, slots=True)
class RecommendationRequest:
    """A request as the caller made it.

    Attributes:
        customer_id: The customer; None for a visitor without id.
        session_id: The visit, if the caller names it.
        device_id: The device, if the caller names it.
        market: Only sales of this market; None for any.
        device: As the caller names it.
        limit: Number of sales wanted.
        forced: The variants that the caller forces, by experiment.
        choice: Sales that the caller excludes, or wants to have ranked.
        filter: Condition on the sales that the caller wants, see `models.rules.expression`.
        rows: Rows of a page; empty for a list.
    """

    customer_id: str | None = None
    session_id: str | None = None
    device_id: str | None = None
    market: str | None = None
    device: str | None = None
    limit: int = 10
    forced: Mapping[str, str] = field(default_factory=dict[str, str])
    choice: CallerChoice = field(default_factory=CallerChoice)
    filter: str | None = None
    rows: tuple[PageRow, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Rival:
    """The second policy of an interleaved slate.

    Attributes:
        experiment: Name of the experiment.
        first: Name of the variant of the request's own policy.
        second: Name of the rival's variant.
        served: The catalogue with the scorer of the rival's bundle.
        policy: The rival's order and diversity.
    """

    experiment: str
    first: str
    second: str
    served: CatalogueVersion
    policy: SlatePolicy


@dataclass(frozen=True, slots=True, eq=False)
class RankingRequest:
    """Ranking request: all inputs of a ranking, so that repeated rankings are bit-identical.

    Attributes:
        request: The caller's request.
        state: The customer, and the moment of the answer.
        served: The catalogue and its scorer; None before there is any.
        policy: How the slate is made; without a model, by popularity.
        cause: What is known to be missing before anything is ranked, and why.
        recommendation_id: Id of the answer; it seeds the draws of exploration and interleaving.
        rival: The policy that shares the slate; None for a slate of one policy.
    """

    request: RecommendationRequest
    state: CustomerState
    served: CatalogueVersion | None
    policy: SlatePolicy = field(default_factory=SlatePolicy)
    cause: Cause | None = None
    recommendation_id: str = ""
    rival: Rival | None = None
