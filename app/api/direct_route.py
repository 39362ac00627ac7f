"""Direct route: one of a fixed path, answered without FastAPI's router and dependencies.

FastAPI documents it as any other, and refusals are the same. It would match routes, open two exit
stacks, and derive anew for each request how parameters are read.
"""

from collections.abc import Awaitable, Callable, Coroutine
from inspect import iscoroutinefunction, signature
from typing import Any, cast
from urllib.parse import parse_qsl

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from app.api.parameters import LISTS, refuse_repeated

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class DirectRoute(APIRoute):
    """Route for an endpoint that returns a response.

    It may ask for the request, for one model of the query, and for dependencies that are coroutines
    of the request alone.
    """

    def get_route_handler(self) -> Handler:
        """Return what answers a request.

        Raises:
            TypeError: If the endpoint, route or router asks for what would be left out.
        """
        self._require_nothing_else()
        asked = self.dependant
        models = {one.name: _model(one) for one in asked.query_params}
        reads = [
            (one.name, cast("Callable[[Request], Awaitable[object]]", one.call))
            for one in asked.dependencies
        ]
        endpoint = cast("Callable[..., Awaitable[Response]]", self.endpoint)

        async def handle(request: Request) -> Response:
            given: dict[str, object] = {
                name: read_query(request, model) for name, model in models.items() if model
            }
            if asked.request_param_name is not None:
                given[asked.request_param_name] = request
            for name, read in reads:
                value = await read(request)
                if name is not None:
                    given[name] = value
            return await endpoint(**given)

        return handle

    def _require_nothing_else(self) -> None:
        asked = self.dependant
        queries = [one.name for one in asked.query_params[:1] if _model(one) is not None]
        given = {*queries, asked.request_param_name, *(one.name for one in asked.dependencies)}
        left = [getattr(one.call, "__name__", "?") for one in asked.dependencies if not _reads(one)]
        left += [name for name in signature(self.endpoint).parameters if name not in given]
        if left or "{" in self.path:
            msg = (
                f"{self.path}: a DirectRoute serves a fixed path, the request, one model of its"
                f" query and what a coroutine reads from it, not {', '.join(left)}; use APIRoute"
            )
            raise TypeError(msg)


def _reads(asked: Dependant) -> bool:
    """Tell whether a dependency is a coroutine of the request alone."""
    call = asked.call
    if call is None or asked.request_param_name is None or not iscoroutinefunction(call):
        return False
    return len(signature(call).parameters) == 1


def _model(field: Any) -> type[BaseModel] | None:  # noqa: ANN401 - FastAPI hides its type
    annotation = cast("object", field.field_info.annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return None


def read_query(request: Request, model: type[BaseModel]) -> BaseModel:
    """Validate the parameters of a request.

    Raises:
        RequestValidationError: If a parameter is unknown, repeated or not valid.
    """
    values: dict[str, str] = {}
    lists: dict[str, list[str]] = {}
    text = request.scope["query_string"].decode("latin-1")  # as Starlette reads it
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name in LISTS:
            lists.setdefault(name, []).append(value)
        elif name in values:
            refuse_repeated(request)
        else:
            values[name] = value
    try:
        return model.model_validate({**values, **lists})
    except ValidationError as exc:
        errors = exc.errors(include_url=False)
        named = [{**error, "loc": ("query", *error["loc"])} for error in errors]
        raise RequestValidationError(named) from exc
