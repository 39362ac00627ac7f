"""Routing of a request to variants, by the plan of experiments."""

from dataclasses import dataclass, replace

from app.errors import ExclusiveVariantsError, UnknownVariantError
from app.recommend.request import RecommendationRequest
from app.stores.customer_state import CustomerState
from app.stores.plan import StoredPlan
from models.domain.event import from_us
from models.experiments.plan import plan as plans
from models.experiments.plan.experiment import Unit
from models.experiments.plan.plan import Route, Visit


@dataclass(frozen=True, slots=True)
class Routing:
    """A route (the policy and the assignments), and the plan that decided it."""

    stored: StoredPlan
    route: Route


def routed(
    stored: StoredPlan,
    request: RecommendationRequest,
    *,
    customer: CustomerState | None,
    now_us: int,
) -> Routing:
    """Route a request.

    Args:
        stored: The plan.
        request: Names the units, market, device and forced variants.
        customer: The customer; None where the store could not be read.
        now_us: The moment of the answer, microseconds since the epoch.

    Raises:
        UnknownVariantError: If a forced variant belongs to no running experiment.
        ExclusiveVariantsError: If two variants of one layer are forced.
    """
    # Experiments know a customer by the id that was there first: they keep its variant.
    merges = None if customer is None else customer.merges
    units = {
        Unit.CUSTOMER: request.customer_id if merges is None else merges.first_id,
        Unit.SESSION: request.session_id,
        Unit.DEVICE: request.device_id,
    }
    # None, where the store could not be read, enters no experiment on new or known customers.
    is_new = None
    if customer is not None:
        is_new = not len(customer.window) and not any(customer.profile.counts)
    visit = Visit(
        now=from_us(now_us),
        units={unit: unit_id for unit, unit_id in units.items() if unit_id is not None},
        market=request.market,
        device=request.device,
        is_new=is_new,
        forced=request.forced,
    )
    try:
        route = stored.plan.route(visit)
    except plans.UnknownVariantError as exc:
        raise UnknownVariantError(str(exc)) from exc
    except plans.ExclusiveVariantsError as exc:
        raise ExclusiveVariantsError(str(exc)) from exc
    return Routing(stored, _of_one_policy(route) if request.rows else route)


def _of_one_policy(route: Route) -> Route:
    """Return the route without an interleaving: its control makes a page, which counts in none."""
    shared = route.interleaving
    if shared is None:
        return route
    others = tuple(one for one in route.assignments if one.experiment != shared.experiment)
    return replace(route, assignments=others, interleaving=None)
