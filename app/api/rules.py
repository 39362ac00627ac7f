"""Rule routes: what a merchandiser asks of every slate, and what these rules are about now."""

from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Response
from pydantic import BaseModel, Field
from pydantic.config import JsonDict

from app.api.dependencies import ResourcesDep
from app.api.experiments import AuthorDep
from app.api.schema.body import body_of, described, example
from app.api.schema.problem import problems
from app.catalogue.catalogue_version import CatalogueVersion
from app.resources import Resources
from app.stores.plan import StoredPlan
from models.domain.customer import Window
from models.domain.profile import Profile
from models.query.candidates import CallerChoice, candidate_query
from models.query.query import Context, Query
from models.rules.review import review
from models.rules.rule import SlateRule, SlateRules

router = APIRouter(prefix="/v1", tags=["rules"])

_RULE: Final[JsonDict] = {
    "name": "ski-in-winter",
    "when": 'market == "fr"',
    "where": 'category == "ski" and price < 500',
    "action": {"kind": "boost", "odds": 1.5},
    "budget": 20.0,
    "ends_at": "2027-03-01T00:00:00Z",
}
_REVIEW: Final[JsonDict] = {
    "rule": _RULE,
    "holds": True,
    "n_matching": 41,
    "spent": 0.8,
    "is_stopped": False,
    "warnings": [],
}


class RuleSet(BaseModel):
    """The rules of every visit, by precedence: of two that cannot both hold, the first does."""

    model_config = example({"items": [_RULE]}, extra="forbid")

    items: SlateRules


class ReviewedRule(BaseModel):
    """A rule, and what it is about now, for an unknown customer."""

    model_config = example(_REVIEW)

    rule: SlateRule
    holds: bool = Field(description="Whether it runs now and its `when` is met in any market.")
    n_matching: int = Field(
        description="Open sales that meet its `where`, in the market where it holds and these are "
        "most; where it holds in none, in any."
    )
    spent: float | None = Field(
        description="Expected outcomes that a rule with a budget has cost, by its price; below 0 "
        "for a gain. Null without a budget."
    )
    is_stopped: bool = Field(description="Whether that is its budget: it holds no longer.")
    warnings: list[str] = Field(description="What looks wrong.")


class RuleList(BaseModel):
    """All rules of the plan's default policy, and the version of the plan."""

    model_config = example({"version": 4, "items": [_REVIEW]})

    version: int = Field(description="Of the plan; also its ETag.")
    items: list[ReviewedRule]


@router.get("/rules", response_model=RuleList, responses=problems(409, 503))
async def list_rules(resources: ResourcesDep) -> Response:
    """Return the rules with what they are about now; variants may have rules of their own."""
    return _answer(await resources.plan_editor.current(), resources)


@router.put(
    "/rules",
    response_model=RuleList,
    openapi_extra=described(RuleSet),
    responses=problems(409, 412, 422, 503),
)
async def put_rules(
    rules: Annotated[RuleSet, body_of(RuleSet)], author: AuthorDep, resources: ResourcesDep
) -> Response:
    """Replace the rules: all of them are taken, or none; the answer warns of what looks wrong."""
    # A rule may name a sale that was put just before it.
    await resources.live.follow()
    stored = await resources.plan_editor.put_rules(rules.items, author)
    await resources.plan.poll()
    return _answer(stored, resources)


def _visit(served: CatalogueVersion, market: str | None, now_us: int) -> Query:
    return candidate_query(
        served.eligible_sales.at(market, now_us),
        Context(now_us, market),
        window=Window.empty(),
        profile=Profile.empty(),
        choice=CallerChoice(),
    )


def _answer(stored: StoredPlan, resources: Resources) -> Response:
    rules, served = stored.plan.default.rules.root, resources.live.served
    budgets, items = resources.pipeline.budgets, list[dict[str, object]]()
    if served is not None:
        now_us = resources.pipeline.clock.now_us()
        query = _visit(served, None, now_us)
        markets = {name: _visit(served, name, now_us) for name in served.catalogue.markets.names}
        items = [
            {
                "rule": one.rule.model_dump(mode="json", exclude_unset=True),
                "holds": one.holds and not budgets.is_stopped(one.rule),
                "n_matching": one.n_matching,
                "spent": None if one.rule.budget is None else budgets.spent(one.rule.name),
                "is_stopped": budgets.is_stopped(one.rule),
                "warnings": one.warnings,
            }
            for one in review(rules, query, markets=markets)
        ]
    return Response(
        orjson.dumps({"version": stored.version, "items": items}),
        headers={"ETag": f'"{stored.version}"'},
        media_type="application/json",
    )
