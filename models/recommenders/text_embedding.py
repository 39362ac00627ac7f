"""Latent semantic analysis of texts: TF-IDF and a truncated singular value decomposition."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays

# Chosen: a text of 20,000 characters has about 3,000.
MAX_TERMS: Final = 1_000
"""Terms read of a text at most."""

_WORD: Final = re.compile(r"[^\W_]+")


def terms(text: str) -> list[str]:
    """Split a text into terms, in any language.

    Words are case-folded and NFKC-normalised. Scripts without letter case are mostly written
    without spaces: their words are split into character bigrams.

    Args:
        text: The text.

    Returns:
        At most `MAX_TERMS` terms in order, with repetitions.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    found: list[str] = []
    for match in _WORD.finditer(folded):
        word = match.group()
        if unicodedata.category(word[0]) != "Lo" or len(word) == 1:
            found.append(word)
        else:
            found += [word[place : place + 2] for place in range(len(word) - 1)]
        if len(found) >= MAX_TERMS:
            break
    return found[:MAX_TERMS]


@dataclass(frozen=True, eq=False)
class TextSpace:
    """Embeds texts by TF-IDF and a truncated singular value decomposition.

    A term that occurs ``n`` times in a text has the weight ``(1 + log n) * idf``. The weights of
    a text are scaled to unit length, projected on the axes, and scaled to unit length again.

    Attributes:
        words: Vocabulary, distinct, shape ``(n_terms,)``.
        idf: Inverse document frequencies, positive, shape ``(n_terms,)``.
        axes: Weights of each dimension, shape ``(n_terms, n_dimensions)``.
    """

    words: tuple[str, ...]
    idf: NDArray[np.float64]
    axes: NDArray[np.float64]

    @property
    def n_dimensions(self) -> int:
        """Number of dimensions."""
        return self.axes.shape[1]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Embed texts; a row's bits do not depend on the other texts.

        Args:
            texts: The texts.

        Returns:
            Unit vectors, zeros for a text without a known term, shape ``(n, n_dimensions)``.
        """
        placed = np.zeros((len(texts), self.n_dimensions))
        for row, text in enumerate(texts):
            # In the order of their first occurrence, on which the bits of the sum depend.
            counts = Counter(
                place for term in terms(text) if (place := self._places.get(term, -1)) >= 0
            )
            known = np.fromiter(counts, dtype=np.intp, count=len(counts))
            n = np.fromiter(counts.values(), dtype=np.float64, count=len(counts))
            weights = (1.0 + np.log(n)) * self.idf[known]
            placed[row] = _unit(np.einsum("i,ij->j", _unit(weights), self.axes[known]))
        return placed

    @cached_property
    def _places(self) -> dict[str, int]:
        return {word: place for place, word in enumerate(self.words)}

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the fitted arrays; see `from_arrays`."""
        words = np.array(self.words, dtype=np.str_)
        return {"words": words, "idf": self.idf, "axes": self.axes}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore a space.

        Raises:
            ValueError: If an array is missing or its shape does not fit the others.
        """
        words, idf, axes = arrays.strings("words"), arrays.floats("idf"), arrays.floats("axes")
        if not len(words) == len(idf) == len(axes):
            msg = f"{len(words)} terms with {len(idf)} weights on axes of {len(axes)}"
            raise ValueError(msg)
        return cls(tuple(words), idf, axes)


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    length = float(np.sqrt(np.square(vector).sum()))
    return vector / length if length > 0 else vector
