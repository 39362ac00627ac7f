"""``python -m app activate``: make a bundle the active one of a running service."""

import json
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from app.bundles.bundle_repository import BundleRepository
from app.cli.console import JsonOption, exit_on_user_error, print_summary, read_settings
from app.errors import PromotionSparedError
from app.settings import Settings
from models.domain.errors import UserError

# The service loads and verifies the bundle before it answers; chosen, not measured.
TIMEOUT_S: Final = 60.0

ACTIVE: Final = "/v1/bundles/active"


class ActivationError(UserError):
    """A running service that could not be brought to answer with a bundle."""

    def __init__(self, bundle_id: str, url: str, reason: str) -> None:
        super().__init__(f"{url} does not answer with bundle {bundle_id}: {reason}")


def activate_command(
    bundle: Annotated[
        str | None, typer.Argument(help="Its id; unset: the newest.", show_default=False)
    ] = None,
    *,
    url: Annotated[str, typer.Option(help="Where the service listens.")] = "http://127.0.0.1:8000",
    key_file: Annotated[
        Path | None, typer.Option(help="Holds a key of the scope admin.", dir_okay=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Have a running service answer with a bundle; it verifies it first, and may refuse.

    A bundle that is named stops a promotion that runs; the newest is left aside meanwhile.
    """
    settings = read_settings()
    with exit_on_user_error():
        bundle_id = bundle or _newest(settings)
        api_key = key_file.read_text(encoding="utf-8").strip() if key_file else None
        # A nightly job names no bundle: what it would stop has to run for days.
        spared = activate(url, bundle_id, api_key=api_key, spare_promotion=bundle is None)
    print_summary({"spared": spared} if spared else {"active": bundle_id}, as_json=as_json)


def _newest(settings: Settings) -> str:
    return replace(BundleRepository.from_settings(settings), first=None).first_id()


def activate(url: str, bundle_id: str, *, api_key: str | None, spare_promotion: bool) -> str | None:
    """Make all workers of a running service answer with a bundle.

    Args:
        url: Where the service listens, ``http://`` or ``https://``.
        bundle_id: A bundle that the service's machine has.
        api_key: A key of the scope ``admin``; None for a service without keys.
        spare_promotion: Whether a promotion that runs goes on, in place of the activation.

    Returns:
        Why nothing changed where a promotion was spared; else None.

    Raises:
        ActivationError: If the service cannot be reached, or refuses: the bundle before stays
            active.
    """
    parts = urlsplit(url)
    kinds = {"http": HTTPConnection, "https": HTTPSConnection}
    if parts.scheme not in kinds or not parts.hostname:
        raise ActivationError(bundle_id, url, "the address must be http://… or https://…")
    headers = {"Content-Type": "application/json"} | ({"X-API-Key": api_key} if api_key else {})
    body = json.dumps({"bundle": bundle_id, "spare_promotion": spare_promotion})
    # `http.client` follows no redirect: the key goes to this address only.
    connection = kinds[parts.scheme](parts.hostname, parts.port, timeout=TIMEOUT_S)
    try:
        connection.request("PUT", parts.path.rstrip("/") + ACTIVE, body, headers)
        answer = connection.getresponse()
        status, content = answer.status, answer.read()
    except (OSError, HTTPException) as exc:
        raise ActivationError(bundle_id, url, str(exc) or type(exc).__name__) from exc
    finally:
        connection.close()
    if status == HTTPStatus.OK:
        return None
    reason = f"it answered {status}, and not as Vitrine does"
    # Another service, or a proxy on the way, may have answered.
    with suppress(ValueError, KeyError, TypeError):
        problem = json.loads(content)
        if spare_promotion and problem["code"] == PromotionSparedError.code:
            return str(problem["detail"])
        reason = f"{status} {problem['code']}: {problem['detail']}"
    raise ActivationError(bundle_id, url, reason)
