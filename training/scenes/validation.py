"""Judges the head by cross-validation, beside a logistic regression on the same features."""

# scikit-learn ships no types.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models.scenes import LabelFigures
from training.scenes.head import Recipe, fit_head, softmax
from training.scenes.metric import label_figures
from training.scenes.model import LabelledFeatures, best_temperature, unlike_threshold

_N_RESAMPLES = 1_000
_INTERVAL = (0.025, 0.975)
_PENALTIES = (0.0001, 0.0003, 0.001, 0.003, 0.01)
N_GROUPS = 4


class Interval(BaseModel):
    """A figure and its 95% interval."""

    model_config = ConfigDict(frozen=True)

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        """Write the figure and its interval."""
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


class Unlike(BaseModel):
    """How well pictures of unknown scenes are told from known ones.

    Averages over groups of labels, each of which was kept from the head in turn.
    """

    model_config = ConfigDict(frozen=True)

    false_alarm_rate: float
    detected: float
    area_under_roc: float


class Validation(BaseModel):
    """Figures of a cross-validation; metrics by name."""

    model_config = ConfigDict(frozen=True)

    folds: int
    head: dict[str, Interval]
    logistic: dict[str, Interval]
    head_minus_logistic: dict[str, Interval]
    unlike: Unlike


@dataclass(frozen=True, slots=True)
class _Split:
    kept: NDArray[np.int64]
    held_back: NDArray[np.int64]


def validate_scenes(
    data: LabelledFeatures,
    *,
    n_folds: int,
    seed: int,
    on_fit: Callable[[], None] = lambda: None,
) -> Validation:
    """Cross-validate the head and a logistic regression on the same features and folds.

    Both are treated alike: standardised features, and for each fold the temperature that has the
    least log loss on the other folds' pictures, scored by models that had not seen them. The
    regression's penalty is chosen in the same way. Differences are paired by picture.

    Args:
        data: Features and labels.
        n_folds: Number of folds, stratified by label.
        seed: Of the folds, the fits and the resamples.
        on_fit: Called after every fit of a head; at most ``n_folds + 4``.

    Returns:
        Figures with bootstrap intervals over pictures.
    """
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    splits = [_Split(*pair) for pair in folds.split(data.targets, data.targets)]
    head = _calibrated([_head_logits(data, splits, seed, on_fit)], data.targets, splits)
    tried = [_logistic_logits(data, splits, penalty) for penalty in _PENALTIES]
    logistic = _calibrated(tried, data.targets, splits)
    rows = np.random.default_rng(seed).integers(
        len(data.targets), size=(_N_RESAMPLES, len(data.targets))
    )
    ours, theirs = (_resampled(one, data.targets, rows) for one in (head, logistic))
    return Validation(
        folds=n_folds,
        head=_intervals(ours, len(data.targets)),
        logistic=_intervals(theirs, len(data.targets)),
        head_minus_logistic=_intervals(
            {name: ours[name] - theirs[name] for name in ours}, len(data.targets)
        ),
        unlike=_unlike(data, seed, on_fit),
    )


def _head_logits(
    data: LabelledFeatures, splits: list[_Split], seed: int, on_fit: Callable[[], None]
) -> NDArray[np.float32]:
    logits = np.empty((len(data.targets), len(data.labels)), dtype=np.float32)
    for split in splits:
        head = fit_head(
            data.views[split.kept],
            data.targets[split.kept],
            n_labels=len(data.labels),
            recipe=Recipe(),
            seed=seed,
        )
        logits[split.held_back] = head.logits(data.views[split.held_back, 0])
        on_fit()
    return logits


def _logistic_logits(
    data: LabelledFeatures, splits: list[_Split], penalty: float
) -> NDArray[np.float32]:
    features = np.ascontiguousarray(data.views[:, 0])
    logits = np.empty((len(data.targets), len(data.labels)), dtype=np.float32)
    for split in splits:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=penalty, max_iter=300))
        model.fit(features[split.kept], data.targets[split.kept])
        # Of two labels it knows one log-odds only; the logarithms of its shares are logits too.
        logits[split.held_back] = model.predict_log_proba(features[split.held_back])
    return logits


def _calibrated(
    candidates: Sequence[NDArray[np.float32]], targets: NDArray[np.int64], splits: list[_Split]
) -> NDArray[np.float32]:
    """Give each fold the candidate and the temperature that serve the other folds best."""
    probabilities = np.empty_like(candidates[0])
    for split in splits:
        others = targets[split.kept]
        tried = [
            (label_figures(_softened(one[split.kept], warmth), others).log_loss, position, warmth)
            for position, one in enumerate(candidates)
            for warmth in (best_temperature(one[split.kept], others),)
        ]
        _, position, warmth = min(tried)
        probabilities[split.held_back] = _softened(candidates[position][split.held_back], warmth)
    return probabilities


def _softened(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    return softmax(logits / np.float32(temperature))


def _resampled(
    probabilities: NDArray[np.float32], targets: NDArray[np.int64], rows: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Return each figure on all pictures, and then on every resample."""
    figures = [label_figures(probabilities, targets)]
    figures += [label_figures(probabilities[some], targets[some]) for some in rows]
    names = [name for name in LabelFigures.model_fields if name != "n"]
    return {name: np.array([getattr(one, name) for one in figures]) for name in names}


def _intervals(resampled: dict[str, NDArray[np.float64]], n: int) -> dict[str, Interval]:
    intervals: dict[str, Interval] = {}
    for name, values in resampled.items():
        low, high = (float(np.quantile(values[1:], edge)) for edge in _INTERVAL)
        intervals[name] = Interval(value=float(values[0]), low=low, high=high, n=n)
    return intervals


def _unlike(data: LabelledFeatures, seed: int, on_fit: Callable[[], None]) -> Unlike:
    rng = np.random.default_rng(seed)
    figures: list[tuple[float, float, float]] = []
    n_groups = min(N_GROUPS, len(data.labels))
    for group in np.array_split(rng.permutation(len(data.labels)), n_groups):
        known = np.flatnonzero(~np.isin(data.targets, group))
        strange = np.flatnonzero(np.isin(data.targets, group))
        figures.append(_detection(data, rng.permutation(known), strange, seed=seed))
        on_fit()
    alarms, detected, area = (float(value) for value in np.mean(figures, axis=0))
    return Unlike(false_alarm_rate=alarms, detected=detected, area_under_roc=area)


def _detection(
    data: LabelledFeatures,
    known: NDArray[np.int64],
    strange: NDArray[np.int64],
    *,
    seed: int,
) -> tuple[float, float, float]:
    """Fit on three fifths of the known scenes, set the threshold on one, judge on the last."""
    kept, tuned, judged = np.split(known, [len(known) * 3 // 5, len(known) * 4 // 5])
    labels, targets = np.unique(data.targets[kept], return_inverse=True)
    head = fit_head(data.views[kept], targets, n_labels=len(labels), recipe=Recipe(), seed=seed)
    threshold = unlike_threshold(head.unlikeness(data.views[tuned, 0]))
    alarms = head.unlikeness(data.views[judged, 0])
    found = head.unlikeness(data.views[strange, 0])
    area = roc_auc_score(
        np.repeat([0, 1], [len(alarms), len(found)]), np.concatenate([alarms, found])
    )
    return (
        float((alarms > threshold).mean()),
        float((found > threshold).mean()),
        cast("float", area),
    )
