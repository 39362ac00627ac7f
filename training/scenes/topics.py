"""Fits topics: non-negative factors of the label probabilities of pictures."""

# scikit-learn and scipy ship no types.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false

import warnings
from collections.abc import Sequence
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning

from models.pictures.topics import Topics

MIN_TOPICS: Final = 2  # of one topic there is no agreement to compare
N_SPLITS: Final = 5  # chosen: each split is two fits for each number of topics
PRESENT: Final = 0.05  # probability from which a picture shows a label; chosen, not measured

_HALF: Final = 1_000  # pictures of a half at most: bounds the time of all fits
_RARE: Final = 0.2  # smallest length of a label, as a share of the longest; chosen
_MAX_STEPS: Final = 1_000  # five times scikit-learn's default; bounds the time of a fit
_NAMED_LABELS: Final = 3  # a name of more does not fit a table
_NAMED_SHARE: Final = 0.2  # of the first label's weight; chosen
_TINY: Final = 1e-9  # against division by 0 where all pictures are alike


def fit_topics(
    probabilities: NDArray[np.float32], labels: Sequence[str], *, max_topics: int, seed: int
) -> Topics:
    """Factorise label probabilities, and select the number of topics.

    A number of topics is judged by the sum of three figures: how alike the topics of two halves
    of the pictures are, how much of one half the topics of the other explain, and how coherent
    the topics are, a topic of one label counting 0 (see `quality`). Too few topics explain
    little; too many cut overlapping labels apart, at random or into lone labels. The smallest
    number is taken whose mean is within one standard error of the best.

    Args:
        probabilities: Label probabilities of pictures, shape ``(n, n_labels)``.
        labels: Names of the labels.
        max_topics: Largest number to try.
        seed: Seed of the halves.

    Returns:
        The topics; none at all for fewer pictures or labels than two topics need.

    Source:
        Greene, O'Callaghan and Cunningham, How Many Topics? Stability Analysis for Topic
        Models, ECML 2014; Breiman et al., 1984, for the rule of one standard error.
    """
    # Each half needs a picture per topic.
    most = min(max_topics, len(labels), len(probabilities) // 2)
    if most < MIN_TOPICS:
        return Topics.none()
    tried = {
        n: quality(probabilities, n, rng=np.random.default_rng([seed, n]))
        for n in range(MIN_TOPICS, most + 1)
    }
    means = {n: float(figures.mean()) for n, figures in tried.items()}
    best = max(means, key=lambda n: means[n])
    error = float(tried[best].std(ddof=1)) / np.sqrt(N_SPLITS)
    chosen = min(n for n, mean in means.items() if mean >= means[best] - error)
    components = _components(probabilities, chosen)
    return Topics(
        components,
        tuple(topic_name(weights, labels) for weights in components),
        tuple(coherence(probabilities, _top_labels(weights)) for weights in components),
    )


def quality(
    probabilities: NDArray[np.float32], n_topics: int, *, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Judge a number of topics on random halves of the pictures.

    Agreement is the mean cosine of the two halves' topics, matched one to one. What is
    explained is ``1 - sum (x - shares @ topics)^2 / sum (x - mean)^2`` over a half that the
    topics were not fitted to. Coherence is the mean over topics, see `coherence`.

    Args:
        probabilities: Shape ``(n, n_labels)``.
        n_topics: Number of topics, at most ``n / 2``.
        rng: Draws the halves, of at most 1,000 pictures each.

    Returns:
        The sum of the three for each of ``N_SPLITS`` splits, each at most 3.
    """
    size = min(len(probabilities) // 2, _HALF)
    figures: list[float] = []
    for _ in range(N_SPLITS):
        drawn = probabilities[rng.permutation(len(probabilities))]
        one, other = drawn[:size], drawn[size : 2 * size]
        topics, others = (_components(half, n_topics) for half in (one, other))
        cosines = _unit_rows(topics) @ _unit_rows(others).T
        mine, theirs = linear_sum_assignment(-cosines)
        shares = Topics(topics, ("",) * n_topics).shares(other)
        missed = ((other - shares @ topics) ** 2).sum()
        explained = 1 - missed / max(((other - other.mean(axis=0)) ** 2).sum(), _TINY)
        together = np.nan_to_num([coherence(other, _top_labels(weights)) for weights in topics])
        figures.append(float(cosines[mine, theirs].mean() + explained + together.mean()))
    return np.array(figures)


def coherence(probabilities: NDArray[np.float32], top_labels: Sequence[int]) -> float:
    """Measure how much a topic's top labels occur in the same pictures.

    A label occurs in a picture that it has a probability of at least 0.05 in. The coherence is
    the mean over pairs of top labels of ``ln(p_ab / (p_a p_b)) / -ln(p_ab)``, normalised
    pointwise mutual information: 1 if they only occur together, 0 if independent, -1 if never
    together.

    Args:
        probabilities: Shape ``(n, n_labels)``.
        top_labels: Columns of the topic's top labels.

    Returns:
        In ``[-1, 1]``; NaN of a single label, which has no pair.

    Source:
        Bouma, Normalized (Pointwise) Mutual Information in Collocation Extraction, 2009;
        Lau, Newman and Baldwin, Machine Reading Tea Leaves, EACL 2014.
    """
    present = probabilities[:, list(top_labels)] >= PRESENT
    pairs: list[float] = []
    for one, other in combinations(present.T, 2):
        both = float((one & other).mean())
        # The limits, where the logarithm of 0 or a division by 0 would stand.
        if both in (0.0, 1.0):
            pairs.append(2 * both - 1)
            continue
        independent = float(one.mean()) * float(other.mean())
        pairs.append(float(np.log(both / independent) / -np.log(both)))
    return float(np.mean(pairs)) if pairs else float("nan")


def topic_name(weights: NDArray[np.float64], labels: Sequence[str]) -> str:
    """Name a topic by its strongest labels: up to three that weigh a fifth of the first."""
    named = [labels[label] for label in _top_labels(weights)]
    return " – ".join(name.replace("_", " ").capitalize() for name in named)


def _top_labels(weights: NDArray[np.float64]) -> list[int]:
    top: list[int] = np.argsort(-weights, kind="stable")[:_NAMED_LABELS].tolist()
    return [label for label in top if weights[label] >= _NAMED_SHARE * weights[top[0]]]


def _components(probabilities: NDArray[np.float32], n_topics: int) -> NDArray[np.float64]:
    """Factorise, without randomness; rows sum to 1."""
    # Labels are scaled to equal length: otherwise one more topic rather splits a common group of
    # labels than finds a rare one. Labels that hardly occur are not blown up.
    exact = probabilities.astype(np.float64)
    length = np.sqrt((exact**2).mean(axis=0))
    scale = np.maximum(length, _RARE * length.max())
    model = NMF(
        n_components=n_topics,  # pyright: ignore[reportArgumentType] - inferred from its default
        init="nndsvda",
        random_state=0,
        max_iter=_MAX_STEPS,
        tol=1e-3,
    )
    with warnings.catch_warnings():
        # A fit that did not converge is compared by its figures, as every other.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(exact / scale)
    # Positive everywhere, so that a topic without weight still sums to 1.
    components = np.asarray(model.components_, dtype=np.float64) * scale + 1e-9
    return components / components.sum(axis=1, keepdims=True)


def _unit_rows(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
