"""Classification head: two fully connected layers, fitted by Adam in numpy."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.pictures.scene_labeller import EMBEDDING_WIDTH

Floats = NDArray[np.float32]

# Against division by 0 of an embedding of zeros; the graph floors the square, at 1e-12.
_LENGTH_FLOOR = 1e-6
# Adam's defaults but for 0.99, whose default is 0.999. Chosen, not measured.
_MOMENTUM, _SQUARE_MOMENTUM, _EPSILON = 0.9, 0.99, 1e-8


@dataclass(frozen=True, slots=True)
class Recipe:
    """Hyper-parameters of the head, chosen by cross-validation (docs/scenes.md).

    Attributes:
        epochs: Passes over the pictures, each time by one random view.
        dropout: Share of the features that a step does not see.
        batch: Pictures of a step.
        rate: Peak learning rate of Adam, after a linear warm-up and before a half cosine.
        decay: Weight decay, as a share of the learning rate.
        smoothing: Share of a label that is spread over all labels.
        scale: Standard deviation of a logit at the start.
        least_steps: Few pictures are passed over more often, until so many steps are done.
    """

    # 40 passes at a dropout of 0.8: top-1 0.940 and log loss 0.198; 30 at 0.7: 0.937 and 0.205; at
    # 0.5: 0.937 and 0.218 (2,473 photographs, five folds, docs/scenes.md). 60 gained nothing.
    epochs: int = 40
    dropout: float = 0.8
    # Chosen; not measured one by one.
    batch: int = 128
    rate: float = 2e-3
    decay: float = 0.05
    smoothing: float = 0.1  # as in Szegedy et al.; without, top-1 was the same
    scale: float = 0.7
    least_steps: int = 300

    def n_epochs(self, n_pictures: int) -> int:
        """Return the passes over a number of pictures."""
        return max(self.epochs, math.ceil(self.least_steps / self.n_batches(n_pictures)))

    def n_batches(self, n_pictures: int) -> int:
        """Return the steps of one pass."""
        return math.ceil(n_pictures / self.batch)


@dataclass(frozen=True, slots=True)
class Head:
    """Two fully connected layers with a unit vector between them.

    ``z = f @ w1 + b1``, ``embedding = z / |z|``, ``logits = embedding @ w2 + b2``.

    Attributes:
        w1: Shape ``(n_features, 128)``.
        b1: Shape ``(128,)``.
        w2: Shape ``(128, n_labels)``.
        b2: Shape ``(n_labels,)``.
        centres: Mean direction of each label's embeddings, shape ``(128, n_labels)``.
    """

    w1: Floats
    b1: Floats
    w2: Floats
    b2: Floats
    centres: Floats

    @property
    def n_labels(self) -> int:
        """Number of labels."""
        return len(self.b2)

    @property
    def width(self) -> int:
        """Width of the embedding."""
        return len(self.b1)

    def embeddings(self, features: Floats) -> Floats:
        """Compute the unit vectors ``(n, 128)`` of features ``(n, n_features)``."""
        hidden = features @ self.w1 + self.b1
        return hidden / _length(hidden)

    def logits(self, features: Floats) -> Floats:
        """Compute both layers: features ``(n, n_features)`` to logits ``(n, n_labels)``."""
        return self.embeddings(features) @ self.w2 + self.b2

    def unlikeness(self, features: Floats) -> Floats:
        """Compute how far pictures lie from every label: minus the largest cosine to a centre.

        Args:
            features: Shape ``(n, n_features)``.

        Returns:
            In ``[-1, 1]``, shape ``(n,)``; larger is stranger.
        """
        return -(self.embeddings(features) @ self.centres).max(axis=1)

    def at_temperature(self, temperature: float) -> "Head":
        """Divide the logits by a positive temperature; above 1 probabilities are less certain."""
        divisor = np.float32(temperature)
        return replace(self, w2=self.w2 / divisor, b2=self.b2 / divisor)


def fit_head(
    views: Floats,
    labels: NDArray[np.int64],
    *,
    n_labels: int,
    recipe: Recipe,
    seed: int,
) -> Head:
    """Fit the two layers to minimise the cross-entropy of smoothed labels.

    Features are standardised; the standardisation is folded into the first layer afterwards.

    Args:
        views: Features of several views (flips, crops) a picture, ``(n, n_views, n_features)``.
        labels: Label of each picture, ``0 .. n_labels - 1``, shape ``(n,)``.
        n_labels: Number of labels.
        recipe: Regularisation and schedule.
        seed: Of the start and of the order.

    Returns:
        The head.

    Source:
        Szegedy et al., CVPR 2016 (label smoothing); Kingma and Ba, ICLR 2015 (Adam); Loshchilov
        and Hutter, ICLR 2019 (decoupled decay); Wang et al., ACM MM 2017 (unit embeddings).
    """
    rng = np.random.default_rng(seed)
    rows = views.reshape(-1, views.shape[2])
    spread = rows.std(axis=0)
    # A feature that hardly varies is not blown up: its scale is at least 0.001 of the largest.
    mean, scale = rows.mean(axis=0), np.maximum(spread, 1e-3 * spread.max())
    targets = np.eye(n_labels, dtype=np.float32)[labels] * np.float32(1 - recipe.smoothing)
    targets += np.float32(recipe.smoothing / n_labels)
    optimiser = _Adam(_start(views.shape[2], n_labels, recipe, rng), recipe)
    n_steps = recipe.n_epochs(len(views)) * recipe.n_batches(len(views))
    for step, batch in enumerate(_batches(len(views), recipe, rng)):
        chosen = views[batch, rng.integers(views.shape[1], size=len(batch))]
        kept = rng.random(chosen.shape, dtype=np.float32) >= recipe.dropout
        seen = (chosen - mean) / scale * kept / np.float32(1 - recipe.dropout)
        gradients = _gradients(optimiser.head, seen, targets[batch])
        optimiser.step(gradients, done=(step + 1) / n_steps)
    head = optimiser.head
    w1 = head.w1 / scale[:, None]
    folded = replace(head, w1=w1, b1=head.b1 - mean @ w1)
    embeddings = folded.embeddings(np.ascontiguousarray(views[:, 0]))
    totals = np.eye(n_labels, dtype=np.float32)[labels].T @ embeddings
    return replace(folded, centres=as_floats((totals / _length(totals)).T))


def _start(n_features: int, n_labels: int, recipe: Recipe, rng: np.random.Generator) -> Head:
    first = rng.standard_normal((n_features, EMBEDDING_WIDTH), dtype=np.float32)
    second = rng.standard_normal((EMBEDDING_WIDTH, n_labels), dtype=np.float32)
    return Head(
        as_floats(first / np.sqrt(n_features)),
        np.zeros(EMBEDDING_WIDTH, dtype=np.float32),
        as_floats(second * recipe.scale),
        np.zeros(n_labels, dtype=np.float32),
        np.zeros((EMBEDDING_WIDTH, n_labels), dtype=np.float32),
    )


def _batches(
    n_pictures: int, recipe: Recipe, rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    for _ in range(recipe.n_epochs(n_pictures)):
        order = rng.permutation(n_pictures)
        for start in range(0, n_pictures, recipe.batch):
            yield order[start : start + recipe.batch]


def _gradients(head: Head, features: Floats, targets: Floats) -> list[Floats]:
    hidden = features @ head.w1 + head.b1
    length = _length(hidden)
    embedding = hidden / length
    logits = as_floats(embedding @ head.w2 + head.b2)
    by_logits = (softmax(logits) - targets) / np.float32(len(targets))
    by_embedding = by_logits @ head.w2.T
    along = (by_embedding * embedding).sum(axis=1, keepdims=True)
    by_hidden = (by_embedding - embedding * along) / length
    by_w1, by_w2 = features.T @ by_hidden, embedding.T @ by_logits
    return [by_w1, by_hidden.sum(axis=0), as_floats(by_w2), by_logits.sum(axis=0)]


class _Adam:
    def __init__(self, start: Head, recipe: Recipe) -> None:
        self._start = start
        self._values = [start.w1, start.b1, start.w2, start.b2]
        self._means = [np.zeros_like(value) for value in self._values]
        self._squares = [np.zeros_like(value) for value in self._values]
        self._recipe = recipe
        self._n_steps = 0

    @property
    def head(self) -> Head:
        w1, b1, w2, b2 = self._values
        return replace(self._start, w1=w1, b1=b1, w2=w2, b2=b2)

    def step(self, gradients: list[Floats], *, done: float) -> None:
        self._n_steps += 1
        warm = min(1.0, done / 0.05)  # over the first twentieth; chosen
        rate = np.float32(self._recipe.rate * warm * 0.5 * (1 + np.cos(np.pi * done)))
        mean_bias = np.float32(1 - _MOMENTUM**self._n_steps)
        square_bias = np.float32(1 - _SQUARE_MOMENTUM**self._n_steps)
        for index, gradient in enumerate(gradients):
            mean, square = self._means[index], self._squares[index]
            mean += np.float32(1 - _MOMENTUM) * (gradient - mean)
            square += np.float32(1 - _SQUARE_MOMENTUM) * (gradient * gradient - square)
            length = np.sqrt(square / square_bias) + np.float32(_EPSILON)
            step = rate * (mean / mean_bias / length)
            kept = np.float32(1) - rate * np.float32(self._recipe.decay)
            self._values[index] = as_floats(self._values[index] * kept - step)


def softmax(logits: Floats) -> Floats:
    """Turn logits ``(n, n_labels)`` into probabilities of that shape, without overflow."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def as_floats(values: NDArray[np.floating]) -> Floats:
    """Return values as float32, without a copy where they are."""
    return values.astype(np.float32, copy=False)


def _length(hidden: Floats) -> Floats:
    length = np.sqrt((hidden * hidden).sum(axis=1, keepdims=True))
    return np.maximum(length, np.float32(_LENGTH_FLOOR))
