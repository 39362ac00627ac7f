"""Promotion routes: staged rollout of a bundle to more and more customers, stopped by its rules."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field

from app.api.dependencies import ResourcesDep, caller
from app.api.middleware.audit import changed
from app.api.parameters import DIGITS
from app.api.schema.body import body_of, described, example
from app.api.schema.problem import problems
from models.domain.event import Identifier
from models.promotion.check import Finding
from models.promotion.estimate import OffPolicyEstimate
from models.promotion.promotion import Promotion
from models.promotion.rule import PromotionRules

router = APIRouter(prefix="/v1/promotions", tags=["promotions"])

# The largest whole number that JavaScript and JSON readers in it take exactly.
MAX_NUMBER: Final = 2**53

_PROBLEMS: Final = problems(404, 409, 422, 503)


class PromotionBody(BaseModel):
    """A bundle to promote, and its rules; rules that are left out have their defaults."""

    model_config = example({"bundle": "20261101T000000-5b1f0c9d3a77"}, extra="forbid")

    bundle: Identifier = Field(description="Its id.")
    rules: PromotionRules = PromotionRules()


class StopBody(BaseModel):
    """The reason why a promotion is stopped."""

    model_config = example({"reason": "wrong prices"}, extra="forbid")

    reason: str = Field(min_length=1, max_length=1_000)


class PromotionList(BaseModel, frozen=True):
    """The last promotions, the latest first."""

    items: list[Promotion]


class PromotionState(BaseModel, frozen=True):
    """A promotion, and the findings of its rules now."""

    promotion: Promotion
    findings: list[Finding] = Field(
        description="Of the stage it is in, as the answering worker sees it; none where it is over."
    )


Number = Annotated[
    int, Path(ge=1, le=MAX_NUMBER, description="The promotion.", examples=[1]), DIGITS
]


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    openapi_extra=described(PromotionBody),
    responses=_PROBLEMS,
)
async def begin_promotion(
    body: Annotated[PromotionBody, body_of(PromotionBody)],
    request: Request,
    resources: ResourcesDep,
) -> Promotion:
    """Verify a bundle here, and begin its promotion: in shadow within two seconds."""
    changed(request, bundle=body.bundle)
    return await resources.promotion_editor.begin(body.bundle, body.rules, who=caller(request))


@router.get("", responses=problems(409, 503))
async def list_promotions(resources: ResourcesDep) -> PromotionList:
    """Return the last promotions with all their decisions; a hundred are kept."""
    return PromotionList(items=await resources.promotion_editor.recent())


@router.get("/{number}", responses=_PROBLEMS)
async def get_promotion(number: Number, resources: ResourcesDep) -> PromotionState:
    """Return a promotion, and the findings of its rules now."""
    promotion = await resources.promotion_editor.get(number)
    return PromotionState(
        promotion=promotion, findings=[*await resources.promotion_controller.findings(promotion)]
    )


@router.post("/{number}/stop", openapi_extra=described(StopBody), responses=_PROBLEMS)
async def stop_promotion(
    number: Number,
    body: Annotated[StopBody, body_of(StopBody)],
    request: Request,
    resources: ResourcesDep,
) -> Promotion:
    """Stop a promotion: within two seconds all customers see the serving bundle again."""
    return await resources.promotion_editor.stop(number, body.reason, who=caller(request))


@router.put("/{number}/estimate", openapi_extra=described(OffPolicyEstimate), responses=_PROBLEMS)
async def put_estimate(
    number: Number,
    estimate: Annotated[OffPolicyEstimate, body_of(OffPolicyEstimate)],
    resources: ResourcesDep,
) -> Promotion:
    """Hand in the output of `python -m training off-policy --json` for the bundle."""
    return await resources.promotion_editor.set_estimate(number, estimate)
