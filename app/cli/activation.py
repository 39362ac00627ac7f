"""Asks a running service to answer with a bundle, as a scheduled job does after training."""

import json
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final
from urllib.parse import urlsplit

from models.domain.errors import UserError

TIMEOUT_S: Final = 60.0
ACTIVE: Final = "/v1/bundles/active"


class ActivationError(UserError):
    """A running service that could not be brought to answer with a bundle."""

    def __init__(self, bundle_id: str, url: str, reason: str) -> None:
        """Name the bundle, where the service was asked, and what came of it."""
        super().__init__(f"{url} does not answer with bundle {bundle_id}: {reason}")


def activate(url: str, bundle_id: str, *, api_key: str | None) -> None:
    """Have all workers of a service answer with a bundle.

    Args:
        url: Where the service listens, ``http://`` or ``https://``.
        bundle_id: A bundle that the service's machine has.
        api_key: A key of the scope ``admin``; None for a service without keys.

    Raises:
        ActivationError: If the service cannot be asked, or refuses: it answers on as before.
    """
    status, body = _put(url, {"bundle": bundle_id}, api_key)
    if status != HTTPStatus.OK:
        raise ActivationError(bundle_id, url, _reason(status, body))


def _put(url: str, content: dict[str, str], api_key: str | None) -> tuple[int, bytes]:
    parts = urlsplit(url)
    kinds = {"http": HTTPConnection, "https": HTTPSConnection}
    if parts.scheme not in kinds or not parts.hostname:
        raise ActivationError(content["bundle"], url, "the address must be http://… or https://…")
    headers = {"Content-Type": "application/json"} | ({"X-API-Key": api_key} if api_key else {})
    connection = kinds[parts.scheme](parts.hostname, parts.port, timeout=TIMEOUT_S)
    try:
        connection.request("PUT", parts.path.rstrip("/") + ACTIVE, json.dumps(content), headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, HTTPException) as exc:
        raise ActivationError(content["bundle"], url, str(exc) or type(exc).__name__) from exc
    finally:
        connection.close()


def _reason(status: int, body: bytes) -> str:
    try:
        problem = json.loads(body)
        return f"{status} {problem['code']}: {problem['detail']}"
    except (ValueError, KeyError, TypeError):
        return f"it answered {status}, and not as Vitrine does"
