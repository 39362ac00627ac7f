"""The OpenAPI document, with the schemas that FastAPI cannot see."""

from collections.abc import Sequence
from typing import Any, Final, Literal

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel, JsonValue
from pydantic.json_schema import models_json_schema

from app.api.bundles import ActivationBody, BundleBody
from app.api.events import EventBatch
from app.api.middleware.authentication import KEY_HEADER, required_scope
from app.api.pages import PageBody
from app.api.promotions import PromotionBody, StopBody
from app.api.rank import RankBody
from app.api.recommendations import BatchBody
from app.api.rules import RuleSet
from app.api.sales import SaleBody
from app.api.schema.openapi_examples import add_examples, add_parameter_examples
from app.api.schema.problem import Problem, problems
from models.experiments.plan.plan_edit import ExperimentTerms, PlanDraft
from models.promotion.estimate import OffPolicyEstimate

SCHEMES: Final = {
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": KEY_HEADER,
        "description": "Needed where the service has keys; without, it listens on loopback only.",
    },
    "bearer": {"type": "http", "scheme": "bearer", "description": "The same key."},
}

_REFUSALS: Final = problems(401, 403, 429)
_BODY_REFUSALS: Final = problems(413, 415)

# Routes parse these themselves, so that FastAPI does not know them.
_BODIES: Final = (
    *(EventBatch, SaleBody, RankBody, BatchBody, PageBody, BundleBody, ActivationBody),
    *(PromotionBody, StopBody, RuleSet),
    *(OffPolicyEstimate, ExperimentTerms, PlanDraft),
)

TEMPLATE: Final = "#/components/schemas/{model}"


def openapi_document(app: FastAPI, routers: Sequence[APIRouter]) -> dict[str, Any]:
    """Describe the application: its routes, what they read, and every error answer."""
    document = get_openapi(
        title=app.title, version=app.version, summary=app.summary, routes=app.routes
    )
    _, schemas = models_json_schema(
        [*((body, "validation") for body in _BODIES), (Problem, "serialization")],
        ref_template=TEMPLATE,
    )
    components = document.setdefault("components", {}).setdefault("schemas", {})
    components.update(schemas["$defs"])
    _refuse_other_names(components)
    _restore_nulls(components, routers)
    add_examples(components)
    document["components"]["schemas"] = dict(sorted(components.items()))
    document["components"]["securitySchemes"] = SCHEMES
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            add_parameter_examples(operation)
            scope = required_scope(method.upper(), path)
            if scope is not None:
                # OpenAPI lets a key's scheme list roles: the scope that it needs.
                operation["security"] = [{name: [scope.value]} for name in SCHEMES]
                refusals = _REFUSALS | (_BODY_REFUSALS if "requestBody" in operation else {})
                described = operation["responses"] | {str(n): one for n, one in refusals.items()}
                operation["responses"] = dict(sorted(described.items()))
    return document


def _refuse_other_names(schema: JsonValue) -> None:
    """Say of mappings whose names have a pattern that they have no others.

    Pydantic leaves that out, and a schema allows by default what no pattern matches.
    """
    if isinstance(schema, list):
        for one in schema:
            _refuse_other_names(one)
    elif isinstance(schema, dict):
        if "patternProperties" in schema:
            schema["additionalProperties"] = False
        for one in schema.values():
            _refuse_other_names(one)


def _restore_nulls(components: dict[str, Any], routers: Sequence[APIRouter]) -> None:
    """Give answers their examples as they are declared: FastAPI drops nulls."""
    routes = [route for router in routers for route in router.routes]
    answers = {route.response_model for route in routes if isinstance(route, APIRoute)}
    declared: list[tuple[type[BaseModel], Literal["serialization"]]] = [
        (one, "serialization")
        for one in answers
        if isinstance(one, type) and issubclass(one, BaseModel)
    ]
    _, schemas = models_json_schema(declared, ref_template=TEMPLATE)
    for name, schema in schemas["$defs"].items():
        if "examples" in schema:
            components[name]["examples"] = schema["examples"]
