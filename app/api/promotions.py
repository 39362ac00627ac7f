"""Promotion routes: staged rollout of a bundle to more and more customers, stopped by its rules."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from app.api.dependencies import ResourcesDep, caller
from app.api.middleware.audit import changed
from app.api.parameters import DIGITS
from app.api.schema.body import described, parsed
from app.api.schema.problem import problems
from models.domain.event import Identifier
from models.promotion.check import Finding
from models.promotion.estimate import OffPolicyEstimate
from models.promotion.promotion import Promotion
from models.promotion.rule import PromotionRules

router = APIRouter(prefix="/v1/promotions", tags=["promotions"])

MAX_NUMBER: Final = 2**53

_READ: Final = problems(
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)


class PromotionBody(BaseModel):
    """A bundle to promote, and its rules; rules that are left out have their defaults."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"bundle": "20261101T000000-5b1f0c9d3a77"}]},
    )

    bundle: Identifier = Field(description="Its id.")
    rules: PromotionRules = PromotionRules()


class StopBody(BaseModel):
    """The reason why a promotion is stopped."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{"reason": "wrong prices"}]}
    )

    reason: str = Field(min_length=1, max_length=1_000)


class PromotionList(BaseModel):
    """The last promotions, the latest first."""

    model_config = ConfigDict(frozen=True)

    items: list[Promotion]


class PromotionState(BaseModel):
    """A promotion, and the findings of its rules now."""

    model_config = ConfigDict(frozen=True)

    promotion: Promotion
    findings: list[Finding] = Field(
        description="Of the stage it is in, as the answering worker sees it; none where it is over."
    )


Number = Annotated[
    int, Path(ge=1, le=MAX_NUMBER, description="The promotion.", examples=[1]), DIGITS
]


async def read_body(request: Request) -> PromotionBody:
    """Parse the body."""
    return parsed(PromotionBody, await request.body())


async def read_stop(request: Request) -> StopBody:
    """Parse the body."""
    return parsed(StopBody, await request.body())


async def read_estimate(request: Request) -> OffPolicyEstimate:
    """Parse the body."""
    return parsed(OffPolicyEstimate, await request.body())


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    openapi_extra=described(PromotionBody),
    responses=_READ,
)
async def begin_promotion(
    body: Annotated[PromotionBody, Depends(read_body)], request: Request, resources: ResourcesDep
) -> Promotion:
    """Verify a bundle here, and begin its promotion: in shadow within two seconds."""
    changed(request, bundle=body.bundle)
    return await resources.promotion_editor.begin(body.bundle, body.rules, who=caller(request))


@router.get("", responses=problems(HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE))
async def list_promotions(resources: ResourcesDep) -> PromotionList:
    """Return the last promotions with all their decisions; a hundred are kept."""
    return PromotionList(items=await resources.promotion_editor.recent())


@router.get("/{number}", responses=_READ)
async def get_promotion(number: Number, resources: ResourcesDep) -> PromotionState:
    """Return a promotion, and the findings of its rules now."""
    promotion = await resources.promotion_editor.get(number)
    return PromotionState(
        promotion=promotion, findings=[*await resources.promotion_controller.findings(promotion)]
    )


@router.post("/{number}/stop", openapi_extra=described(StopBody), responses=_READ)
async def stop_promotion(
    number: Number,
    body: Annotated[StopBody, Depends(read_stop)],
    request: Request,
    resources: ResourcesDep,
) -> Promotion:
    """Stop a promotion: within two seconds all customers see the serving bundle again."""
    return await resources.promotion_editor.stop(number, body.reason, who=caller(request))


@router.put("/{number}/estimate", openapi_extra=described(OffPolicyEstimate), responses=_READ)
async def put_estimate(
    number: Number,
    estimate: Annotated[OffPolicyEstimate, Depends(read_estimate)],
    resources: ResourcesDep,
) -> Promotion:
    """Hand in the output of `python -m training off-policy --json` for the bundle."""
    return await resources.promotion_editor.set_estimate(number, estimate)
