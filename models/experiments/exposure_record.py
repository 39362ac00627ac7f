"""Exposure record: all inputs of one answer, and the answer.

The service writes it, the export turns it into ``exposures.parquet``, and replay and the check of
parity read it back. The columns of the file follow from the class.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from types import NoneType
from typing import Any, Final, get_args, get_type_hints

import polars as pl
from pydantic import TypeAdapter, ValidationError

from models.covers.cover_choice import CoverPolicy
from models.domain.event import to_us
from models.experiments.exposure import ExposureError
from models.experiments.plan.plan import Assignment
from models.query.candidates import CallerChoice
from models.query.query import Context
from models.rules.rule import SlateRules
from models.slate.page import PageRow
from models.slate.rule_price import RulePrice
from models.slate.slate_policy import Exploration, SlatePolicy

Columns = dict[str, pl.DataType | type[pl.DataType]]


@dataclass(frozen=True, slots=True)
class ShownItem:
    """A shown sale of a slate.

    Attributes:
        sale_id: The sale.
        rank: Its position, from 1.
        propensity: Probability that the logging policy put this sale at this rank, given the
            sales above it, in (0, 1]; the product over all ranks is that of the slate.
        purchase_probability: As the answer gave it; None from levels that score nothing.
        rules: Names of the rules that put it there.
    """

    sale_id: str
    rank: int
    propensity: float
    purchase_probability: float | None
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ShownCover:
    """The cover of a shown sale that was chosen among its pictures.

    Attributes:
        rank: Position of the sale, from 1.
        number: Number of the picture.
        propensity: Probability that the logging policy chose it, given the sale, in (0, 1];
            independent of the other covers.
    """

    rank: int
    number: int
    propensity: float


@dataclass(frozen=True, slots=True)
class CoversRecord:
    """The chosen covers of an answer.

    Attributes:
        policy: JSON of how they were chosen, see `models.covers.cover_choice.CoverPolicy`.
        shown: Those of the sales with at least two pictures, by rank.
    """

    policy: str
    shown: tuple[ShownCover, ...]


@dataclass(frozen=True, slots=True)
class InterleavedRecord:
    """The second policy of an interleaved slate, and the team of each place.

    The first policy is that of the record; both ranked the same customer at the same moment.

    Attributes:
        experiment: Name of the experiment.
        first: Name of the variant of the first policy.
        second: Name of the variant of the second policy.
        teams: Name of the variant that each place belongs to, by rank; None for neither.
        snapshot_id: Content id of the second policy's catalogue snapshot.
        bundle_id: The bundle that the second policy scored by.
        order_by: What the second policy ordered by.
        diversity: The second policy's weight of being unlike what stands above.
        feature_hash: Hex digest of the second policy's feature matrix.
    """

    experiment: str
    first: str
    second: str
    teams: tuple[str | None, ...]
    snapshot_id: str
    bundle_id: str
    order_by: str
    diversity: float
    feature_hash: str

    @property
    def policy(self) -> SlatePolicy:
        """The second policy."""
        return SlatePolicy(order_by=self.order_by, diversity=self.diversity, exploration=None)


@dataclass(frozen=True, slots=True)
class RowRecord:
    """Row of a page.

    Attributes:
        row: As it was asked for.
        n_items: Number of its sales, which follow those of the rows above in the slate.
        because_of: The sale that its sales are like; None for other kinds, and if there is none.
    """

    row: PageRow
    n_items: int
    because_of: str | None


@dataclass(frozen=True, slots=True)
class ExposureRecord:
    """Exposure record: all inputs of one answer, and the answer.

    The candidates follow from ``snapshot_id``, ``now_us``, ``market``, ``exclude`` and
    ``candidates``. Ids that the catalogue does not know change no answer: they are counted, so
    that a record is no larger than the shop's catalogue.

    Attributes:
        recommendation_id: Unique id of the answer; events refer to it as ``exposure_id``.
        customer_id: The customer; None for a visitor without id.
        session_id: The visit, if the caller named it.
        device_id: The device, if the caller named it.
        now_us: The moment of the answer by the store's clock, microseconds since the epoch.
        market: As the caller named it.
        device: As the caller named it.
        limit: Number of sales asked for, of all rows of a page.
        exclude: Known sale ids that the caller excluded, in the caller's order, each once.
        excluded_unknown: Number of other ids there.
        candidates: Known sale ids that the caller wanted to have ranked, in the caller's order;
            None for all sales.
        candidates_unknown: Number of other ids there.
        candidates_ordered: Whether their order carries meaning.
        window: The packed window, see `models.domain.customer.Window.pack`.
        profile: The packed profile, see `models.domain.profile.Profile.pack`.
        snapshot_id: Content id of the catalogue snapshot, empty if there was none.
        bundle_id: The bundle that scored, empty if there was none.
        plan_version: Version of the plan of experiments that routed.
        assignments: The variants that decided the policy, each with its assignment propensity.
        order_by: What the policy ordered by, unless ``degraded`` says that it could not.
        diversity: The policy's weight of being unlike what stands above.
        exploration: JSON of the policy's exploration, None for none.
        degraded: The degradation level of the answer, None for a full answer.
        cause: Name of the cause of its degradation, None for a full answer.
        feature_hash: Hex digest of the assembled feature matrix, empty where none was assembled.
        took_us: Microseconds from the request to the answer, without its transport.
        slate: The sales shown, by rank.
        interleaving: The second policy of an interleaved slate; None for a slate of one policy.
        versions: Versions of the libraries and engines that compute scores, by name.
        exploration_cost: Outcomes that its exploration is expected to lose, below 0 for a gain;
            None where exploration changed nothing.
        listed: The customer's list of the last night, without what could not be shown; empty where
            the answer was not made from it.
        rules: JSON of the policy's rules, without dry runs; None for none.
        rule_prices: What each rule costs, dry runs too, of a share of answers; empty for others.
        filter: Condition on sales that the caller sent; None for none.
        rows: Rows of a page, from the top; empty for a list.
        covers: The chosen covers; None where none was chosen.
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
    cause: str | None
    feature_hash: str
    took_us: int
    slate: tuple[ShownItem, ...]
    interleaving: InterleavedRecord | None
    versions: tuple[tuple[str, str], ...]
    exploration_cost: float | None = None
    listed: tuple[str, ...] = ()
    rules: str | None = None
    rule_prices: tuple[RulePrice, ...] = ()
    filter: str | None = None
    rows: tuple[RowRecord, ...] = ()
    covers: CoversRecord | None = None

    @property
    def context(self) -> Context:
        """Moment, market and device of the answer."""
        return Context(self.now_us, self.market, self.device)

    @property
    def choice(self) -> CallerChoice:
        """The sales that the caller excluded or wanted to have ranked."""
        return CallerChoice(self.exclude, self.candidates, is_ordered=self.candidates_ordered)

    @property
    def policy(self) -> SlatePolicy:
        """The policy that made the slate.

        Raises:
            ValueError: If its exploration, rules, filter or covers are none of this software.
        """
        given = self.exploration
        exploration = None if given is None else _EXPLORATION.validate_json(given)
        policy = SlatePolicy(
            order_by=self.order_by, diversity=self.diversity, exploration=exploration
        )
        if self.covers is not None:
            covers = CoverPolicy.model_validate_json(self.covers.policy)
            policy = policy.model_copy(update={"covers": covers})
        if self.rules is not None:
            policy = policy.model_copy(update={"rules": SlateRules.from_record(self.rules)})
        return policy.filtered(self.filter)


_EXPLORATION: Final[TypeAdapter[Exploration]] = TypeAdapter(Exploration)
_RECORD: Final = TypeAdapter(ExposureRecord)
_DTYPES: Final[Mapping[type, type[pl.DataType]]] = {
    bool: pl.Boolean,
    int: pl.Int64,
    float: pl.Float64,
    bytes: pl.Binary,
}


def _dtype(hint: Any) -> pl.DataType | type[pl.DataType]:  # noqa: ANN401 - a type, generic or not
    """Return the column type of a field: dataclasses are structs, tuples are lists."""
    if is_dataclass(hint):
        return pl.Struct({name: _dtype(each) for name, each in get_type_hints(hint).items()})
    parts = [part for part in get_args(hint) if part is not NoneType]
    if NoneType in get_args(hint):
        return _dtype(parts[0])
    if parts:
        return pl.List(_dtype(parts[0]))
    return _DTYPES.get(hint, pl.String)


STREAM_COLUMNS: Final[Columns] = {
    name: pl.String if hint is bytes else _dtype(hint)
    for name, hint in get_type_hints(ExposureRecord).items()
}
"""Columns of records as JSON, which has no bytes: they are text in base64."""

FILE_COLUMNS: Final[Columns] = {
    "now" if name == "now_us" else name: pl.Datetime("us", "UTC")
    if name == "now_us"
    else _dtype(hint)
    for name, hint in get_type_hints(ExposureRecord).items()
}
"""Columns of ``exposures.parquet``: the fields of `ExposureRecord`, ``now_us`` as a time."""


def read_exploration(text: str) -> Exploration:
    """Read the exploration of a record.

    Raises:
        ExposureError: If it is none of this software.
    """
    try:
        return _EXPLORATION.validate_json(text)
    except ValidationError as exc:
        msg = f"exploration {text} is none of this software"
        raise ExposureError(msg) from exc


def from_json(records: pl.DataFrame) -> pl.DataFrame:
    """Return rows of `STREAM_COLUMNS` as rows of `FILE_COLUMNS`."""
    return records.with_columns(
        pl.col("now_us").cast(pl.Datetime("us", "UTC")).alias("now"),
        pl.col("window", "profile").str.decode("base64"),
    ).select(*FILE_COLUMNS)


def read_records(exposures: pl.DataFrame) -> Iterator[ExposureRecord]:
    """Return the records of a file's rows, in their order.

    Args:
        exposures: Rows of `FILE_COLUMNS`.

    Raises:
        ExposureError: If a column is missing or holds something else.
    """
    for row in exposures.iter_rows(named=True):
        # A missing column is refused by the validation below, with the others.
        now = row.get("now")
        try:
            yield _RECORD.validate_python(row | {"now_us": now and to_us(now)})
        except ValidationError as exc:
            where = ", ".join(str(error["loc"][0]) for error in exc.errors())
            msg = f"answer {row.get('recommendation_id')} is not recorded as this software does: "
            raise ExposureError(msg + where) from exc
