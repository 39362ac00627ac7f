"""Cover model: log-odds of a click by the picture that stands for a sale, per customer."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.catalogue.catalogue import Catalogue
from models.domain.customer import Window
from models.domain.sale import COVER, MAX_PICTURES, PictureScores
from models.neighbours.search import EMBEDDING_SIZE

COVERS_FILE: Final = "covers.npz"
"""Name of its file in a bundle."""

# Chosen: one click says little of a taste.
_EVIDENCE: Final = 4.0
"""Pseudo-clicks by which a taste is shrunk towards 0."""


@dataclass(frozen=True, slots=True, eq=False)
class SalePictures:
    """Pictures of one sale, from which its cover is chosen.

    Attributes:
        numbers: Their numbers, ascending.
        vectors: By what each differs from the mean of the sale's pictures, on the axes of the
            model, and 1 for the first picture, else 0; shape ``(n_pictures, n_axes + 1)``.
        keys: See `picture_key`, shape ``(n_pictures,)``.
    """

    numbers: tuple[int, ...]
    vectors: NDArray[np.float64]
    keys: NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class CoverModel:
    """Predicts clicks by cover; see `training.covers.fit_covers`.

    The log-odds of a click on picture ``c``, beside what any picture of the sale has in common, are
    ``(common + agreement * taste) @ vector_c + liking_c``.

    Attributes:
        axes: Axes on which pictures of one sale differ, shape ``(128, n_axes)``.
        common: What customers have in common: a weight an axis, and that of the first picture,
            shape ``(n_axes + 1,)``.
        agreement: Weight of agreeing with a customer's taste, shape ``(n_axes,)``.
        keys: Keys of the pictures that were shown, ascending, shape ``(n,)``.
        liking: What is liked of each beyond its looks, shape ``(n,)``; others have 0.
    """

    axes: NDArray[np.float64]
    common: NDArray[np.float64]
    agreement: NDArray[np.float64]
    keys: NDArray[np.uint64]
    liking: NDArray[np.float64]

    def pictures(self, catalogue: Catalogue, row: int) -> SalePictures | None:
        """Return the pictures of a sale; None with fewer than two."""
        # `False` in place of None, which a cache takes for missing.
        found: SalePictures | bool = catalogue.cache.get_or_make(
            (self, row), lambda: self._pictures(catalogue, row) or False
        )
        return found if isinstance(found, SalePictures) else None

    def _pictures(self, catalogue: Catalogue, row: int) -> SalePictures | None:
        scores = catalogue.pictures[row]
        if scores is None or len(scores.each) < 2:  # noqa: PLR2004 - a choice
            return None
        sale_key = int(catalogue.keys[row])
        keys = [picture_key(sale_key, one) for one in scores.each.values()]
        is_first = np.array([number == COVER for number in scores.each], dtype=np.float64)
        vectors = np.column_stack([differences(scores) @ self.axes, is_first])
        return SalePictures(tuple(scores.each), vectors, np.array(keys, dtype=np.uint64))

    def taste(self, window: Window, catalogue: Catalogue) -> NDArray[np.float64]:
        """Return a customer's taste: the mean of the covers that they clicked, shrunk to 0.

        Args:
            window: The customer's window, whose clicks name their covers.
            catalogue: All known sales.

        Returns:
            ``sum vector / (4 + n)`` over ``n`` clicks, shape ``(n_axes,)``.
        """
        total, n, covers = np.zeros(len(self.agreement)), 0, window.covers
        clicked = np.flatnonzero(covers)
        rows: list[int] = catalogue.rows_for(window.sale_keys[clicked]).tolist()
        for row, number in zip(rows, covers[clicked].tolist(), strict=True):
            known = self.pictures(catalogue, row) if row >= 0 else None
            if known is not None and number in known.numbers:
                total += known.vectors[known.numbers.index(number), :-1]
                n += 1
        return total / (_EVIDENCE + n)

    def log_odds(
        self, sales: Sequence[SalePictures], taste: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the log-odds of a click on each picture, but for what a sale's have in common.

        Args:
            sales: At least one.
            taste: The customer's, shape ``(n_axes,)``.

        Returns:
            Shape ``(n_sales, 9)``, ``-inf`` beyond the last picture of a sale.
        """
        weights = self.common.copy()
        weights[:-1] += self.agreement * taste
        every = np.concatenate([one.keys for one in sales])
        found = np.concatenate([one.vectors for one in sales]) @ weights
        laid = np.full((len(sales), MAX_PICTURES), -np.inf)
        sizes = np.array([len(one.numbers) for one in sales])
        laid[np.arange(MAX_PICTURES) < sizes[:, None]] = found + self._liking(every)
        return laid

    def _liking(self, keys: NDArray[np.uint64]) -> NDArray[np.float64]:
        if not len(self.keys):
            return np.zeros(len(keys))
        places = np.minimum(self.keys.searchsorted(keys), len(self.keys) - 1)
        return np.where(self.keys[places] == keys, self.liking[places], 0.0)

    def to_bytes(self) -> bytes:
        """Serialise; `from_bytes` reads it."""
        return Arrays(
            {
                "axes": self.axes,
                "common": self.common,
                "agreement": self.agreement,
                "keys": self.keys.view(np.int64),
                "liking": self.liking,
            }
        ).to_bytes()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: If an array is missing, malformed or not finite.
        """
        arrays = Arrays.from_bytes(content)
        model = cls(
            axes=arrays.floats("axes"),
            common=arrays.floats("common"),
            agreement=arrays.floats("agreement"),
            keys=arrays.integers("keys").view(np.uint64),
            liking=arrays.floats("liking"),
        )
        n_axes, n = len(model.agreement), len(model.keys)
        shapes = model.axes.shape, model.common.shape, model.liking.shape
        if shapes != ((EMBEDDING_SIZE, n_axes), (n_axes + 1,), (n,)):
            msg = f"the arrays of the cover model do not fit each other: {shapes}"
            raise ValueError(msg)
        weights = (model.axes, model.common, model.agreement, model.liking)
        if not all(np.isfinite(one).all() for one in weights):
            msg = "a weight of the cover model is not finite"
            raise ValueError(msg)
        return model


def differences(scores: PictureScores) -> NDArray[np.float64]:
    """Return by what each picture of a sale differs from their mean, shape ``(n, 128)``."""
    vectors = np.stack([one.embedding for one in scores.each.values()]).astype(np.float64)
    return vectors - vectors.mean(axis=0)


def picture_key(sale_key: int, picture: PictureScores) -> int:
    """Return the 64-bit key of a picture of a sale; another picture of its number has another."""
    content = sale_key.to_bytes(8, "big") + picture.embedding.tobytes()
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "big")
