"""Fits topics to the label probabilities of pictures."""

# scikit-learn and scipy ship no types.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.decomposition import NMF

from models.topics import Topics

MIN_TOPICS: Final = 2
N_REFITS: Final = 5
REFIT_SHARE: Final = 0.8
STABLE: Final = 0.9

_NAMED_LABELS: Final = 3
_NAMED_SHARE: Final = 0.2


def fit_topics(
    probabilities: NDArray[np.float32], labels: Sequence[str], *, max_topics: int, seed: int
) -> Topics:
    """Factorise label probabilities into as many topics as are stable.

    A number of topics is stable if topics fitted to random parts of the pictures are, matched
    one to one, at least 0.9 alike by cosine on average. The largest stable number is taken;
    if none is, the most stable one.

    Args:
        probabilities: Label probabilities of pictures, shape ``(n, n_labels)``.
        labels: Names of the labels.
        max_topics: Largest number to try.
        seed: Seed of the parts.

    Returns:
        The topics; none at all for fewer pictures or labels than two topics need.
    """
    most = min(max_topics, len(labels), len(probabilities) // MIN_TOPICS)
    if most < MIN_TOPICS:
        return Topics.none()
    tried = {
        n: stability(probabilities, n, np.random.default_rng([seed, n]))
        for n in range(MIN_TOPICS, most + 1)
    }
    stable = [n for n, agreement in tried.items() if agreement >= STABLE]
    n_topics = max(stable) if stable else max(tried, key=lambda n: tried[n])
    components = _components(probabilities, n_topics)
    return Topics(components, tuple(topic_name(weights, labels) for weights in components))


def stability(probabilities: NDArray[np.float32], n_topics: int, rng: np.random.Generator) -> float:
    """Return how alike topics of random parts of the pictures are to those of all.

    Args:
        probabilities: Shape ``(n, n_labels)``.
        n_topics: Number of topics.
        rng: Draws the parts.

    Returns:
        Mean cosine of topics matched one to one, in ``[0, 1]``.
    """
    whole = _unit_rows(_components(probabilities, n_topics))
    size = max(n_topics, int(len(probabilities) * REFIT_SHARE))
    agreements: list[float] = []
    for _ in range(N_REFITS):
        part = probabilities[rng.permutation(len(probabilities))[:size]]
        cosines = whole @ _unit_rows(_components(part, n_topics)).T
        mine, theirs = linear_sum_assignment(-cosines)
        agreements.append(float(cosines[mine, theirs].mean()))
    return float(np.mean(agreements))


def topic_name(weights: NDArray[np.float64], labels: Sequence[str]) -> str:
    """Name a topic by its strongest labels: up to three that weigh a fifth of the first."""
    top = np.argsort(-weights, kind="stable")[:_NAMED_LABELS]
    named = [labels[label] for label in top if weights[label] >= _NAMED_SHARE * weights[top[0]]]
    return " – ".join(name.replace("_", " ").capitalize() for name in named)


def _components(probabilities: NDArray[np.float32], n_topics: int) -> NDArray[np.float64]:
    """Factorise, without randomness; rows sum to 1."""
    model = NMF(n_components=n_topics, init="nndsvda", max_iter=400, tol=1e-3)
    model.fit(probabilities.astype(np.float64))
    components = np.asarray(model.components_, dtype=np.float64) + 1e-9
    return components / components.sum(axis=1, keepdims=True)


def _unit_rows(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
