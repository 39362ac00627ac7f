"""Scores of another ranking, read from a file and judged beside the bundle."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.dataset.checks import ROW, given
from models.dataset.event_columns import keys_for
from models.dataset.events import EventTable
from models.dataset.faults import DatasetError
from models.dataset.parts import SUFFIXES
from models.dataset.tables import Table, read_table
from models.domain.errors import UserError
from models.query.query import Query
from models.scoring.scorer import Scores
from training.evaluation.protocol import Extra, Protocol, SlateKey

OWN_SCORES: Final = "own_scores"
"""Name of the scorer."""

# Each column under the name of the dataset contract, and under a short one.
_EXPOSURE: Final = ("exposure_id", "exposure")
_CUSTOMER: Final = ("customer_id", "customer")
_SALE: Final = ("sale_id", "sale")
_SCORE: Final = ("score",)


class OwnScoresError(UserError):
    """A file of scores that cannot be used; the message names the file, the row and the value."""


@dataclass(eq=False)
class OwnScores:
    """Scores by list and sale.

    Attributes:
        file: Name of the file.
        has_customers: Whether each row names its customer.
        spans: First row and end of each list, by its name and customer; the latter is empty
            without ``has_customers``.
        keys: Sale key of each row, ascending within a list, shape ``(n,)``.
        scores: Score of each row, same shape.
        is_used: Whether a judged list had the row's sale, same shape.
        counts: Lists and sales of judged lists, with and without a score, by protocol.
    """

    file: str
    has_customers: bool
    spans: dict[tuple[str, str], tuple[int, int]]
    keys: NDArray[np.uint64]
    scores: NDArray[np.float64]
    is_used: NDArray[np.bool_]
    counts: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a Parquet or CSV file with the columns exposure, sale, score, perhaps customer.

        Raises:
            OwnScoresError: If it is no such file, a column is missing, a row is broken, or a sale
                is scored twice.
        """
        try:
            table = read_table(path)
        except DatasetError as exc:
            named = path.is_dir() or path.name.lower().endswith(SUFFIXES)
            hint = (
                "" if named else f"; neither CSV nor Parquet: name a file of {', '.join(SUFFIXES)}"
            )
            raise OwnScoresError("\n".join(map(str, exc.faults.first(1))) + hint) from exc
        for fault in table.faults:
            raise OwnScoresError(str(fault))
        names = [_column(table, wanted) for wanted in (_EXPOSURE, _SALE, _SCORE)]
        customers = [name for name in _CUSTOMER if name in table.columns][:1]
        customer = pl.col(given(customers[0])) if customers else pl.lit("")
        frame = table.frame.select(
            ROW,
            customer=customer.cast(pl.String),
            exposure=pl.col(given(names[0])).cast(pl.String),
            sale=pl.col(given(names[1])).cast(pl.String),
            score=pl.col(given(names[2])).cast(pl.Float64, strict=False),
            text=pl.col(given(names[2])).cast(pl.String),
        )
        _require_whole(frame, table.file)
        frame = frame.with_columns(key=pl.Series(keys_for(frame["sale"])))
        frame = frame.sort("exposure", "customer", "key")
        lists = frame.group_by("exposure", "customer", maintain_order=True).len()
        ends = np.cumsum(lists["len"].to_numpy()).tolist()
        return cls(
            file=table.file,
            has_customers=bool(customers),
            spans={
                (exposure, customer): (end - n, end)
                for (exposure, customer, n), end in zip(lists.iter_rows(), ends, strict=True)
            },
            keys=frame["key"].to_numpy(),
            scores=frame["score"].to_numpy(),
            is_used=np.zeros(frame.height, dtype=np.bool_),
        )

    def scorer(self, protocol: Protocol) -> Extra:
        """Return the scorer of a protocol; it counts what it scores.

        Sales of a shown list without a score come last. Of all open sales each one needs a score.
        """
        counts = self.counts.setdefault(protocol.value, Counter())

        def _order(slate: SlateKey, query: Query, _: Scores) -> NDArray[np.float64] | None:
            customer = slate.customer_id if self.has_customers else ""
            start, end = self.spans.get((slate.name, customer), (0, 0))
            keys = query.catalogue.keys[query.rows]
            # A key above all others would be found behind the last row of the list.
            place = start + np.minimum(
                np.searchsorted(self.keys[start:end], keys), max(end - start - 1, 0)
            )
            found = self.keys[place] == keys if end > start else np.zeros(len(keys), dtype=np.bool_)
            self.is_used[place[found]] = True
            if not found.any() or (protocol is Protocol.OPEN and not found.all()):
                counts["lists_without"] += 1
                return None
            counts["lists"] += 1
            counts["sales_without"] += int((~found).sum())
            return np.where(found, self.scores[place], -np.inf)

        return _order

    def require_customers(self, events: EventTable) -> None:
        """Refuse lists of a name that several customers share, where rows do not name theirs.

        Args:
            events: The log, which gives each list its customer.

        Raises:
            OwnScoresError: If there is one.
        """
        if self.has_customers:
            return
        codes = pl.DataFrame(
            {"exposure": events.exposures.codes, "customer": events.customers.codes}
        ).filter(pl.col("exposure") >= 0)
        shared = codes.group_by("exposure").n_unique().filter(pl.col("customer") > 1)
        for code, n in shared.sort("exposure").iter_rows():
            name = str(events.exposures.values[code])
            if (name, "") in self.spans:
                msg = (
                    f"{self.file}: list {name!r} was shown to {n:,} customers: give each row its "
                    f"customer, in a column {_CUSTOMER[0]}"
                )
                raise OwnScoresError(msg)

    def require_used(self) -> None:
        """Refuse scores of which none was used.

        Raises:
            OwnScoresError: If no row names a sale of a judged list.
        """
        if not self.is_used.any():
            msg = (
                f"{self.file}: none of its {len(self.keys):,} rows names a sale of a judged list; "
                f"its first list is {next(iter(self.spans))[0]!r}: lists are named by the "
                "exposure_id of their impressions, as --slates-out writes them"
            )
            raise OwnScoresError(msg)

    def summary(self) -> dict[str, int]:
        """Count rows, rows of no judged list, and lists and sales with and without a score."""
        n_used = int(self.is_used.sum())
        return {
            "rows": len(self.keys),
            "rows_of_no_judged_list": len(self.keys) - n_used,
            **{
                f"{protocol}_{name}": counts[name]
                for protocol, counts in self.counts.items()
                for name in ("lists", "lists_without", "sales_without")
            },
        }


def _column(table: Table, wanted: tuple[str, ...]) -> str:
    for name in wanted:
        if name in table.columns:
            return name
    msg = (
        f"{table.file}: has no column {' or '.join(wanted)}; "
        f"its columns are {', '.join(table.columns)}"
    )
    raise OwnScoresError(msg)


def _require_whole(frame: pl.DataFrame, file: str) -> None:
    if frame.is_empty():
        msg = f"{file}: has no rows"
        raise OwnScoresError(msg)
    bad = pl.any_horizontal(
        pl.col("exposure").is_null(), pl.col("sale").is_null(), ~pl.col("score").is_finite()
    ).fill_null(value=True)
    for row in frame.filter(bad).head(1).iter_rows(named=True):
        msg = (
            f"{file}, row {row[ROW]}: exposure {row['exposure']!r}, sale {row['sale']!r} and score "
            f"{row['text']!r} must be two ids and a finite number; leave out what has no score"
        )
        raise OwnScoresError(msg)
    for row in frame.filter(pl.col("customer").is_null()).head(1).iter_rows(named=True):
        msg = f"{file}, row {row[ROW]}: has no customer; give each row one, or leave out the column"
        raise OwnScoresError(msg)
    identity = ("exposure", "customer", "sale")
    repeated = frame.filter(pl.struct(identity).is_duplicated()).sort(identity)
    for row in repeated.head(1).iter_rows(named=True):
        msg = (
            f"{file}, row {row[ROW]}: sale {row['sale']!r} of list {row['exposure']!r} is scored "
            "more than once; keep one score, or name the customer of a list that several have"
        )
        raise OwnScoresError(msg)
