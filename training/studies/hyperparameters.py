"""Search of hyperparameters by Optuna, on features that are assembled once."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from pydantic import BaseModel, ConfigDict

from models.arrays.atomic_file import write_file
from models.domain.errors import UserError
from models.features.schema import FeatureSchema
from training.configuration import RunConfig, TreeConfig
from training.ranker.fit_ranker import fit_meta_model
from training.statistics.metrics import log_loss
from training.studies.ablation import Halves

# Chosen: from the defaults of `TreeConfig`, made for few purchases, to trees that many can bear:
# faster, larger and less shrunk. Evenly in the logarithm.
TREES: Final[dict[str, BaseDistribution]] = {
    "learning_rate": FloatDistribution(0.02, 0.15, log=True),
    "min_rows_per_leaf": IntDistribution(20, 300, log=True),
    "l2": FloatDistribution(1, 100, log=True),
    "feature_share": FloatDistribution(0.3, 1.0, log=True),
    "row_share": FloatDistribution(0.5, 1.0, log=True),
    "leaves": CategoricalDistribution((7, 15, 31, 63)),
}
"""Values of the trees that are tried."""

_THROUGH_CLICKS: Final = "through_clicks"
_LINE: Final = b'{"op_code"'  # how every line of Optuna's journal begins


class StudyError(UserError):
    """A file of trials that belongs to another study, or is none."""


class Trial(BaseModel):
    """One configuration and its log loss on later slates.

    Attributes:
        number: 0 is the configuration that the search started from.
        trees: Settings of the trees.
        through_clicks: Whether the ranker has two stages; see `RunConfig`.
        log_loss: Mean log loss of shown sales, on slates later than those that it was fitted on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    trees: TreeConfig
    through_clicks: bool
    log_loss: float

    def config(self, start: RunConfig) -> RunConfig:
        """Return the configuration that the search started from with what was tried."""
        return start.model_copy(update={"trees": self.trees, "through_clicks": self.through_clicks})


def open_study(path: Path, name: str) -> optuna.Study:
    """Open the study of a file, with the trials of earlier runs; make one where there is no file.

    Args:
        path: Optuna's journal, one JSON object a line; a last line that was cut off is removed.
        name: Of the data, its end, seed and start: only trials with the same can be compared.

    Raises:
        StudyError: If the trials are of another study, or the file holds something else.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if path.exists() and not (content := path.read_bytes()).endswith(b"\n"):
        # The next line would be written behind the rest of a line, and spoil both.
        end = content.rfind(b"\n") + 1
        if not _LINE.startswith(content[end : end + len(_LINE)]):
            msg = f"{path}: no trials of a search: it ends in no line of a journal; move it away"
            raise StudyError(msg)
        write_file(path, content[:end])
    try:
        storage = JournalStorage(JournalFileBackend(str(path)))
        if optuna.get_all_study_names(storage) in ([], [name]):
            return optuna.create_study(storage=storage, study_name=name, load_if_exists=True)
    except (KeyError, TypeError, ValueError) as exc:
        msg = f"{path}: no trials of a search: {exc!r}; move it away"
        raise StudyError(msg) from exc
    msg = f"{path}: its trials are of other data, another end, seed or configuration; move it away"
    raise StudyError(msg)


def search(
    study: optuna.Study,
    loss: Callable[[RunConfig], float],
    *,
    start: RunConfig,
    seed: int,
    n_jobs: int,
    more: Callable[[int], int],
    tick: Callable[[], None] = lambda: None,
) -> list[Trial]:
    """Try configurations, the start first, and keep each in the study as soon as it is known.

    Args:
        study: Trials of an earlier run are not tried again.
        loss: Fits a configuration and returns its loss, which is minimised.
        start: The first configuration; it also gives the settings that are not searched.
        seed: Seed of the search.
        n_jobs: Trials that run at the same time, on threads: LightGBM and numpy release the lock.
        more: Returns how many more trials to make, given the number of those made; 0 ends the
            search. The first is always made.
        tick: Called after every trial.

    Returns:
        The trials in order of their numbers.
    """
    with ThreadPoolExecutor(n_jobs) as pool:
        while True:
            # First those that an earlier run began and did not end.
            if not (asked := study.get_trials(states=(TrialState.RUNNING,))):
                n_done = len(study.trials)
                n_new = min(n_jobs, max(more(n_done), 0 if n_done else 1))
                asked = [_ask(study, start, seed=seed) for _ in range(n_new)]
            if not asked:
                break
            # In the order of numbers, whichever ends first: what is tried next depends on it.
            losses = pool.map(loss, [_config(one, start) for one in asked])
            for one, value in zip(asked, losses, strict=True):
                study.tell(one.number, value)
                tick()
    found: list[Trial] = []
    for one in study.get_trials(states=(TrialState.COMPLETE,)):
        config = _config(one, start).model_dump(include={"trees", _THROUGH_CLICKS})
        found.append(Trial(number=one.number, log_loss=one.values[0], **config))
    return found


def _ask(study: optuna.Study, start: RunConfig, *, seed: int) -> optuna.Trial:
    number = len(study.trials)
    # A sampler of its own for each number: a resumed search draws what an uninterrupted one does.
    source = np.random.SeedSequence([seed, number])
    study.sampler = TPESampler(seed=int(source.generate_state(1)[0]))
    searched = dict(TREES)
    if start.through_clicks:
        searched[_THROUGH_CLICKS] = CategoricalDistribution((True, False))
    # Number 0, the start, may lie outside what is searched: it has no parameters in the study.
    return study.ask(searched if number else None)


def _config(trial: optuna.Trial | FrozenTrial, start: RunConfig) -> RunConfig:
    drawn = dict(trial.params)
    through_clicks = bool(drawn.pop(_THROUGH_CLICKS, start.through_clicks))
    trees = TreeConfig.model_validate(start.trees.model_dump() | drawn)
    return start.model_copy(update={"trees": trees, "through_clicks": through_clicks})


def later_loss(config: RunConfig, halves: Halves, *, schema: FeatureSchema, seed: int) -> float:
    """Fit a configuration on the earlier slates; return its log loss on the later ones."""
    ranker = fit_meta_model(halves.training(schema, config, seed=seed))
    late = halves.late
    bought = late.bought.astype(np.float64)
    return log_loss(ranker.probabilities(halves.late_matrix), bought, weights=late.weights)


def best(trials: Sequence[Trial]) -> Trial:
    """Return the trial of the smallest log loss; of equal ones the first."""
    return min(trials, key=lambda trial: (trial.log_loss, trial.number))
