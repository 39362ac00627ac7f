"""The OpenAPI document, with the schemas that FastAPI cannot see."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from app.api.bundles import BundleBody
from app.api.events import EventBatch
from app.api.problem import Problem
from app.api.rank import RankBody
from app.api.sales import SaleBody

TEMPLATE: Final = "#/components/schemas/{model}"


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """Describe the application: its routes, what they read, and every error answer."""
    document = get_openapi(
        title=app.title, version=app.version, summary=app.summary, routes=app.routes
    )
    _, schemas = models_json_schema(
        [
            (EventBatch, "validation"),
            (SaleBody, "validation"),
            (RankBody, "validation"),
            (BundleBody, "validation"),
            (Problem, "serialization"),
        ],
        ref_template=TEMPLATE,
    )
    components = document.setdefault("components", {}).setdefault("schemas", {})
    components.update(schemas["$defs"])
    document["components"]["schemas"] = dict(sorted(components.items()))
    return document
