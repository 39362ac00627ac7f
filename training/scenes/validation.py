"""Cross-validation of the scene head, beside logistic regressions."""

# scikit-learn ships no types.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false

from collections.abc import Callable, Iterator
from typing import cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from models.pictures.scene_labeller import LabelFigures
from training.scenes.baseline import Split, calibrated, default_regression, tuned_regression
from training.scenes.head import Recipe, fit_head
from training.scenes.metric import label_figures
from training.scenes.model import LabelledFeatures, fit_on, unlike_threshold
from training.statistics.bootstrap import Interval, percentile_interval

_N_RESAMPLES = 1_000  # usual for 95% intervals (Efron and Tibshirani, 1993)
N_GROUPS = 4  # groups of labels, each unknown in turn: a fit of the head per group


class Unlike(BaseModel):
    """Detection of pictures of unknown scenes.

    Averages over groups of labels, each of which was kept from the head in turn.
    """

    model_config = ConfigDict(frozen=True)

    false_alarm_rate: float
    detected: float
    area_under_roc: float


class Beside(BaseModel):
    """Baseline metrics, and the paired difference of the head to the baseline."""

    model_config = ConfigDict(frozen=True)

    figures: dict[str, Interval]
    head_minus: dict[str, Interval]


class HeadValidation(BaseModel):
    """Results of a cross-validation, by metric."""

    model_config = ConfigDict(frozen=True)

    folds: int
    head: dict[str, Interval]
    baselines: dict[str, Beside]
    unlike: Unlike

    def lines(self) -> Iterator[str]:
        """Yield a line for each metric of the head and of each baseline."""
        for metric, one in self.head.items():
            yield f"{metric}: head {_written(one)}"
            for name, beside in self.baselines.items():
                theirs, more = _written(beside.figures[metric]), _written(beside.head_minus[metric])
                yield f"{metric}: {name} {theirs}, the head has {more} more"
        yield (
            f"unlike any known scene: {self.unlike.detected:.3f} detected at a false-alarm rate of "
            f"{self.unlike.false_alarm_rate:.3f}, "
            f"area under the ROC curve {self.unlike.area_under_roc:.3f}"
        )


def _written(interval: Interval) -> str:
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def validate_scenes(
    data: LabelledFeatures,
    *,
    n_plain: int,
    n_folds: int,
    seed: int,
    on_fit: Callable[[], None] = lambda: None,
) -> HeadValidation:
    """Cross-validate the head and logistic regressions on the same folds, stratified by label.

    ``logistic`` is the regression that scikit-learn fits by default to the head's features;
    ``logistic_tuned`` is given, as the head is, the temperature that has the least log loss on
    the other folds' pictures, scored by models that had not seen them, and a penalty chosen
    alike; ``plain_tuned`` is such a one on the first features alone, the backbone's usual ones.

    Args:
        data: Features and labels.
        n_plain: Number of the first features that are the plain ones.
        n_folds: Number of folds.
        seed: Of the folds, the fits and the bootstrap over pictures.
        on_fit: Called after every fit of a head; at most ``n_folds + 4``.
    """
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    splits = [Split(*pair) for pair in folds.split(data.targets, data.targets)]
    logits = np.empty((len(data.targets), len(data.labels)), dtype=np.float32)
    for split in splits:
        one = fit_on(data, split.kept, seed=seed)
        logits[split.held_back] = one.logits(data.views[split.held_back, 0])
        on_fit()
    head = calibrated([logits], data.targets, splits=splits)
    features = np.ascontiguousarray(data.views[:, 0])
    baselines = {
        "logistic": default_regression(features, data.targets, splits=splits),
        "logistic_tuned": tuned_regression(features, data.targets, splits=splits),
        "plain_tuned": tuned_regression(features[:, :n_plain], data.targets, splits=splits),
    }
    # The same resamples for every model, so that differences are paired by picture.
    n = len(data.targets)
    rows = np.random.default_rng(seed).integers(n, size=(_N_RESAMPLES, n))
    ours = _resampled(head, data.targets, rows)
    beside: dict[str, Beside] = {}
    for name, one in baselines.items():
        theirs = _resampled(one, data.targets, rows)
        differences = {metric: ours[metric] - theirs[metric] for metric in ours}
        beside[name] = Beside(figures=_intervals(theirs, n), head_minus=_intervals(differences, n))
    unlike = _unlike(data, seed, on_fit)
    figures = _intervals(ours, n)
    return HeadValidation(folds=n_folds, head=figures, baselines=beside, unlike=unlike)


def _resampled(
    probabilities: NDArray[np.float32], targets: NDArray[np.int64], rows: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Return each metric on all pictures, and then on every resample."""
    figures = [label_figures(probabilities, targets)]
    figures += [label_figures(probabilities[some], targets[some]) for some in rows]
    names = [name for name in LabelFigures.model_fields if name != "n"]
    return {name: np.array([getattr(one, name) for one in figures]) for name in names}


def _intervals(resampled: dict[str, NDArray[np.float64]], n: int) -> dict[str, Interval]:
    return {
        name: percentile_interval(float(values[0]), values[1:], n=n)
        for name, values in resampled.items()
    }


def _unlike(data: LabelledFeatures, seed: int, on_fit: Callable[[], None]) -> Unlike:
    rng = np.random.default_rng(seed)
    figures: list[tuple[float, float, float]] = []
    n_groups = min(N_GROUPS, len(data.labels))
    for group in np.array_split(rng.permutation(len(data.labels)), n_groups):
        of_group = np.isin(data.targets, group)
        known = rng.permutation(np.flatnonzero(~of_group))
        # Three fifths of the known scenes fit the head, one sets the threshold, the last is judged.
        kept, tuned, judged = np.split(known, [len(known) * 3 // 5, len(known) * 4 // 5])
        labels, targets = np.unique(data.targets[kept], return_inverse=True)
        head = fit_head(data.views[kept], targets, n_labels=len(labels), recipe=Recipe(), seed=seed)
        threshold = unlike_threshold(head.unlikeness(data.views[tuned, 0]))
        alarms = head.unlikeness(data.views[judged, 0])
        found = head.unlikeness(data.views[of_group, 0])
        is_strange = np.repeat([0, 1], [len(alarms), len(found)])
        area = cast("float", roc_auc_score(is_strange, np.concatenate([alarms, found])))
        shares = float((alarms > threshold).mean()), float((found > threshold).mean())
        figures.append((*shares, area))
        on_fit()
    alarms, detected, area = (float(value) for value in np.mean(figures, axis=0))
    return Unlike(false_alarm_rate=alarms, detected=detected, area_under_roc=area)
