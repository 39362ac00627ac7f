"""Topics: non-negative mixtures of scene labels that occur together."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays

# Chosen: a fixed number, so that results do not depend on a tolerance.
_STEPS: Final = 200
# Chosen: keeps a division by 0 from a label that no topic has; far below any share.
_TINY: Final = 1e-12


@dataclass(frozen=True, eq=False)
class Topics:
    """Non-negative mixtures of labels.

    Attributes:
        components: Label weights of each topic, rows sum to 1, shape ``(n_topics, n_labels)``.
        names: A name for each topic, made of its top labels.
        coherence: How much each topic's top labels occur together, see
            `training.scenes.topics.coherence`; empty where it was not measured.
    """

    components: NDArray[np.float64]
    names: tuple[str, ...]
    coherence: tuple[float, ...] = ()

    @classmethod
    def none(cls) -> Self:
        """Return zero topics, for data without labelled pictures."""
        return cls(np.empty((0, 0)), ())

    @property
    def n_topics(self) -> int:
        """Number of topics."""
        return len(self.names)

    @property
    def is_shown(self) -> NDArray[np.bool_]:
        """Which topics answers and reports name, shape ``(n_topics,)``.

        A topic of negative coherence joins labels that avoid each other: its name would say
        what no picture shows. One that was not measured, or of one label, is shown.
        """
        coherence = self.coherence or (np.nan,) * self.n_topics
        return ~(np.array(coherence, dtype=np.float64) < 0)

    def shares(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Convert label probabilities to topic shares.

        Minimises the squared error of ``shares @ components`` under non-negativity by
        multiplicative updates, then scales rows to sum 1. A row's bits do not depend on the other
        rows.

        Args:
            probabilities: Shape ``(n, n_labels)``.

        Returns:
            Shape ``(n, n_topics)``.

        Source:
            Lee and Seung, Algorithms for non-negative matrix factorization, 2001.
        """
        if not self.n_topics:
            return np.empty((len(probabilities), 0), dtype=np.float32)
        wanted = np.einsum("ij,kj->ik", probabilities.astype(np.float64), self.components)
        overlap = np.einsum("ij,kj->ik", self.components, self.components)
        shares = np.full_like(wanted, 1.0 / self.n_topics)
        for _ in range(_STEPS):
            shares *= wanted / (np.einsum("ij,jk->ik", shares, overlap) + _TINY)
        shares /= np.maximum(shares.sum(axis=1, keepdims=True), _TINY)
        return shares.astype(np.float32)

    def to_bytes(self) -> bytes:
        """Serialise; see `from_bytes`."""
        names = np.array(self.names, dtype=np.str_)
        coherence = np.array(self.coherence, dtype=np.float64)
        arrays = {"components": self.components, "names": names, "coherence": coherence}
        return Arrays(arrays).to_bytes()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: If the content is malformed.
        """
        arrays = Arrays.from_bytes(content)
        components, names = arrays.floats("components"), arrays.strings("names")
        if len(components) != len(names):
            msg = f"{len(names)} names for {len(components)} topics"
            raise ValueError(msg)
        coherence: list[float] = arrays.floats("coherence").tolist()
        if len(coherence) not in (0, len(names)):
            msg = f"{len(coherence)} coherences for {len(names)} topics"
            raise ValueError(msg)
        return cls(components, tuple(names), tuple(coherence))


def percentages(shares: NDArray[np.float32]) -> NDArray[np.int64]:
    """Round shares to whole percentages that sum to 100.

    Every share is rounded down; the missing percentages go to the largest remainders, ties to the
    first.

    Args:
        shares: Rows that sum to 1, shape ``(n, n_topics)``.

    Returns:
        The same shape.

    Source:
        The method of the largest remainder (Hare and Niemeyer).
    """
    exact = shares.astype(np.float64) * 100
    # float32 shares sum to 1 within 1e-7 only, which must not cost a whole percent.
    whole = np.floor(exact + 1e-4).astype(np.int64)
    missing = 100 - whole.sum(axis=1, keepdims=True)
    order = np.argsort(whole - exact, axis=1, kind="stable")
    ranks = np.argsort(order, axis=1, kind="stable")
    return whole + (ranks < missing)
