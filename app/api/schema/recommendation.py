"""The answer of both routes that return a slate."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from time import monotonic
from typing import Annotated, Any, Final

import numpy as np
import orjson
from fastapi import Request, Response
from pydantic import BaseModel, Field
from pydantic.config import JsonDict, JsonValue

from app.api.middleware.admission import turn_of
from app.api.schema.body import example
from app.api.schema.cursor import next_cursor
from app.api.schema.sale_fields import VIEW_EXAMPLE, SaleField, SaleView, sale_view
from app.recommend.degradation_level import DegradationLevel
from app.recommend.explanation import MAX_EXPLAINED
from app.recommend.pipeline import Recommendation
from app.resources import Resources
from models.domain.event import key
from models.domain.sale import COVER, MAX_PICTURES
from models.experiments.exposure_record import ExposureRecord
from models.ranker.explanation import Explanation
from models.scoring.probability import MEANINGS, ProbabilityOf

ASSIGNMENT_EXAMPLE: Final[JsonDict] = {
    "experiment": "home-page",
    "variant": "meta",
    "forced": False,
}
EXPLANATION_EXAMPLE: Final[JsonDict] = {
    "sentence": "Like the 2 sales of 'Ski resort' opened this week; popular now.",
    "log_odds": -3.98,
    "base": -4.61,
    "contributions": [
        {"group": "content", "log_odds": 0.52},
        {"group": "popularity", "log_odds": 0.15},
        {"group": "sale", "log_odds": -0.04},
    ],
}
FIELDS_EXAMPLE: Final[list[JsonValue]] = ["title", "price", "closes_at", "image"]
SALE_EXAMPLE: Final[JsonDict] = {
    "sale_id": "s-31",
    "rank": 1,
    "purchase_probability": 0.0183,
    "rules": ["ski-in-winter"],
    "cover": 2,
    "explanation": EXPLANATION_EXAMPLE
    | {"sentence": "Placed by the rule 'ski-in-winter'. Its price; popular now."},
    "sale": VIEW_EXAMPLE,
}
SLATE_EXAMPLE: Final[JsonDict] = {
    "recommendation_id": "6f0c0f7a5f1e4f0f9a53a0a5a6f3b0de",
    "bundle": "20261101T000000-5b1f0c9d3a77",
    "assignments": [ASSIGNMENT_EXAMPLE],
    "degraded": None,
    "probability_of": "shown_at_position_1",
    "unmet_rules": [],
    "items": [SALE_EXAMPLE],
}


class Contribution(BaseModel):
    """Contribution of a recommender, or another group of features, to the log-odds of purchase."""

    model_config = example({"group": "content", "log_odds": 0.52})

    group: str = Field(description="A recommender's name, or what the features are about.")
    log_odds: float = Field(description="What it adds; below 0 it speaks against the sale.")


class SaleExplanation(BaseModel):
    """The explanation of a purchase probability."""

    model_config = example(EXPLANATION_EXAMPLE)

    sentence: str = Field(
        description="The rules that placed it; the strongest reasons that speak for it, in words; "
        "whether it is less likely than the average sale all in all; what else than the "
        "probability it is ordered by."
    )
    log_odds: float = Field(description="Log-odds of the probability: the sum of what follows.")
    base: float = Field(description="Log-odds of the average sale shown in training.")
    contributions: list[Contribution] = Field(description="What is added to it, largest first.")


class RecommendedSale(BaseModel):
    """One sale of a slate."""

    model_config = example(SALE_EXAMPLE)

    sale_id: str
    rank: int = Field(
        ge=1, description="Position on the page, from 1: send it as `position` of events."
    )
    purchase_probability: float | None = Field(
        ge=0,
        le=1,
        description="Probability of a purchase, or of a click, within the bundle's "
        "`outcome_hours` (24 unless configured), of what `probability_of` says; null where no "
        "model scored.",
    )
    rules: list[str] = Field(
        description="Names of the rules that put it there, see `/v1/rules`: that pin it, or "
        "moved it by a boost, or keep a place for it; those of a row of a page as `row/rule`."
    )
    cover: int | None = Field(
        ge=COVER,
        le=MAX_PICTURES,
        description="Number of the picture to show for it, of those put under `/v1/sales`: send it "
        "back as `cover` of its impression and click. Null where the shop decides.",
    )
    explanation: SaleExplanation | None = Field(
        description=f"With `explain`: why, for the first {MAX_EXPLAINED} sales; null where it "
        "was not asked for, no model scored, or there was no time for it."
    )
    sale: SaleView | None = Field(description="With `fields`: these of the sale; null without.")


class AssignedVariant(BaseModel):
    """Variant that the visit is assigned to."""

    model_config = example(ASSIGNMENT_EXAMPLE)

    experiment: str
    variant: str
    forced: bool = Field(description="Whether the caller decided, and not the hash.")


class AnswerHead(BaseModel):
    """What every answer says beside its sales."""

    recommendation_id: str = Field(description="Send it back as `exposure_id` of events.")
    bundle: str | None = Field(description="The bundle that scored; null without a model.")
    assignments: list[AssignedVariant] = Field(
        description="The variants that decided how the slate was made; `holdout` is one too."
    )
    degraded: DegradationLevel | None = Field(
        description="What the answer had to do without; null: nothing."
    )
    probability_of: ProbabilityOf | None = Field(
        description="What `purchase_probability` is of, by the objective and what the shop logs: "
        + "; ".join(f"`{one}`, that {meaning}" for one, meaning in MEANINGS.items())
        + ". Null where no model scored."
    )
    unmet_rules: list[str] = Field(
        description="Names of the pins and guarantees that no sale could meet which may be shown: "
        "it is closed, sold out, of another market, excluded, there are too few, or the place is "
        "beyond the list; and of the rules that leave no sale at all. Those of a row of a page are "
        "named `row/rule`."
    )


class SlateAnswer(AnswerHead):
    """A slate: the sales in the order of the page."""

    model_config = example(SLATE_EXAMPLE)

    items: list[RecommendedSale] = Field(description="By rank.")


SaleFields = Annotated[
    tuple[SaleField, ...],
    Field(
        max_length=len(SaleField),
        description="Fields of each sale to return as `sale`; in a URL, repeat it per field.",
        examples=[FIELDS_EXAMPLE],
    ),
]


async def answered(
    request: Request,
    recommendation: Recommendation,
    *,
    resources: Resources,
    is_explained: bool,
    fields: Sequence[SaleField],
    extra: Mapping[str, object],
) -> Response:
    """Render an answer, with `extra` fields, timed, and labelled for the metrics."""
    explanations = await reasons_of(
        request, recommendation, resources=resources, is_explained=is_explained
    )
    labelled(request, recommendation, resources=resources)
    body = slate_fields(recommendation, explanations=explanations, fields=fields) | dict(extra)
    return Response(orjson.dumps(body, option=orjson.OPT_UTC_Z), media_type="application/json")


async def reasons_of(
    request: Request,
    recommendation: Recommendation,
    *,
    resources: Resources,
    is_explained: bool,
) -> Sequence[Explanation]:
    """Explain the first sales of an answer where that is asked for, and time its stages."""
    slate = recommendation.record.slate
    request.state.stages = stages = {"read": recommendation.read, "rank": recommendation.rank}
    if not is_explained or all(shown.purchase_probability is None for shown in slate):
        return ()
    turn_of(request).end()  # another thread explains: the next request need not wait for it
    started = monotonic()
    sale_ids = [shown.sale_id for shown in slate]
    explanations = await resources.explainer.explain(recommendation.asked, sale_ids)
    stages["explain"] = (started, monotonic() - started)
    return explanations


def labelled(request: Request, recommendation: Recommendation, *, resources: Resources) -> None:
    """Label a request by its answer, for metrics and the log."""
    record = recommendation.record
    request.state.variant = resources.pipeline.counts.label(record)
    request.state.degraded = record.degraded or ""
    request.state.bundle = record.bundle_id


def slate_fields(
    recommendation: Recommendation,
    *,
    explanations: Sequence[Explanation],
    fields: Sequence[SaleField],
) -> dict[str, Any]:
    """Return the fields of `SlateAnswer`, without a next page.

    Args:
        recommendation: The answer.
        explanations: Those of its first sales.
        fields: What is returned of each sale.
    """
    record, served = recommendation.record, recommendation.asked.served
    body = slate_body(record, explanations)
    is_scored = any(shown.purchase_probability is not None for shown in record.slate)
    scorer = served.scorer if served is not None and is_scored else None
    body["unmet_rules"] = recommendation.unmet
    body["probability_of"] = scorer.probability_of if scorer is not None else None
    if fields and served is not None:
        for item in body["items"]:
            item["sale"] = sale_view(served.catalogue, item["sale_id"], fields=fields)
    return body


def next_page(recommendation: Recommendation) -> str | None:
    """Return the cursor of the page behind an answer; None if nothing is left to show."""
    asked, slate = recommendation.asked, recommendation.record.slate
    request = asked.request
    # A page of rows ends where their kinds have no more, and other rows may have.
    is_last = len(slate) < request.limit and not request.rows
    if asked.served is None or not slate or is_last:
        return None
    choice = request.choice
    eligible = asked.served.eligible_sales.at(request.market, asked.state.now_us)
    if len(choice.rows(eligible)) <= len(slate):
        return None
    shown = np.array([key(one.sale_id) for one in slate], dtype=np.uint64)
    return next_cursor(choice.seen, shown)


def slate_body(record: ExposureRecord, explanations: Sequence[Explanation]) -> dict[str, Any]:
    """Return the fields of `SlateAnswer` that follow from the record.

    Args:
        record: Of the answer.
        explanations: Those of its first sales.
    """
    covers = {one.rank: one.number for one in record.covers.shown} if record.covers else {}
    return {
        "recommendation_id": record.recommendation_id,
        "bundle": record.bundle_id or None,
        "assignments": [
            {"experiment": one.experiment, "variant": one.variant, "forced": one.is_forced}
            for one in record.assignments
        ],
        "degraded": record.degraded,
        "items": [
            {
                "sale_id": shown.sale_id,
                "rank": shown.rank,
                "purchase_probability": shown.purchase_probability,
                "rules": shown.rules,
                "cover": covers.get(shown.rank),
                "sale": None,
                "explanation": explanation
                and {
                    "sentence": f"{_placed(shown.rules)}{explanation.sentence}",
                    "log_odds": explanation.log_odds,
                    "base": explanation.base,
                    "contributions": [
                        {"group": group, "log_odds": log_odds}
                        for group, log_odds in explanation.groups.items()
                    ],
                },
            }
            for shown, explanation in zip_longest(record.slate, explanations)
        ],
    }


def _placed(rules: Sequence[str]) -> str:
    names = ", ".join(repr(name) for name in rules)
    return f"Placed by the rule{'s' * (len(rules) > 1)} {names}. " if rules else ""
