"""Service errors: one class, stable code and HTTP status per case that a client can distinguish."""

from collections.abc import Sequence
from difflib import get_close_matches
from http import HTTPStatus
from typing import ClassVar, Final

from models.domain.errors import UserError

MAX_NAMED: Final = 3  # chosen: a message shows what kind of ids is meant, and stays one line


class ServiceError(UserError):
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
        """Name the operation, as "appending events", and the reason."""
        super().__init__(f"the store is unavailable while {doing}: {reason}")


class BodyTooLargeError(ServiceError):
    """A request body beyond the limit of the settings."""

    code = "body_too_large"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"the body is larger than {limit_bytes} bytes: send less at once")


class SlowBodyError(ServiceError):
    """A request body that did not arrive in time."""

    code = "body_too_slow"
    status = HTTPStatus.REQUEST_TIMEOUT

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"the body did not arrive within {limit_s:g} seconds")


class OverloadedError(ServiceError):
    """A request that a worker cannot take: too many others wait."""

    code = "overloaded"
    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("too many requests wait for this worker: repeat it after a second")


class UnauthenticatedError(ServiceError):
    """A request without a valid key for a service that has keys."""

    code = "unauthenticated"
    status = HTTPStatus.UNAUTHORIZED

    def __init__(self) -> None:
        super().__init__("no valid key: send one as X-API-Key, or as Authorization: Bearer")


class ForbiddenError(ServiceError):
    """A request whose key lacks the scope."""

    code = "forbidden"
    status = HTTPStatus.FORBIDDEN

    def __init__(self, scope: str) -> None:
        super().__init__(f"the key lacks the scope '{scope}': use one that has it")


class RateLimitedError(ServiceError):
    """A request beyond the quota of its key."""

    code = "rate_limited"
    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, per_second: int) -> None:
        super().__init__(f"more than {per_second} requests a second with this key: send fewer")


class UnknownPictureError(ServiceError):
    """A picture number that a sale does not have."""

    code = "unknown_picture"
    status = HTTPStatus.NOT_FOUND

    def __init__(self, sale_id: str, number: int) -> None:
        super().__init__(f"sale {sale_id!r} has no picture {number}")


class UnknownSaleError(ServiceError):
    """A sale id that the catalogue does not know."""

    code = "unknown_sale"
    status = HTTPStatus.NOT_FOUND

    def __init__(self, sale_id: str) -> None:
        super().__init__(f"unknown sale {sale_id!r}")


class UnknownMarketError(ServiceError):
    """A market that no sale names, while no sale is for all markets either."""

    code = "unknown_market"
    status = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self, market: str, known: Sequence[str]) -> None:
        likest = get_close_matches(market, known, n=MAX_NAMED) or known[:MAX_NAMED]
        super().__init__(
            f"no sale is of market {market!r}: sales are of {', '.join(map(repr, likest))}"
            + (", and others" if len(known) > len(likest) else "")
        )


class UnknownModelError(ServiceError):
    """A model name that is not served."""

    code = "unknown_model"
    status = HTTPStatus.NOT_FOUND

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"unknown model {name!r}: served are {', '.join(known)}")


class UnknownVariantError(ServiceError):
    """A forced variant that no running experiment has."""

    code = "unknown_variant"
    status = HTTPStatus.NOT_FOUND


class ExclusiveVariantsError(ServiceError):
    """Forced variants of experiments that exclude each other."""

    code = "exclusive_variants"
    status = HTTPStatus.CONFLICT


class UnknownExperimentError(ServiceError):
    """An experiment that the plan does not have."""

    code = "unknown_experiment"
    status = HTTPStatus.NOT_FOUND

    def __init__(self, name: str) -> None:
        super().__init__(f"the plan has no experiment {name!r}")


class PlanRefusedError(ServiceError):
    """A plan of experiments that contradicts itself; the one before stays in force."""

    code = "plan_refused"
    status = HTTPStatus.CONFLICT

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where} is refused and nothing changed: {reason}")


class PlanChangedError(ServiceError):
    """A change of a plan that has another version by now."""

    code = "plan_changed"
    status = HTTPStatus.PRECONDITION_FAILED

    def __init__(self, meant: int | None, version: int) -> None:
        what = f"version {meant} was" if meant is not None else "an earlier one was"
        super().__init__(f"the plan has version {version} and {what} to be changed: read it again")


class SaleMismatchError(ServiceError):
    """A sale whose body names another id than its path."""

    code = "sale_mismatch"
    status = HTTPStatus.CONFLICT

    def __init__(self, of_path: str, of_body: str) -> None:
        super().__init__(
            f"the path says {of_path!r} and sale_id {of_body!r}: leave it out, or repeat it"
        )


class CatalogueFullError(ServiceError):
    """Sales that would give the catalogue more names of a kind than it can hold.

    Those sales stay as they were; other sales of the same call are put. Subclasses fix
    ``names``, the kind.
    """

    status = HTTPStatus.CONFLICT
    names: ClassVar[str] = "names"

    def __init__(self, sale_ids: frozenset[str], limit: int) -> None:
        super().__init__(
            f"the catalogue would have more than {limit} {self.names} with sale"
            f" {', '.join(map(repr, sorted(sale_ids)[:MAX_NAMED]))}: use the names of"
            f" {self.names} that other sales have"
        )
        self.sale_ids = sale_ids
        self.limit = limit

    def of(self, sale_id: str) -> "CatalogueFullError":
        """Return the refusal of one of the sales."""
        return type(self)(frozenset({sale_id}), self.limit)


class TooManyMarketsError(CatalogueFullError):
    """Sales whose markets would be more than a catalogue can distinguish."""

    code = "too_many_markets"
    names = "markets"


class TooManyAttributesError(CatalogueFullError):
    """Sales whose attributes would be more than the columns that a dataset has for them."""

    code = "too_many_attributes"
    names = "attributes"


class SceneModelMissingError(ServiceError):
    """A picture for a service whose bundle has no scene model."""

    code = "scene_model_missing"
    status = HTTPStatus.CONFLICT

    def __init__(self) -> None:
        super().__init__(
            "the served bundle labels no pictures: train one on data with images, and serve it"
        )


class LabellingBusyError(ServiceError):
    """More pictures at once than a worker can label."""

    code = "labelling_busy"
    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} pictures are being received or labelled already: try again")


class PictureTypeError(ServiceError):
    """An upload whose media type is none of a picture."""

    code = "picture_media_type"
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE

    def __init__(self, media_type: str, known: tuple[str, ...]) -> None:
        super().__init__(f"the Content-Type is {media_type!r}: send one of {', '.join(known)}")


class UnknownBundleError(ServiceError):
    """A bundle id that a machine does not have."""

    code = "unknown_bundle"
    status = HTTPStatus.NOT_FOUND

    def __init__(self, bundle_id: str, root: str) -> None:
        super().__init__(f"no bundle {bundle_id!r} in {root}: copy it there, under its own name")


class BundleRefusedError(ServiceError):
    """A bundle that cannot be served; the one before stays active."""

    code = "bundle_refused"
    status = HTTPStatus.CONFLICT

    def __init__(self, bundle_id: str, reason: str) -> None:
        super().__init__(f"bundle {bundle_id} is refused and nothing changed: {reason}")


class NoPreviousBundleError(ServiceError):
    """A rollback before any activation."""

    code = "no_previous_bundle"
    status = HTTPStatus.CONFLICT

    def __init__(self) -> None:
        super().__init__("no bundle answered before this one: activate one by its id")


class PromotionRefusedError(ServiceError):
    """A promotion that cannot begin, or not be changed in this way."""

    code = "promotion_refused"
    status = HTTPStatus.CONFLICT

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what} is refused and nothing changed: {reason}")


class UnknownPromotionError(ServiceError):
    """A promotion that does not exist, or is no longer stored."""

    code = "unknown_promotion"
    status = HTTPStatus.NOT_FOUND

    def __init__(self, number: int) -> None:
        super().__init__(f"there is no promotion {number}; the last 100 are kept")


class NoResultsError(ServiceError):
    """Results of an experiment that cannot be computed here."""

    code = "no_results"
    status = HTTPStatus.CONFLICT

    def __init__(self, reason: str) -> None:
        super().__init__(f"there are no results: {reason}")


class NotLiveError(ServiceError):
    """A background task that this process cannot do without is dead, hangs or keeps failing."""

    code = "not_live"
    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self, sick: tuple[str, ...]) -> None:
        super().__init__("not live: background task " + "; ".join(sick))


class NotInFullError(ServiceError):
    """Something that full answers need is missing."""

    code = "not_in_full"
    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self, missing: tuple[str, ...]) -> None:
        super().__init__("answers are not full: " + "; ".join(missing))


class NotReadyError(ServiceError):
    """Something that answers need is missing."""

    code = "not_ready"
    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self, missing: tuple[str, ...]) -> None:
        super().__init__("not ready: " + "; ".join(missing))
