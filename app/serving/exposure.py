"""The record of one answer: enough to replay it bit for bit, attribute and judge it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shown:
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
    ``candidates``.

    Attributes:
        recommendation_id: Unique id of the answer; events refer to it as ``exposure_id``.
        customer_id: Who was answered; None for a visitor without id.
        session_id: The visit, if the caller named it.
        now_us: The moment of the answer by the store's clock, microseconds since the epoch.
        market: As asked.
        device: As asked.
        limit: Number of sales asked for.
        exclude: Sale ids that the caller excluded, as asked.
        candidates: Sale ids that the caller wanted to have ranked; None for all sales.
        candidates_ordered: Whether their order says something.
        window: The packed window, see `models.customer.Window.pack`.
        profile: The packed profile, see `models.profile.Profile.pack`.
        snapshot_id: Content id of the catalogue snapshot, empty if there was none.
        bundle_id: The bundle that scored, empty if there was none.
        experiment: Name of the experiment that routed the customer.
        variant: Name of the variant.
        assignment_share_bp: Share of units of that variant, in basis points.
        forced: Whether the caller chose the variant: no part of the experiment then.
        degraded: The rung that answered, None for a full answer.
        feature_hash: Hex digest of the assembled feature matrix, empty where none was assembled.
        slate: The sales shown, by rank.
        versions: Versions of the libraries and engines that compute scores, by name.
    """

    recommendation_id: str
    customer_id: str | None
    session_id: str | None
    now_us: int
    market: str | None
    device: str | None
    limit: int
    exclude: tuple[str, ...]
    candidates: tuple[str, ...] | None
    candidates_ordered: bool
    window: bytes
    profile: bytes
    snapshot_id: str
    bundle_id: str
    experiment: str
    variant: str
    assignment_share_bp: int
    forced: bool
    degraded: str | None
    feature_hash: str
    slate: tuple[Shown, ...]
    versions: tuple[tuple[str, str], ...]
