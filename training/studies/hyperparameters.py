"""Random search of hyper-parameters, on features that are assembled once."""

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from models.arrays.atomic_file import write_file
from models.domain.errors import UserError
from models.features.schema import FeatureSchema
from training.configuration import RunConfig, TreeConfig
from training.ranker.early_stopping import RankerTraining
from training.ranker.fit_ranker import fit_meta_model
from training.statistics.metrics import log_loss
from training.studies.ablation import Halves

# Chosen: around the defaults of `TreeConfig`, doubled and halved.
LEAVES: Final = (7, 15, 31, 63)
BOUNDS: Final[Mapping[str, tuple[float, float]]] = {
    "learning_rate": (0.02, 0.15),
    "min_rows_per_leaf": (20, 300),
    "l2": (1, 100),
    "feature_share": (0.3, 1.0),
    "row_share": (0.5, 1.0),
}
"""Bounds of what is drawn, evenly in its logarithm."""


class StudyError(UserError):
    """A file of trials that belongs to another study, or is none."""


class Trial(BaseModel):
    """One configuration and its log loss on later slates.

    Attributes:
        study: What was searched on: trials of one study can be compared.
        number: 0 is the configuration that the search started from.
        trees: What was tried.
        through_clicks: Whether in two steps; see `RunConfig`.
        log_loss: A shown sale, later than everything that was learned from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    study: str
    number: int
    trees: TreeConfig
    through_clicks: bool
    log_loss: float

    def config(self, start: RunConfig) -> RunConfig:
        """Return the configuration that the search started from with what was tried."""
        return start.model_copy(update={"trees": self.trees, "through_clicks": self.through_clicks})


def drawn(start: RunConfig, number: int, *, seed: int) -> RunConfig:
    """Draw a configuration; the same for the same seed and number, independent of earlier trials.

    Args:
        start: Gives what is not searched; number 0 is itself.
        number: Which trial.
        seed: Seed of the search.
    """
    if number == 0:
        return start
    # Seeded by both: a search that goes on later draws the same trials.
    rng = np.random.default_rng([seed, number])
    values = {name: low * (high / low) ** rng.random() for name, (low, high) in BOUNDS.items()}
    trees = {
        **start.trees.model_dump(),
        **values,
        "min_rows_per_leaf": round(values["min_rows_per_leaf"]),
        "leaves": int(rng.choice(LEAVES)),
    }
    return start.model_copy(
        update={
            "trees": TreeConfig.model_validate(trees),
            # Data without clicks cannot be fitted in two stages.
            "through_clicks": start.through_clicks and bool(rng.integers(2)),
        }
    )


def search(
    halves: Halves,
    schema: FeatureSchema,
    *,
    start: RunConfig,
    seed: int,
    study: str,
    known: Mapping[int, Trial],
) -> Iterator[Trial]:
    """Try one configuration after the other, without end.

    Args:
        halves: What is learned from, and what follows.
        schema: Names of the columns.
        start: Tried first.
        seed: Seed of the search and of the trees.
        study: What is searched on.
        known: Trials of an earlier run by number, which are not tried again.

    Yields:
        Trials from number 0 on.
    """
    late = halves.late
    bought = late.bought.astype(np.float64)
    for number in count():
        if number in known:
            yield known[number]
            continue
        config = drawn(start, number, seed=seed)
        ranker = fit_meta_model(
            RankerTraining(halves.early, halves.early_matrix, schema, config=config, seed=seed)
        )
        predicted = ranker.probabilities(halves.late_matrix)
        yield Trial(
            study=study,
            number=number,
            trees=config.trees,
            through_clicks=config.through_clicks,
            log_loss=log_loss(predicted, bought, weights=late.weights),
        )


def read_trials(path: Path, study: str) -> dict[int, Trial]:
    """Read the trials of an earlier run by number; none where there is no file.

    Args:
        path: One JSON object a line; a last line that was cut off is left out.
        study: What is searched on now.

    Raises:
        StudyError: If the trials are of another study, or the file holds something else.
    """
    if not path.exists():
        return {}
    lines = path.read_text().split("\n")[:-1]
    try:
        trials = [Trial.model_validate_json(line) for line in lines]
    except ValidationError as exc:
        msg = f"{path}: no trials: {exc}"
        raise StudyError(msg) from exc
    if any(trial.study != study for trial in trials):
        msg = f"{path}: trials on other data, of another time, seed or start; move it away"
        raise StudyError(msg)
    return {trial.number: trial for trial in trials}


def run_trials(
    trials: Iterator[Trial], path: Path, *, known: Mapping[int, Trial], more: Callable[[int], bool]
) -> list[Trial]:
    """Run trials, and keep each new one in a file as soon as it is known.

    Args:
        trials: See `search`.
        path: Where they are kept.
        known: Those that the file has.
        more: Whether to go on after so many; at least one is run.
    """
    found: list[Trial] = []
    if known:
        # A line that was cut off would spoil the next one.
        lines = "".join(f"{known[n].model_dump_json()}\n" for n in sorted(known))
        write_file(path, lines.encode())
    for trial in trials:
        found.append(trial)
        if trial.number not in known:
            # At once: a search that is killed loses the trial that runs, and no other.
            with path.open("a") as file:
                file.write(f"{trial.model_dump_json()}\n")
        if not more(len(found)):
            break
    return found


def best(trials: list[Trial]) -> Trial:
    """Return the trial of the smallest log loss; of equal ones the first."""
    return min(trials, key=lambda trial: (trial.log_loss, trial.number))


def write_config(path: Path, config: RunConfig) -> None:
    """Write a configuration as `RunConfig.read` reads it."""
    write_file(path, (json.dumps(config.model_dump(mode="json"), indent=2) + "\n").encode())
