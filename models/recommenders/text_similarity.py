"""Sales whose titles and descriptions read like those of what the customer looked at."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.catalogue.catalogue import Catalogue
from models.catalogue.catalogue_cache import CatalogueCache
from models.domain.sale import Sale
from models.query.query import Batch
from models.recommenders.recommender import Recommender
from models.recommenders.text_embedding import TextSpace

Words = tuple[str, str]


def words_of(sale: Sale) -> Words:
    """Return title and description, empty where there are none."""
    return sale.title or "", sale.description or ""


@dataclass(frozen=True, eq=False)
class Text(Recommender):
    """Compares texts in the dimensions in which one customer's sales were found to agree.

    Texts on offer lie around 0 with covariance ``I``, those of a customer around his liking,
    which varies by ``spread`` over customers around ``mean``. After ``n`` sales of mean ``m``
    it is expected at ``mean + (m - mean) * spread * n / (1 + spread * n)``. Where titles say
    nothing there are no such dimensions, and nothing is known.

    Attributes:
        space: Places texts.
        centre: Where the texts on offer lie in it, shape ``(n_dimensions,)``.
        axes: From there to the dimensions that tell, shape ``(n_dimensions, n_axes)``.
        mean: What the average customer likes, shape ``(n_axes,)``.
        spread: How much customers differ, positive, same shape.
    """

    space: TextSpace
    centre: NDArray[np.float64]
    axes: NDArray[np.float64]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]

    name: ClassVar[str] = "text"
    columns: ClassVar[Mapping[str, str]] = {
        "text": "Agreement of title and description with those of what he looked at",
        "text_visit": "The same by this visit alone",
    }

    @property
    def n_axes(self) -> int:
        """Number of dimensions in which customers differ."""
        return self.axes.shape[1]

    def batch_scores(self, batch: Batch) -> NDArray[np.float64]:
        """Score by texts; see `Recommender.batch_scores`."""
        if not self.n_axes:
            return np.full((*batch.rows.shape, len(self.columns)), np.nan)
        places = self._places.of(batch.catalogue)
        liking = self._expected(batch, places)
        return np.einsum("bij,hbj->bih", batch.described(places), liking)

    def _expected(self, batch: Batch, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what is expected to be liked, lasting and in this visit.

        Returns:
            Shape ``(2, n_queries, n_axes)``.
        """
        touched = batch.touched
        customers, rows, weights = touched.customers, touched.rows, touched.weights
        says = ~np.isnan(places[rows, 0])
        if not says.all():
            customers, rows, weights = (
                customers.select(says),
                rows[says],
                weights.compress(says, axis=1),
            )
        n = customers.sums(weights)[..., None]
        away = customers.weighted(weights, places, rows=rows) - n * self.mean
        return self.mean + away * self.spread / (1 + self.spread * n)

    @cached_property
    def _places(self) -> CatalogueCache[NDArray[np.float64]]:
        return CatalogueCache(_Table(self).of)

    def place(self, words: list[Words]) -> NDArray[np.float64]:
        """Place texts, NaN where nothing in them is known, shape ``(n, n_axes)``."""
        vectors = self.space.place(["\n".join(one) for one in words])
        places = np.einsum("ij,jk->ik", vectors - self.centre, self.axes)
        return np.where(np.any(vectors != 0, axis=1)[:, None], places, np.nan)

    def to_arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """Return what was fitted; see `Recommender.to_arrays`."""
        return {
            **{f"space_{name}": array for name, array in self.space.to_arrays().items()},
            "centre": self.centre,
            "axes": self.axes,
            "mean": self.mean,
            "spread": self.spread,
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore the recommender; see `Recommender.from_arrays`."""
        own = {
            name.removeprefix("space_"): array
            for name, array in arrays.arrays.items()
            if name.startswith("space_")
        }
        space = TextSpace.from_arrays(Arrays(own))
        centre, axes = arrays.floats("centre"), arrays.floats("axes")
        mean, spread = arrays.floats("mean"), arrays.floats("spread")
        n = space.n_dimensions
        if len(centre) != n or axes.shape != (n, len(mean)) or len(mean) != len(spread):
            msg = f"axes of shape {axes.shape} for texts of {n} dimensions, {len(mean)} means"
            raise ValueError(msg)
        return cls(space, centre, axes, mean, spread)


class _Table:
    """Places the texts of catalogues; of a text that the last one had too, no more than once."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._known: Mapping[Words, NDArray[np.float64]] = {}

    def of(self, catalogue: Catalogue) -> NDArray[np.float64]:
        """Place every sale, NaN where its text says nothing, shape ``(n_catalogue, n_axes)``."""
        words = [words_of(sale) for sale in catalogue.sales]
        before = self._known
        new = [one for one in dict.fromkeys(words) if one not in before]
        made = dict(zip(new, self._text.place(new), strict=True))
        rows = {one: made[one] if one in made else before[one] for one in words}
        self._known = rows
        table = np.array([rows[one] for one in words]).reshape(len(words), self._text.n_axes)
        table.flags.writeable = False
        return table
