"""A search is repeated by its seed, goes on where it stopped, and ends in a configuration."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from tests.datasets import write_dataset
from tests.logs import DAY, HOUR
from tests.unit.training.studies.test_ablation import CONFIG, SCHEMA, shop_where_content_decides
from training.__main__ import app
from training.configuration import RunConfig, TreeConfig
from training.studies.ablation import Halves
from training.studies.hyperparameters import (
    TREES,
    StudyError,
    Trial,
    best,
    later_loss,
    open_study,
    search,
)


def distance(config: RunConfig) -> float:
    """A loss without noise, smallest at a learning rate of 0.05 and an L2 of 10."""
    return abs(config.trees.learning_rate - 0.05) + abs(config.trees.l2 - 10) / 100


def found_by(
    path: Path,
    n: int,
    *,
    loss: Callable[[RunConfig], float] = distance,
    start: RunConfig = RunConfig(),  # noqa: B008 - frozen
    seed: int = 5,
    n_jobs: int = 1,
) -> list[Trial]:
    study = open_study(path, "s")

    def more(n_done: int) -> int:
        return n - n_done

    return search(study, loss, start=start, seed=seed, n_jobs=n_jobs, more=more)


def test_trials_start_from_the_start_and_stay_within_what_is_searched(tmp_path: Path) -> None:
    trials = found_by(tmp_path / "trials", 50)

    assert [trial.number for trial in trials] == list(range(50))
    assert trials[0].config(RunConfig()) == RunConfig()
    assert {trial.trees.leaves for trial in trials} == {7, 15, 31, 63}
    assert {trial.through_clicks for trial in trials} == {True, False}
    for name, within in TREES.items():
        values = [getattr(trial.trees, name) for trial in trials[1:]]
        assert len(set(values)) > 1
        assert all(within._contains(within.to_internal_repr(value)) for value in values)  # pyright: ignore[reportPrivateUsage] - Optuna has no other check


def test_another_seed_tries_other_values(tmp_path: Path) -> None:
    one, other = (found_by(tmp_path / str(seed), 2, seed=seed)[1] for seed in (1, 2))

    assert one.trees != other.trees


def test_trials_learn_from_earlier_ones(tmp_path: Path) -> None:
    """Optuna's sampler draws ten at random before it goes by what they found."""
    losses = [trial.log_loss for trial in found_by(tmp_path / "trials", 60)]

    assert np.median(losses[30:]) < np.median(losses[1:11])


def test_one_step_stays_one_step(tmp_path: Path) -> None:
    start = RunConfig(through_clicks=False)

    trials = found_by(tmp_path / "trials", 20, start=start)

    assert not any(trial.through_clicks for trial in trials)


def test_a_search_that_was_stopped_ends_as_one_that_was_not(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    halves = Halves.of(shop_where_content_decides(rng, 2_000), 300 * HOUR, outcome_us=DAY)
    loss = partial(later_loss, halves=halves, schema=SCHEMA, seed=5)

    whole = found_by(tmp_path / "whole", 4, loss=loss, start=CONFIG)
    found_by(tmp_path / "parts", 2, loss=loss, start=CONFIG)
    with (tmp_path / "parts").open("a") as file:
        file.write('{"op_code": 6, "trial')  # killed while it wrote
    parts = found_by(tmp_path / "parts", 4, loss=loss, start=CONFIG)

    assert parts == whole
    assert len({trial.log_loss for trial in whole}) == 4


def test_a_trial_that_was_stopped_is_tried_again(tmp_path: Path) -> None:
    whole = found_by(tmp_path / "whole", 16)
    found_by(tmp_path / "parts", 13)

    def stopped(_: RunConfig) -> float:
        msg = "killed"
        raise RuntimeError(msg)

    with pytest.raises(RuntimeError, match="killed"):
        found_by(tmp_path / "parts", 16, loss=stopped)

    assert found_by(tmp_path / "parts", 16) == whole


def test_trials_at_the_same_time_are_those_of_their_configurations(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    """Threads change neither what is tried nor, to the bit, what comes out."""
    halves = Halves.of(shop_where_content_decides(rng, 2_000), 300 * HOUR, outcome_us=DAY)
    loss = partial(later_loss, halves=halves, schema=SCHEMA, seed=5)

    one, other = (
        found_by(tmp_path / name, 4, loss=loss, start=CONFIG, n_jobs=2) for name in ("a", "b")
    )

    assert one == other
    assert [trial.log_loss for trial in one] == [loss(trial.config(CONFIG)) for trial in one]


def test_the_best_is_the_smallest_loss_and_of_equal_ones_the_first() -> None:
    def trial(number: int, loss: float) -> Trial:
        return Trial(number=number, trees=TreeConfig(), through_clicks=True, log_loss=loss)

    assert best([trial(0, 0.5), trial(1, 0.2), trial(2, 0.2)]).number == 1


@pytest.mark.parametrize("text", ["{}\n", "no JSON\n", "[1]\n", '{"study": "other"}\n'])
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "trials").write_text(text)

    with pytest.raises(StudyError, match="no trials"):
        open_study(tmp_path / "trials", "s")


def test_a_file_that_was_cut_off_in_its_first_line_has_no_trials(tmp_path: Path) -> None:
    (tmp_path / "trials").write_text('{"op_code": 0')

    assert open_study(tmp_path / "trials", "s").trials == []


@pytest.mark.parametrize("text", ["{}", "a note", '{"op_code": 0}\na note'])
def test_a_file_of_something_else_without_a_last_newline_is_refused_and_kept(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "trials").write_text(text)

    with pytest.raises(StudyError, match="no trials"):
        open_study(tmp_path / "trials", "s")

    assert (tmp_path / "trials").read_text() == text


def test_the_command_line_does_not_wait_for_optuna_and_matplotlib() -> None:
    code = "import sys, training.__main__; print(*{'optuna', 'matplotlib'} & sys.modules.keys())"

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    assert result.stdout == b"\n"


def tune(directory: Path, *options: str) -> Result:
    out = directory / "best.json"
    return CliRunner().invoke(
        app, ["tune", "--data", str(directory), "--out", str(out), "--json", *options]
    )


def test_data_of_which_no_outcome_is_known_yet_are_an_error(tmp_path: Path) -> None:
    result = tune(write_dataset(tmp_path))

    assert result.exit_code == 1
    assert "0 slates of 0 customers, has 0 purchases, at least 10 are needed" in result.stderr


@pytest.mark.slow
def test_the_command_writes_a_configuration_that_training_takes(
    tiny_world: Path, tmp_path: Path
) -> None:
    for name in ("sales", "events"):
        shutil.copy(tiny_world / f"{name}.parquet", tmp_path)

    result = tune(tmp_path, "--trials", "2")

    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert [trial["number"] for trial in found["trials"]] == [0, 1]
    chosen = found["trials"][found["best"]]
    config = RunConfig.read(tmp_path / "best.json")
    assert config.trees == TreeConfig.model_validate(chosen["trees"])
    refused = tune(tmp_path, "--trials", "2", "--seed", "1")
    assert refused.exit_code == 1
    assert "other data, another end, seed or configuration" in refused.stderr
