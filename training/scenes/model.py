"""Fits a scene model on labelled pictures: features, head, calibration, one ONNX graph."""

# scikit-learn and scipy ship no types.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import onnx
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, minimize_scalar
from scipy.special import logsumexp
from sklearn.model_selection import StratifiedKFold

from models.domain.errors import UserError
from models.pictures.onnx import Provider
from models.pictures.scene_labeller import (
    DESCRIPTION_FILE,
    GRAPH_FILE,
    PictureFault,
    SceneDescription,
)
from training.scenes.backbone import Backbone, efficientnet_backbone
from training.scenes.graph import scene_graph
from training.scenes.head import Head, Recipe, fit_head, softmax
from training.scenes.layout import LabelledPaths
from training.scenes.metric import label_figures
from training.scenes.picture_features import FeatureExtractor

FALSE_ALARM_RATE = 0.05  # of known scenes; chosen, not measured
_N_FOLDS = 5  # one fold is held back: a fifth of the pictures


class SceneTrainingError(UserError):
    """Labelled pictures from which no head can be trained."""


@dataclass(frozen=True, slots=True)
class LabelledFeatures:
    """Features of labelled pictures.

    Attributes:
        labels: Names of the labels.
        paths: The files, in the order of the rows.
        views: float32 ``(n, n_views, n_features)``, see ``PictureFeatures``.
        targets: int64 ``(n,)``.
        faults: Files that could not be decoded.
    """

    labels: tuple[str, ...]
    paths: tuple[Path, ...]
    views: NDArray[np.float32]
    targets: NDArray[np.int64]
    faults: tuple[PictureFault, ...]


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Predictions of a head on held-back pictures.

    Attributes:
        rows: Their rows in the ``LabelledFeatures``, int64 ``(n,)``.
        temperature: The one with the least log loss on them.
        probabilities: Label probabilities at that temperature, float32 ``(n, n_labels)``.
        unlikeness: See ``SceneScores``, float32 ``(n,)``.
    """

    rows: NDArray[np.int64]
    temperature: float
    probabilities: NDArray[np.float32]
    unlikeness: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SceneModel:
    """A trained labeller, ready to be saved.

    Attributes:
        graph: Pixels to scores.
        description: Labels, crop, threshold, and figures on the held-back fifth.
        head: The two layers that the graph ends in.
        faults: Pictures that could not be decoded.
        provider: Where the backbone computed.
    """

    graph: onnx.ModelProto
    description: SceneDescription
    head: Head
    faults: tuple[PictureFault, ...]
    provider: Provider

    def save(self, directory: Path) -> None:
        """Write ``scenes.onnx`` and ``scenes.json``, which ``SceneLabeller.open`` reads."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / GRAPH_FILE).write_bytes(self.graph.SerializeToString())
        text = self.description.model_dump_json(indent=2) + "\n"
        (directory / DESCRIPTION_FILE).write_text(text, encoding="utf-8")


def fit_scenes(
    pictures: LabelledPaths,
    *,
    seed: int,
    cache: Path,
    backbone: Backbone | None = None,
    provider: Provider = Provider.CPU,
    threads: int = 1,
    on_picture: Callable[[], None] = lambda: None,
) -> SceneModel:
    """Train the head of a labeller on labelled pictures.

    A fifth is held back for validation, temperature and threshold; the head of the model is then
    fitted on all pictures.

    Args:
        pictures: Files and labels.
        seed: Of the split and the fit.
        cache: Directory where features are kept by content.
        backbone: The frozen network; EfficientNet-Lite0 by default.
        provider: Where the backbone computes, if it loads.
        threads: Threads of the backbone, and of decoding.
        on_picture: Called after every picture.

    Raises:
        SceneTrainingError: If a label has fewer than two pictures that can be decoded.
    """
    network = backbone or efficientnet_backbone()
    extractor = FeatureExtractor(network, cache, threads=threads, provider=provider)
    data = labelled_features(pictures, extractor, threads=threads, on_picture=on_picture)
    trial = hold_back(data, seed)
    head = fit_on(data, slice(None), seed=seed).at_temperature(trial.temperature)
    graph = scene_graph(network, head)
    return SceneModel(
        graph=graph,
        description=SceneDescription(
            labels=data.labels,
            size=network.frame.size,
            crop=network.frame.crop,
            unlike_above=unlike_threshold(trial.unlikeness),
            false_alarm_rate=FALSE_ALARM_RATE,
            backbone=network.description.name,
            validation=label_figures(trial.probabilities, data.targets[trial.rows]),
            sha256=hashlib.sha256(graph.SerializeToString()).hexdigest(),
        ),
        head=head,
        faults=data.faults,
        provider=extractor.provider,
    )


def labelled_features(
    pictures: LabelledPaths,
    extractor: FeatureExtractor,
    *,
    threads: int = 1,
    on_picture: Callable[[], None] = lambda: None,
) -> LabelledFeatures:
    """Extract the features of labelled pictures, and set the broken ones aside.

    Raises:
        SceneTrainingError: If a label has fewer than two of them.
    """
    found = extractor.extract(pictures.paths, threads=threads, on_picture=on_picture)
    targets = pictures.targets[found.positions]
    counts = np.bincount(targets, minlength=len(pictures.labels))
    if counts.min() < 2:  # noqa: PLR2004 - one to learn from and one to validate on
        label = pictures.labels[int(counts.argmin())]
        msg = f"label {label!r} has {counts.min()} pictures that can be decoded, 2 are needed"
        raise SceneTrainingError(msg)
    paths = tuple(pictures.paths[position] for position in found.positions)
    return LabelledFeatures(pictures.labels, paths, found.views, targets, found.faults)


def fit_on(data: LabelledFeatures, rows: NDArray[np.int64] | slice, *, seed: int) -> Head:
    """Fit a head by the shipped recipe to some rows of labelled pictures."""
    views, targets = data.views[rows], data.targets[rows]
    return fit_head(views, targets, n_labels=len(data.labels), recipe=Recipe(), seed=seed)


def best_temperature(logits: NDArray[np.float32], targets: NDArray[np.int64]) -> float:
    """Find the temperature whose probabilities have the least log loss.

    A label counts as right with probability ``(n + 1) / (n + 2)``, so that few pictures, all of
    them recognised, do not make the labeller infinitely sure.

    Args:
        logits: Of pictures that the head has not seen, shape ``(n, n_labels)``.
        targets: The true labels, shape ``(n,)``.

    Returns:
        Between 0.1 and 10.

    Source:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017; Platt, 1999, for the
        targets.
    """
    exact = logits.astype(np.float64)
    n, n_labels = exact.shape
    wanted = np.full(exact.shape, 1 / (n + 2) / (n_labels - 1))
    wanted[np.arange(n), targets] = (n + 1) / (n + 2)
    of_wanted = (exact * wanted).sum(axis=1)

    def loss(log_temperature: float) -> float:
        temperature = np.exp(log_temperature)
        energies = np.asarray(logsumexp(exact / temperature, axis=1))
        return float((energies - of_wanted / temperature).mean())

    # The logarithm is searched, so that half and double are equally far.
    found = minimize_scalar(loss, bounds=(np.log(0.1), np.log(10)), method="bounded")
    return float(np.exp(cast("OptimizeResult", found).x))


def unlike_threshold(unlikeness: NDArray[np.float32]) -> float:
    """Find the quantile of unlikeness that known scenes exceed at the false-alarm rate.

    Args:
        unlikeness: Of pictures of known scenes that the head has not seen, shape ``(n,)``.
    """
    return float(np.quantile(unlikeness, 1 - FALSE_ALARM_RATE, method="higher"))


def hold_back(data: LabelledFeatures, seed: int) -> HeldBack:
    """Fit a head without a fifth of the pictures, and score that fifth, which it has not seen.

    The temperature alone is fitted to that fifth.
    """
    # Stratification needs a picture of every label in every fold.
    n_folds = min(_N_FOLDS, int(np.bincount(data.targets).min()))
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    kept, rows = next(iter(folds.split(data.targets, data.targets)))
    head = fit_on(data, kept, seed=seed)
    unseen = data.views[rows, 0]
    temperature = best_temperature(head.logits(unseen), data.targets[rows])
    probabilities = softmax(head.at_temperature(temperature).logits(unseen))
    return HeldBack(rows, temperature, probabilities, head.unlikeness(unseen))
