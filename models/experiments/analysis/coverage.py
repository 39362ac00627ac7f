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

    def expected(self, drawn: int) -> float:
        """Return the expected number of distinct sales in so many answers, without replacement.

        Source:
            Hurlbert, The Nonconcept of Species Diversity, Ecology 1971 (rarefaction).
        """
        return _rarefied(self.counts.sum(axis=0), int(self.answers.sum()), drawn)

    def log_error(self, drawn: int) -> float:
        """Return the standard error of the logarithm of `expected`, by a jackknife over the parts.

        NaN if a part has no answer, or the parts are very unequal.
        """
        n, counts = int(self.answers.sum()), self.counts.sum(axis=0)
        fewer = min(drawn * (_PARTS - 1) // _PARTS, n - int(self.answers.max(initial=0)))
        if not self.answers.all() or 2 * fewer < drawn:
            return math.nan
        without = np.log(
            [
                _rarefied(counts - own, n - int(left), fewer)
                for own, left in zip(self.counts, self.answers, strict=True)
            ]
        )
        return math.sqrt((_PARTS - 1) * float(np.var(without)))


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
