"""Bodies of requests, parsed strictly: a number is no time, a string no price."""

from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)


def parsed(model: type[Model], content: bytes) -> Model:
    """Parse a JSON body.

    Raises:
        RequestValidationError: If it is malformed, with every fault and its place.
    """
    try:
        return model.model_validate_json(content, strict=True)
    except ValidationError as exc:
        errors = exc.errors(include_url=False, include_context=False, include_input=False)
        located = [{**error, "loc": ("body", *error["loc"])} for error in errors]
        raise RequestValidationError(located) from exc


def described(model: type[BaseModel]) -> dict[str, Any]:
    """Describe a body that a route parses itself for OpenAPI."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
