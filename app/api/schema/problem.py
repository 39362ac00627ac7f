"""Error answers in the form of RFC 9457, problem details."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import Response
from pydantic import BaseModel, Field

from app.api.schema.body import example
from app.errors import ServiceError, problem

MEDIA_TYPE: Final = "application/problem+json"


class FieldProblem(BaseModel, frozen=True):
    """One fault of a malformed request."""

    location: str = Field(description="Where: query or body, and the path to the field.")
    detail: str = Field(description="What is wrong there.")


class Problem(BaseModel):
    """An error answer; clients may match on `code`, never on `detail`."""

    model_config = example(
        {
            "type": "urn:vitrine:problem:store_unavailable",
            "title": "Service Unavailable",
            "status": 503,
            "detail": "the store is unavailable while appending events: timed out",
            "code": "store_unavailable",
            "errors": [],
        }
    )

    type: str = Field(description="`urn:vitrine:problem:` and the code.")
    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status.", ge=400, le=599)
    detail: str = Field(description="What happened, for humans.")
    code: str = Field(description="Stable name of the case.")
    errors: list[FieldProblem] = Field(description="Every fault of a malformed request.")


def problem_response(
    status: HTTPStatus,
    code: str,
    *,
    detail: str,
    errors: tuple[FieldProblem, ...] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Render an error answer."""
    faults = [one.model_dump() for one in errors]
    content = problem(status, code, detail=detail, errors=faults)
    return Response(content, status, headers=headers, media_type=MEDIA_TYPE)


def error_response(exc: ServiceError, headers: Mapping[str, str] | None = None) -> Response:
    """Render an error that clients can match on."""
    return problem_response(exc.status, exc.code, detail=str(exc), headers=headers)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe a route's error answers for OpenAPI."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in statuses
    }
