"""The record of one answer: enough to replay it bit for bit, attribute and judge it.

A packed record is its JSON, compressed against a dictionary of what nearly all records hold.
"""

import zlib
from base64 import b64encode
from dataclasses import dataclass
from typing import Final, Self

import orjson

from models.experiments.plan.plan import Assignment

_LEVEL: Final = 6
"""Packing takes 62 µs of the event loop without a window and 200 µs with a full one; at level 1
it takes 41 and 119 µs, for records that are 9 and 1 percent larger (processor time, 2026-11-29)."""

_DICTIONARY: Final = (
    b'{"experiment":"","variant":"","unit":"customer","unit_id":"","share_bp":10000,"is_forced":'
    b'false},"popularity","variant","anonymous","snapshot","desktop","mobile",'
    b'"limit":10,"exclude":[],"excluded_unknown":0,"candidates":null,"candidates_unknown":0,'
    b'"candidates_ordered":false,"window":"","profile":"","snapshot_id":"","bundle_id":"2026",'
    b'"plan_version":0,"assignments":[],"order_by":"meta","diversity":0.0,"exploration":null,'
    b'"degraded":null,"feature_hash":"","took_us":1,"slate":[{"sale_id":"","rank":1,'
    b'"propensity":1.0,"purchase_probability":0.00},{"sale_id":"","rank":2,"propensity":1.0,'
    b'"purchase_probability":0.0"}],"versions":[["vitrine","0.1.0"],["numpy","2.'
    b'"],["lightgbm","4.6.0"]]}{"recommendation_id":"","customer_id":"","session_id":null,'
    b'"device_id":null,"now_us":17,"market":"fr","device":null,'
)
"""Entries that are not exported yet cannot be read with another one: export before it changes."""


@dataclass(frozen=True, slots=True)
class ShownItem:
    """One sale of a slate.

    Attributes:
        sale_id: The sale.
        rank: Its position, from 1.
        propensity: Probability that the logging policy put this sale at this rank, given the
            sales above it, in (0, 1]; the product over all ranks is that of the slate.
        purchase_probability: What the answer said; None from rungs that score nothing.
    """

    sale_id: str
    rank: int
    propensity: float
    purchase_probability: float | None


@dataclass(frozen=True, slots=True)
class ExposureRecord:
    """Everything that an answer was computed from, and the answer.

    The candidates follow from ``snapshot_id``, ``now_us``, ``market``, ``exclude`` and
    ``candidates``. Ids that the catalogue does not know change no answer: they are counted, so
    that a record is no larger than what the shop sells.

    Attributes:
        recommendation_id: Unique id of the answer; events refer to it as ``exposure_id``.
        customer_id: Who was answered; None for a visitor without id.
        session_id: The visit, if the caller named it.
        device_id: The device, if the caller named it.
        now_us: The moment of the answer by the store's clock, microseconds since the epoch.
        market: As asked.
        device: As asked.
        limit: Number of sales asked for.
        exclude: Known sale ids that the caller excluded, as asked, each once.
        excluded_unknown: Number of other ids there.
        candidates: Known sale ids that the caller wanted to have ranked, as asked; None for all
            sales.
        candidates_unknown: Number of other ids there.
        candidates_ordered: Whether their order says something.
        window: The packed window, see `models.domain.customer.Window.pack`.
        profile: The packed profile, see `models.domain.profile.Profile.pack`.
        snapshot_id: Content id of the catalogue snapshot, empty if there was none.
        bundle_id: The bundle that scored, empty if there was none.
        plan_version: Version of the plan of experiments that routed.
        assignments: The variants that decided the policy, each with its assignment propensity.
        order_by: What the policy ordered by, unless ``degraded`` says that it could not.
        diversity: The policy's weight of being unlike what stands above.
        exploration: JSON of what the policy tried out, None for nothing.
        degraded: The rung that answered, None for a full answer.
        feature_hash: Hex digest of the assembled feature matrix, empty where none was assembled.
        took_us: Microseconds from the question to the answer, without its transport.
        slate: The sales shown, by rank.
        versions: Versions of the libraries and engines that compute scores, by name.
    """

    recommendation_id: str
    customer_id: str | None
    session_id: str | None
    device_id: str | None
    now_us: int
    market: str | None
    device: str | None
    limit: int
    exclude: tuple[str, ...]
    excluded_unknown: int
    candidates: tuple[str, ...] | None
    candidates_unknown: int
    candidates_ordered: bool
    window: bytes
    profile: bytes
    snapshot_id: str
    bundle_id: str
    plan_version: int
    assignments: tuple[Assignment, ...]
    order_by: str
    diversity: float
    exploration: str | None
    degraded: str | None
    feature_hash: str
    took_us: int
    slate: tuple[ShownItem, ...]
    versions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PackedExposure:
    """A record as the log keeps it.

    Attributes:
        owner: The customer, or the answer to a visitor without id: what belongs together.
        content: The compressed record.
    """

    owner: str
    content: bytes

    @classmethod
    def of(cls, record: ExposureRecord) -> Self:
        """Pack a record."""
        packer = zlib.compressobj(level=_LEVEL, zdict=_DICTIONARY)
        content = packer.compress(orjson.dumps(record, default=_base64)) + packer.flush()
        return cls(record.customer_id or record.recommendation_id, content)


def unpacked(content: bytes) -> bytes:
    """Return the JSON of a packed record: its own field names, bytes in base64.

    Raises:
        zlib.error: If the content is anything else.
    """
    if content.startswith(b"{"):  # written before records were compressed, and not exported yet
        return content
    return zlib.decompressobj(zdict=_DICTIONARY).decompress(content)


def _base64(value: object) -> str:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    msg = f"a record holds a {type(value).__name__}, which has no JSON"
    raise TypeError(msg)
