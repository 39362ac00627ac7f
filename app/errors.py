"""Service errors: one class, stable code and HTTP status per case that a client can distinguish."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from enum import StrEnum
from http import HTTPStatus
from typing import ClassVar, Final

import orjson

from models.domain.errors import UserError

MAX_NAMED: Final = 3  # chosen: a message shows what kind of ids is meant, and stays one line
MAX_SHOWN: Final = 40  # characters of a header that a message quotes; chosen


class ServiceError(UserError):
    """Base of every error that the API turns into a response.

    Subclasses fix ``code``, the stable name that clients may match on, and ``status``, that of
    HTTP; the message is for humans and may change.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR

    def __init_subclass__(cls, *, code: str | None = None, status: int | None = None) -> None:
        # What a class leaves out, it has from its base.
        cls.code = code or cls.code
        cls.status = HTTPStatus(status or cls.status)


class StoreUnavailableError(ServiceError, code="store_unavailable", status=503):
    """The store refused, timed out, or could not be reached."""

    def __init__(self, doing: str, reason: str) -> None:
        """Name the operation, as "appending events", and the reason."""
        super().__init__(f"the store is unavailable while {doing}: {reason}")


class BodyTooLargeError(ServiceError, code="body_too_large", status=413):
    """A request body beyond the limit of the settings."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"the body is larger than {limit_bytes} bytes: send less at once")


class CompressedBodyError(ServiceError, code="body_compressed", status=415):
    """A request body in a content coding, such as gzip."""

    def __init__(self, coding: str) -> None:
        super().__init__(f"the Content-Encoding is {coding!r}: send the body uncompressed")


class BodyTypeError(ServiceError, code="body_media_type", status=415):
    """A request body of another media type than its route reads."""

    def __init__(self, media_type: str, known: str) -> None:
        super().__init__(f"the Content-Type is {media_type[:MAX_SHOWN]!r}: send {known}")


class SlowBodyError(ServiceError, code="body_too_slow", status=408):
    """A request body that did not arrive in time."""

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"the body did not arrive within {limit_s:g} seconds")


class OverloadedError(ServiceError, code="overloaded", status=503):
    """A request that a worker cannot take: too many others wait."""

    def __init__(self) -> None:
        super().__init__("too many requests wait for this worker: repeat it after a second")


class UnauthenticatedError(ServiceError, code="unauthenticated", status=401):
    """A request without a valid key for a service that has keys."""

    def __init__(self) -> None:
        super().__init__("no valid key: send one as X-API-Key, or as Authorization: Bearer")


class ForbiddenError(ServiceError, code="forbidden", status=403):
    """A request whose key lacks the scope."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"the key lacks the scope '{scope}': use one that has it")


class ForeignHostError(ServiceError, code="foreign_host", status=403):
    """A request by another name than this machine's, to a service without keys."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"the Host is {host[:MAX_SHOWN]!r}, and a service without keys answers its own machine"
            " only: call it as localhost or 127.0.0.1, or make keys with `python -m app keys new`"
        )


class ForeignOriginError(ServiceError, code="foreign_origin", status=403):
    """A request of a web page of another origin, to a service without keys."""

    def __init__(self, origin: str) -> None:
        super().__init__(
            f"the Origin is {origin[:MAX_SHOWN]!r}, and a service without keys takes no requests"
            " of other web pages: send it from a program, or make keys by `python -m app keys new`"
        )


class RateLimitedError(ServiceError, code="rate_limited", status=429):
    """A request beyond the quota of its key."""

    def __init__(self, per_second: int) -> None:
        super().__init__(f"more than {per_second} requests a second with this key: send fewer")


class UnknownPictureError(ServiceError, code="unknown_picture", status=404):
    """A picture number that a sale does not have."""

    def __init__(self, sale_id: str, number: int) -> None:
        super().__init__(f"sale {sale_id!r} has no picture {number}")


class UnknownSaleError(ServiceError, code="unknown_sale", status=404):
    """A sale id that the catalogue does not know."""

    def __init__(self, sale_id: str) -> None:
        super().__init__(f"unknown sale {sale_id!r}")


class UnknownMarketError(ServiceError, code="unknown_market", status=422):
    """A market that no sale names, while no sale is for all markets either."""

    def __init__(self, market: str, known: Sequence[str]) -> None:
        likest = get_close_matches(market, known, n=MAX_NAMED) or known[:MAX_NAMED]
        super().__init__(
            f"no sale is of market {market!r}: sales are of {', '.join(map(repr, likest))}"
            + (", and others" if len(known) > len(likest) else "")
        )


class UnknownAttributeError(ServiceError, code="unknown_attribute", status=422):
    """A filter or rule on an attribute that no sale has; `known` are other names."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        likest = get_close_matches(name, known, n=MAX_NAMED)
        super().__init__(
            f"no sale has an attribute {name!r}: "
            + (f"there is {', '.join(map(repr, likest))}" if likest else "correct the name")
        )


class MalformedFilterError(ServiceError, code="malformed_filter", status=422):
    """A filter of one visit of a batch that is no condition on sales."""


class UnknownModelError(ServiceError, code="unknown_model", status=404):
    """A model name that is not served."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"unknown model {name!r}: served are {', '.join(known)}")


class UnknownVariantError(ServiceError, code="unknown_variant", status=404):
    """A forced variant that no running experiment has."""


class ExclusiveVariantsError(ServiceError, code="exclusive_variants", status=409):
    """Forced variants of experiments that exclude each other."""


class UnknownExperimentError(ServiceError, code="unknown_experiment", status=404):
    """An experiment that the plan does not have."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the plan has no experiment {name!r}")


class PlanRefusedError(ServiceError, code="plan_refused", status=409):
    """A plan of experiments that contradicts itself; the one before stays in force."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where} is refused and nothing changed: {reason}")


class PlanChangedError(ServiceError, code="plan_changed", status=412):
    """A change of a plan that has another version by now."""

    def __init__(self, meant: int | None, version: int) -> None:
        what = f"version {meant} was" if meant is not None else "an earlier one was"
        super().__init__(f"the plan has version {version} and {what} to be changed: read it again")


class MergingError(StoreUnavailableError):
    """A customer who is being merged into others just now."""

    def __init__(self) -> None:
        super().__init__("reading a customer", "they are being merged into others: repeat it")


class MergeRefusal(StrEnum):
    """Reason for which two ids do not become one customer."""

    SAME_ID = "the guest is the customer: name another id"
    OTHER_CUSTOMER = "the guest belongs to another customer: give each a visitor id of their own"
    HAS_GUESTS = (
        "guests were merged into this one, or are just being merged: merge the customer into it "
        "instead, or repeat"
    )
    TOO_MANY = "the customer has too many guests already: keep this one apart"
    CHANGED = "the customer was erased or merged meanwhile: merge again"


class MergeRefusedError(ServiceError, code="merge_refused", status=409):
    """Two ids that cannot become one customer."""

    def __init__(self, reason: MergeRefusal) -> None:
        super().__init__(f"the guest is not merged: {reason}")


class SaleMismatchError(ServiceError, code="sale_mismatch", status=409):
    """A sale whose body names another id than its path."""

    def __init__(self, of_path: str, of_body: str) -> None:
        super().__init__(
            f"the path says {of_path!r} and sale_id {of_body!r}: leave it out, or repeat it"
        )


class CatalogueFullError(ServiceError, status=409):
    """Sales that would give the catalogue more names of a kind than it can hold.

    Those sales stay as they were; other sales of the same call are put. Subclasses fix
    ``names``, the kind.
    """

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


class TooManyMarketsError(CatalogueFullError, code="too_many_markets"):
    """Sales whose markets would be more than a catalogue can distinguish."""

    names = "markets"


class TooManyAttributesError(CatalogueFullError, code="too_many_attributes"):
    """Sales whose attributes would be more than the columns that a dataset has for them."""

    names = "attributes"


class SceneModelMissingError(ServiceError, code="scene_model_missing", status=409):
    """A picture for a service whose bundle has no scene model."""

    def __init__(self) -> None:
        super().__init__(
            "the served bundle labels no pictures: train one on data with images, and serve it"
        )


class LabellingBusyError(ServiceError, code="labelling_busy", status=503):
    """More pictures at once than a worker can label."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} pictures are being received or labelled already: try again")


class PictureTypeError(ServiceError, code="picture_media_type", status=415):
    """An upload whose media type is none of a picture."""

    def __init__(self, media_type: str, known: tuple[str, ...]) -> None:
        super().__init__(f"the Content-Type is {media_type!r}: send one of {', '.join(known)}")


class UnknownBundleError(ServiceError, code="unknown_bundle", status=404):
    """A bundle id that a machine does not have."""

    def __init__(self, bundle_id: str, root: str) -> None:
        super().__init__(f"no bundle {bundle_id!r} in {root}: copy it there, under its own name")


class BundleRefusedError(ServiceError, code="bundle_refused", status=409):
    """A bundle that cannot be served; the one before stays active."""

    def __init__(self, bundle_id: str, reason: str) -> None:
        super().__init__(f"bundle {bundle_id} is refused and nothing changed: {reason}")


class NoPreviousBundleError(ServiceError, code="no_previous_bundle", status=409):
    """A rollback before any activation."""

    def __init__(self) -> None:
        super().__init__("no other bundle was active before this one: activate one by its id")


class PromotionRefusedError(ServiceError, code="promotion_refused", status=409):
    """A promotion that cannot begin, or not be changed in this way."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what} is refused and nothing changed: {reason}")


class PromotionSparedError(ServiceError, code="promotion_spared", status=409):
    """An activation that would stop a promotion, or undo its end, and is not to."""

    def __init__(self, bundle_id: str, reason: str) -> None:
        super().__init__(f"bundle {bundle_id} is not activated: {reason}")


class UnknownPromotionError(ServiceError, code="unknown_promotion", status=404):
    """A promotion that does not exist, or is no longer stored."""

    def __init__(self, number: int) -> None:
        super().__init__(f"there is no promotion {number}; the last 100 are kept")


class NoResultsError(ServiceError, code="no_results", status=409):
    """Results of an experiment that cannot be computed here."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"there are no results: {reason}")


class NightsUnreadError(ServiceError, code="nights_unread", status=503):
    """Records of nights that are there, and cannot be read."""


class NotLiveError(ServiceError, code="not_live", status=503):
    """A background task that this process cannot do without is dead, hangs or keeps failing."""

    def __init__(self, sick: tuple[str, ...]) -> None:
        super().__init__("not live: background task " + "; ".join(sick))


class NotInFullError(ServiceError, code="not_in_full", status=503):
    """Something that full answers need is missing."""

    def __init__(self, missing: tuple[str, ...]) -> None:
        super().__init__("answers are not full: " + "; ".join(missing))


class NotReadyError(ServiceError, code="not_ready", status=503):
    """Something that answers need is missing."""

    def __init__(self, missing: tuple[str, ...]) -> None:
        super().__init__("not ready: " + "; ".join(missing))


def problem(
    status: HTTPStatus, code: str, *, detail: str, errors: Sequence[Mapping[str, str]] = ()
) -> bytes:
    """Return the JSON of an error answer by RFC 9457, problem details."""
    return orjson.dumps(
        {
            "type": f"urn:vitrine:problem:{code}",
            "title": status.phrase,
            "status": status,
            "detail": detail,
            "code": code,
            "errors": errors,
        }
    )
