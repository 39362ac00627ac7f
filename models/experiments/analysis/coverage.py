"""Coverage of the catalogue: distinct sales among equally many answers, with an error.

More answers show more distinct sales, so both sides are compared at the same number of answers,
drawn at random. What such a draw shows on average has a closed form; nothing is drawn.
"""

import math
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

# Chosen: enough for an error to a fifth, few enough that each part of the units has many answers.
_PARTS: Final = 20


@dataclass(frozen=True, slots=True, eq=False)
class ShownSales:
    """In how many answers each sale was shown, for parts of the units of a variant.

    Attributes:
        answers: Answers of each part, shape ``(n_parts,)``.
        counts: Answers that showed a sale, shape ``(n_parts, n_sales)``.
    """

    answers: NDArray[np.int64]
    counts: NDArray[np.int64]

    @classmethod
    def from_answers(cls, answers: pl.DataFrame) -> Self:
        """Count ``unit_id, sale_ids`` of answers; all answers of a unit are in one part."""
        parts = (answers["unit_id"].rank("dense").to_numpy() - 1).astype(np.int64) % _PARTS
        rows = answers["sale_ids"].list.unique()
        shown = pl.DataFrame({"part": parts, "sale": rows}).explode("sale").drop_nulls()
        sales = shown["sale"].rank("dense").to_numpy().astype(np.int64) - 1
        counts = np.zeros((_PARTS, int(sales.max(initial=-1)) + 1), dtype=np.int64)
        np.add.at(counts, (shown["part"].to_numpy(), sales), 1)
        return cls(np.bincount(parts, minlength=_PARTS), counts)

    @property
    def n_answers(self) -> int:
        """Number of answers."""
        return int(self.answers.sum())

    def expected(self, drawn: int) -> float:
        """Return the expected number of distinct sales in so many answers, without replacement.

        Source:
            Hurlbert, The Nonconcept of Species Diversity, Ecology 1971 (rarefaction).
        """
        return _rarefied(self.counts.sum(axis=0), self.n_answers, drawn)

    def log_variance(self, drawn: int) -> float:
        """Return the variance of the logarithm of `expected`, by a jackknife over the parts.

        NaN if a part has no answer, or the parts are very unequal.
        """
        n, counts = self.n_answers, self.counts.sum(axis=0)
        fewer = min(drawn * (_PARTS - 1) // _PARTS, n - int(self.answers.max(initial=0)))
        if not self.answers.all() or 2 * fewer < drawn:
            return math.nan
        without = np.log(
            [
                _rarefied(counts - own, n - int(left), fewer)
                for own, left in zip(self.counts, self.answers, strict=True)
            ]
        )
        return (_PARTS - 1) * float(np.var(without))


def log_ratio_error(own: ShownSales, control: ShownSales, *, both: ShownSales, drawn: int) -> float:
    """Return the standard error of the logarithm of the ratio of both sides' coverage.

    Of each side the larger variance counts: its own, or that of both together for as many answers.
    A side that happened to show few rare sales would otherwise be taken for certain of that.

    Args:
        own: Of a variant.
        control: Of the control.
        both: Of the answers of both.
        drawn: Number of answers, see `ShownSales.expected`.

    Returns:
        NaN where a variance is, see `ShownSales.log_variance`.
    """
    pooled = both.n_answers * both.log_variance(drawn)
    variances = [
        np.maximum(one.log_variance(drawn), pooled / one.n_answers) for one in (own, control)
    ]
    return math.sqrt(float(sum(variances)))


def _rarefied(counts: NDArray[np.int64], n: int, drawn: int) -> float:
    """Return ``sum(1 - C(n - k, drawn) / C(n, drawn))`` over the counts ``k`` of all sales."""
    values, times = np.unique(counts, return_counts=True)
    missed = [
        math.exp(
            math.lgamma(n - k + 1)
            + math.lgamma(n - drawn + 1)
            - math.lgamma(n - k - drawn + 1)
            - math.lgamma(n + 1)
        )
        if n - k >= drawn
        else 0.0
        for k in values.tolist()
    ]
    return float(np.sum(times * (1.0 - np.array(missed))))
