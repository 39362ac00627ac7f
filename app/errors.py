"""The failures that a client can tell apart: a class, a stable code and a status each."""

from http import HTTPStatus
from typing import ClassVar


class ServiceError(Exception):
    """Base of every error that the API turns into a response.

    Subclasses fix ``code``, the stable name that clients may match on, and ``status``;
    the message is for humans and may change.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR


class StoreUnavailableError(ServiceError):
    """The store refused, timed out, or could not be reached."""

    code = "store_unavailable"
    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self, doing: str, reason: str) -> None:
        """Say what was being done, in the words of an operator, and why it failed."""
        super().__init__(f"the store is unavailable while {doing}: {reason}")
        self.doing = doing


class BodyTooLargeError(ServiceError):
    """A request body beyond the limit of the settings."""

    code = "body_too_large"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE

    def __init__(self, limit_bytes: int) -> None:
        """Name the limit."""
        super().__init__(f"the body is larger than {limit_bytes} bytes: send smaller batches")
        self.limit_bytes = limit_bytes


class NotReadyError(ServiceError):
    """Something that full answers need is missing."""

    code = "not_ready"
    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self, missing: tuple[str, ...]) -> None:
        """Name each missing thing with its reason."""
        super().__init__("not ready: " + "; ".join(missing))
        self.missing = missing
