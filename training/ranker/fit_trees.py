"""Fits the boosted trees of the ranker, the only user of LightGBM here beside a baseline."""
# pyright: reportUnknownMemberType=false

from collections.abc import Sequence

import lightgbm

from models.features.context import POSITION, POSITION_DEVICE
from models.ranker.linear_offset import LinearOffset
from models.ranker.ranker import sigmoid
from training.configuration import TreeConfig
from training.ranker.position_bias import examination_posterior
from training.ranker.training_rows import TrainingRows


def fit_trees(
    fitting: TrainingRows,
    stopping: TrainingRows | None,
    *,
    names: Sequence[str],
    decreasing: frozenset[str],
    config: TreeConfig,
    seed: int,
    offset: LinearOffset,
    n_threads: int = 1,
) -> lightgbm.Booster:
    """Fit boosted trees on one slice of time, with early stopping on the next.

    They start from an offset and do not split on the position, whose effect the offset models.

    The log loss of ``stopping``, later examples, decides on the number of trees; without any there
    are ``config.max_trees``. Features named in ``decreasing`` have a monotone decreasing effect.
    """
    parameters = {
        "objective": "binary",
        "num_leaves": config.leaves,
        "learning_rate": config.learning_rate,
        "min_data_in_leaf": config.min_rows_per_leaf,
        "lambda_l2": config.l2,
        "feature_fraction": config.feature_share,
        "bagging_fraction": config.row_share,
        "bagging_freq": 1,
        "monotone_constraints": [-1 if name in decreasing else 0 for name in names],
        "feature_contri": [float(name not in (POSITION, POSITION_DEVICE)) for name in names],
        "seed": seed,
        # These two make the trees equal, to the byte, for any number of threads.
        "deterministic": True,
        "force_col_wise": True,
        "num_threads": n_threads,
        "verbosity": -1,
    }
    train = _dataset(fitting, names, offset)
    later = [_dataset(stopping, names, offset, reference=train)] if stopping else []
    booster = lightgbm.train(
        parameters,
        train,
        num_boost_round=config.max_trees,
        valid_sets=later,
        callbacks=[lightgbm.early_stopping(config.patience, verbose=False)] if later else [],
    )
    # Drop the rounds after the best one, so that the stored model is the one that is used.
    text = booster.model_to_string(num_iteration=booster.best_iteration if later else -1)
    # The text lists the parameters: equal bundles must not differ by the number of threads.
    text = text.replace(f"[num_threads: {n_threads}]", "[num_threads: 1]")
    return lightgbm.Booster(model_str=text)


def _dataset(
    rows: TrainingRows,
    names: Sequence[str],
    offset: LinearOffset,
    *,
    reference: lightgbm.Dataset | None = None,
) -> lightgbm.Dataset:
    log_odds = offset.log_odds(rows.matrix)
    posterior = examination_posterior(
        sigmoid(log_odds), p_examined=offset.p_examined(rows.matrix), labels=rows.labels
    )
    return lightgbm.Dataset(
        rows.matrix,
        label=rows.labels,
        weight=rows.weights * posterior,
        init_score=log_odds,
        feature_name=list(names),
        reference=reference,
    )
