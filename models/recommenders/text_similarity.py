"""Text similarity: titles and descriptions compared with those of the customer's history."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.catalogue.catalogue import Catalogue
from models.domain.sale import Sale
from models.kernel.steps import Family, Step
from models.recommenders.recommender import Recommender
from models.recommenders.text_embedding import TextSpace

Texts = tuple[str, str]


def title_and_description(sale: Sale) -> Texts:
    """Return title and description, empty where missing."""
    return sale.title or "", sale.description or ""


@dataclass(frozen=True, eq=False)
class TextSimilarity(Recommender):
    """Compares texts along the axes in which one customer's sales agree.

    Texts are whitened: those of eligible sales have mean 0 and covariance ``I``. The texts of one
    customer scatter around their preference ``t ~ N(mean, diag(spread))``, whose posterior mean
    after ``n`` sales of mean ``m`` is ``mean + (m - mean) * spread * n / (1 + spread * n)``.
    Where texts are uninformative there are no axes, and all scores are NaN.

    Attributes:
        space: Embeds texts.
        centre: Mean embedding of eligible sales, shape ``(n_dimensions,)``.
        axes: From centred embeddings to the axes, shape ``(n_dimensions, n_axes)``.
        mean: Mean of preferences over customers, shape ``(n_axes,)``.
        spread: Variance of preferences over customers, positive, same shape.
    """

    space: TextSpace
    centre: NDArray[np.float64]
    axes: NDArray[np.float64]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]

    name: ClassVar[str] = "text"
    columns: ClassVar[Mapping[str, str]] = {
        "text": "Agreement of title and description with those of the customer's history",
        "text_visit": "The same by this visit alone",
    }

    @property
    def n_axes(self) -> int:
        """Number of axes."""
        return self.axes.shape[1]

    def step(self, catalogue: Catalogue) -> Step:
        """Return the step of both columns; see `Recommender.step`."""
        places = catalogue.cache.get_or_make(
            (self, "places"), lambda: self._table.places(catalogue)
        )
        tables = places, self.mean, self.spread
        n = self.n_axes
        return Step(Family.TEXT, len(self.columns), tables, (n,), n_work=3 * n)

    @cached_property
    def _table(self) -> "_Table":
        return _Table(self)

    def place(self, texts: list[Texts]) -> NDArray[np.float64]:
        """Place texts, NaN for a text without a known term, shape ``(n, n_axes)``."""
        vectors = self.space.embed(["\n".join(one) for one in texts])
        # (n, n_dimensions) by (n_dimensions, n_axes); einsum, so that a row's bits are its own.
        places = np.einsum("ij,jk->ik", vectors - self.centre, self.axes)
        return np.where(np.any(vectors != 0, axis=1)[:, None], places, np.nan)

    def to_arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """Return the fitted arrays; see `Recommender.to_arrays`."""
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
    """Places the texts of successive catalogues; texts of the previous one are not placed again."""

    def __init__(self, text: TextSimilarity) -> None:
        self._text = text
        self._known: Mapping[Texts, NDArray[np.float64]] = {}

    def places(self, catalogue: Catalogue) -> NDArray[np.float64]:
        """Place every sale, NaN without a known term; read only, ``(n_catalogue, n_axes)``."""
        texts = [title_and_description(sale) for sale in catalogue.sales]
        before = self._known
        new = [one for one in dict.fromkeys(texts) if one not in before]
        made = dict(zip(new, self._text.place(new), strict=True))
        rows = {one: made[one] if one in made else before[one] for one in texts}
        self._known = rows
        table = np.array([rows[one] for one in texts]).reshape(len(texts), self._text.n_axes)
        table.flags.writeable = False
        return table
