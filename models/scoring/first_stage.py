"""First stage of large catalogues: an estimate for every sale from full scores of a sample.

For each query the model scores a sample of the candidates. A ridge regression of these log-odds
on a few numbers of each sale, which a catalogue keeps, then estimates all others. What no such sum
can express, interest in a sale itself or in its neighbours, is left to `related`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Self
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue
from models.catalogue.columns import TEXT_COLUMNS
from models.catalogue.eligible_sales import EligibleSales
from models.catalogue.event_counts import SaleCounts
from models.domain.customer import Window
from models.domain.profile import Profile
from models.domain.purchase_history import PurchaseHistory
from models.kernel.library import kernel
from models.kernel.steps import Family, Step, address
from models.query.query import Context, Query
from models.ranker.ranker import log_odds

# Figures of all constants: decision record 0076.
RANKED_IN_FULL: Final = 4_000
"""Candidates at most that are all ranked in full, without a first stage."""

N_SAMPLED: Final = 256
"""Candidates that are scored in full for the regression."""

_N_DIRECTIONS: Final = 29  # with the others below, 32 numbers a sale: two cache lines
_N_OTHERS: Final = 3  # one, price, and whether it has a picture
_N_RELATED_TO: Final = 8
# Of a direction against 1 for the first one's variance; of shares of interest in a text. Intercept
# and usual log-odds are hardly shrunk.
_RIDGE, _TEXT_RIDGE, _NO_RIDGE = 1.0, 0.05, 1e-6
_FIT_ROWS: Final = 5_000
# Rows at once: other threads wait for no more than one block, as the kernel keeps the GIL.
_BLOCK: Final = 1_000

# Their first tables hold a vector for each sale; its dot product with the customer's is a feature.
_OF_VECTORS: Final = frozenset(
    {
        *(Family.IMAGES, Family.TASTE, Family.COLLABORATIVE, Family.TEXT, Family.SESSION),
        Family.DEMOGRAPHIC,
    }
)

Model = Callable[[Query], NDArray[np.float64]]
"""Returns P(outcome) of the candidates of a query, shape ``(n_candidates,)``."""


@dataclass(frozen=True, eq=False)
class FirstStage:
    """First stage for one catalogue and model.

    Attributes:
        numbers: Numbers of every sale, shape ``(n_catalogue, 32)``.
        text_columns: Column of each text by its code, from 0, shape ``(n_codes,)``.
        companions: Rows of the companions of every sale, by recommender, shape
            ``(n_catalogue, width)`` each; 0 where there are fewer.
        model: The model.
        usual: Log-odds of each sale for a customer without history, by counts; see `usual_of`.
    """

    numbers: NDArray[np.float32]
    text_columns: NDArray[np.intp]
    companions: tuple[NDArray[np.int64], ...]
    model: Model
    usual: WeakKeyDictionary[SaleCounts, NDArray[np.float32]] = field(
        default_factory=WeakKeyDictionary[SaleCounts, NDArray[np.float32]]
    )

    @classmethod
    def from_steps(cls, steps: Sequence[Step], catalogue: Catalogue, model: Model) -> Self:
        """Reduce the vectors of a catalogue's sales to their main directions.

        Args:
            steps: The steps of the model's features for this catalogue.
            catalogue: At least one sale.
            model: The model.
        """
        vectors = [one.tables[0] for one in steps if one.family in _OF_VECTORS]
        vectors.append(catalogue.topics / catalogue.topic_length[:, None])
        companions = [one.tables[0] for one in steps if one.family is Family.COVISITATION]
        numbers = np.ones((len(catalogue), _N_OTHERS + _N_DIRECTIONS), dtype=np.float32)
        price = catalogue.log_price - np.nanmean(np.append(catalogue.log_price, 0.0))
        numbers[:, 1] = np.nan_to_num(price)
        numbers[:, 2] = catalogue.pictured
        numbers[:, _N_OTHERS:] = _directions(vectors)
        named = [TEXT_COLUMNS.index(column) for column, _ in catalogue.vocabulary.values]
        companions = tuple(one.astype(np.int64, copy=False) for one in companions)
        return cls(numbers, np.array([0, *named]), companions, model)

    def usual_of(self, catalogue: Catalogue) -> NDArray[np.float32]:
        """Return the log-odds of every sale for a customer without history, at its counts' time.

        Computed once for each counts; 0 for sales that were over then.

        Args:
            catalogue: The catalogue, or one that differs in counts alone.

        Returns:
            Shape ``(n_catalogue,)``.
        """
        found = self.usual.get(catalogue.counts)
        if found is None:
            found = np.zeros(len(catalogue), dtype=np.float32)
            context = Context(catalogue.counts.at_us)
            not_over = np.flatnonzero(catalogue.closes_us > context.now_us)
            for start in range(0, len(not_over), _BLOCK):
                rows = not_over[start : start + _BLOCK]
                query = Query(Window.empty(), Profile.empty(), catalogue, context, rows)
                found[rows] = self._log_odds(query)
            self.usual[catalogue.counts] = found
        return found

    def estimates(self, query: Query) -> NDArray[np.float32]:
        """Estimate the log-odds of all candidates, shape ``(n_candidates,)``.

        Args:
            query: Its candidates are eligible sales, at least `N_SAMPLED`.
        """
        catalogue = query.catalogue
        sample, usual = self._sample(query), self.usual_of(catalogue)
        rows, codes = sample.rows, catalogue.vocabulary.codes
        shares = _text_shares(query)
        design = np.concatenate(
            [usual[rows][:, None], self.numbers[rows], shares[codes[rows]]],
            axis=1,
            dtype=np.float64,
        )
        # The sums cannot express these sales' own effects, which would spoil the others.
        is_plain = ~np.isin(rows, self.related(query))
        weights = _ridge(design[is_plain], self._log_odds(sample)[is_plain])
        of_numbers = weights[1:-3].astype(np.float32)
        by_code = (weights[-3:][self.text_columns] * shares).astype(np.float32)
        found = np.empty(len(query.rows), dtype=np.float32)
        kernel().estimate(
            *(address(self.numbers), self.numbers.shape[1], address(usual), address(codes)),
            *(address(of_numbers), float(weights[0]), address(by_code)),
            *(address(np.ascontiguousarray(query.rows)), len(query.rows), address(found)),
        )
        return found

    def sampled_rows(self, query: Query) -> NDArray[np.int64]:
        """Return the catalogue rows of the candidates that are scored for the regression.

        Rows are in the order of keys, which are hashes: every n-th is a random sample.
        """
        shared = query.eligible
        rows = query.rows if shared is None else shared.rows
        return rows[np.arange(N_SAMPLED) * len(rows) // N_SAMPLED]

    def related(self, query: Query) -> NDArray[np.int64]:
        """Return catalogue rows that the customer touched, was shown or bought, and companions.

        Companions, and the nearest pictures, are of the last distinct sales of the window.

        Returns:
            Distinct, ascending, not all of them eligible.
        """
        catalogue, window = query.catalogue, query.window
        bought = PurchaseHistory.unpack(query.profile.bought).sale_keys
        touched = catalogue.rows_for(window.sale_keys)
        touched = touched[touched >= 0]
        _, latest = np.unique(touched[::-1], return_index=True)
        last = touched[::-1][np.sort(latest)[:_N_RELATED_TO]]
        others = catalogue.rows_for(np.concatenate([window.shown.sale_keys, bought]))
        near = [one[last].ravel() for one in (catalogue.neighbours.rows, *self.companions)]
        return np.unique(np.concatenate([touched, others[others >= 0], *near]))

    def _log_odds(self, query: Query) -> NDArray[np.float64]:
        return log_odds(self.model(query))

    def _sample(self, query: Query) -> Query:
        rows, shared = self.sampled_rows(query), query.eligible
        if shared is None:
            return query.select(rows)
        own = shared.cache.get_or_make(
            "sample",
            lambda: EligibleSales(shared.catalogue, rows, shared.from_us, shared.until_us),
        )
        return Query(
            query.window, query.profile, query.catalogue, query.context, own.rows, eligible=own
        )


def _directions(vectors: Sequence[NDArray[np.generic]]) -> NDArray[np.float32]:
    """Project the vectors of each sale, of equal weight, on their main directions; 0 if unknown."""
    found = np.zeros((len(vectors[0]), _N_DIRECTIONS), dtype=np.float32)
    fitted = slice(None, None, max(1, len(found) // _FIT_ROWS))
    used = [one for one in vectors if one.shape[1]]
    if not used:
        return found
    centres = [np.nan_to_num(np.nanmean(_known(one[fitted]), axis=0)) for one in used]
    lengths: list[float] = []
    for one, centre in zip(used, centres, strict=True):
        squares = np.square(np.nan_to_num(one[fitted] - centre)).sum(axis=1).mean()
        lengths.append(float(np.sqrt(squares)) or 1.0)

    def joined(part: slice) -> NDArray[np.float64]:
        parts = zip(used, centres, lengths, strict=True)
        return np.concatenate([np.nan_to_num(v[part] - c) / n for v, c, n in parts], axis=1)

    sample = joined(fitted)
    variances, axes = np.linalg.eigh(sample.T @ sample / len(sample))
    n = min(_N_DIRECTIONS, len(variances))
    axes = axes[:, ::-1][:, :n] / np.sqrt(max(variances[-1], np.finfo(float).tiny))
    for start in range(0, len(found), _BLOCK):
        part = slice(start, start + _BLOCK)
        found[part, :n] = joined(part) @ axes
    return found


def _known(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return values with a row of zeros behind them, so that no column is unknown altogether."""
    return np.concatenate([values, np.zeros((1, values.shape[1]))]).astype(np.float64)


def _text_shares(query: Query) -> NDArray[np.float64]:
    """Return the share of the window's events by code of category, country or destination."""
    catalogue = query.catalogue
    rows = catalogue.rows_for(query.window.sale_keys)
    known = rows[rows >= 0]
    used = catalogue.vocabulary.codes[known].ravel()
    counts = np.bincount(used, minlength=1 + len(catalogue.vocabulary.values))
    counts[0] = 0
    return counts / max(len(known), 1)


def _ridge(design: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit a ridge regression: usual log-odds, one, price, picture, directions, three shares."""
    penalties = np.full(design.shape[1], _RIDGE)
    penalties[[0, 1]], penalties[-3:] = _NO_RIDGE, _TEXT_RIDGE
    solved = np.linalg.solve(design.T @ design + np.diag(penalties), design.T @ values)
    return np.asarray(solved, dtype=np.float64)
