"""Refusals in front of the routes: their answer, count and log line."""

from collections.abc import Mapping, Sequence

from prometheus_client import Counter
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from app.api.middleware.audit import is_change
from app.api.schema.problem import error_response
from app.bounded_log import BoundedLog
from app.errors import ServiceError
from app.observability import AUDIT_LOGGER


class Refusals:
    """Answers requests that no route sees; changes among them are in the audit log."""

    def __init__(self, refused: Counter, routes: Sequence[Route]) -> None:
        self._n_refused = refused
        self._routes = routes
        self._log = BoundedLog(__name__)
        self._audit = BoundedLog(AUDIT_LOGGER)

    def answer(
        self,
        scope: Scope,
        refusal: ServiceError,
        *,
        key_id: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Count and log a refusal, and return its answer."""
        fields = {"code": refusal.code, "key": key_id, "reason": str(refusal)}
        self._n_refused.labels(refusal.code, key_id).inc()
        if is_change(scope):
            match, route = self._route(scope)
            where = {"method": scope["method"], "route": route}
            # Callers without a key, and methods that the route does not have, decide no kinds.
            kind = tuple(where.values()) if key_id and match is Match.FULL else ()
            self._audit.warning(
                "a change was refused", refusal.code, key_id, *kind, **where, **fields
            )
        else:
            self._log.warning("a request was refused", refusal.code, key_id, **fields)
        return error_response(refusal, headers)

    def _route(self, scope: Scope) -> tuple[Match, str]:
        """Return the route that a request would have reached, which names no customer."""
        found = (
            (match, route.path)
            for match in (Match.FULL, Match.PARTIAL)
            for route in self._routes
            if route.matches(scope)[0] is match
        )
        return next(found, (Match.NONE, "none"))
