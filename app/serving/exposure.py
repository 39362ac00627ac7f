"""The record of one answer: enough to replay it bit for bit, attribute and judge it."""

from dataclasses import dataclass

from models.experiments.plan import Assignment


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
        device_id: The device, if the caller named it.
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
    candidates: tuple[str, ...] | None
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
    slate: tuple[Shown, ...]
    versions: tuple[tuple[str, str], ...]
