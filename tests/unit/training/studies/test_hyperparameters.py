"""A search is repeated by its seed, goes on where it stopped, and ends in a configuration."""

import json
import shutil
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
    BOUNDS,
    LEAVES,
    StudyError,
    Trial,
    best,
    drawn,
    read_trials,
    run_trials,
    search,
)


def test_a_trial_depends_on_its_seed_and_number_alone() -> None:
    first = [drawn(RunConfig(), number, seed=1) for number in range(50)]

    assert first[0] == RunConfig()
    assert first[7] == drawn(RunConfig(), 7, seed=1)
    assert first[7] != drawn(RunConfig(), 7, seed=2)
    assert {one.trees.leaves for one in first} == set(LEAVES)
    for name, (low, high) in BOUNDS.items():
        values = [getattr(one.trees, name) for one in first[1:]]
        assert low <= min(values) < (low * high) ** 0.5 < max(values) <= high


def test_one_step_stays_one_step() -> None:
    start = RunConfig(through_clicks=False)

    assert not any(drawn(start, number, seed=0).through_clicks for number in range(20))


def test_a_search_that_was_stopped_ends_as_one_that_was_not(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    halves = Halves.of(shop_where_content_decides(rng, 2_000), 300 * HOUR, outcome_us=DAY)

    def run(path: Path, n: int) -> list[Trial]:
        known = read_trials(path, "s")
        trials = search(halves, SCHEMA, start=CONFIG, seed=5, study="s", known=known)
        return run_trials(trials, path, known=known, more=lambda done: done < n)

    whole = run(tmp_path / "whole", 4)
    run(tmp_path / "parts", 2)
    with (tmp_path / "parts").open("a") as file:
        file.write('{"study": "s", "numb')  # killed while it wrote
    parts = run(tmp_path / "parts", 4)

    assert parts == whole
    assert (tmp_path / "parts").read_text() == (tmp_path / "whole").read_text()
    assert len({trial.log_loss for trial in whole}) == 4


def test_the_best_is_the_smallest_loss_and_of_equal_ones_the_first() -> None:
    def trial(number: int, loss: float) -> Trial:
        return Trial(
            study="s", number=number, trees=TreeConfig(), through_clicks=True, log_loss=loss
        )

    assert best([trial(0, 0.5), trial(1, 0.2), trial(2, 0.2)]).number == 1


@pytest.mark.parametrize(
    ("text", "says"), [("{}\n", "no trials"), ('{"study": "other"', "^$")], ids=["other", "cut"]
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "trials").write_text(text)
    if says == "^$":
        assert read_trials(tmp_path / "trials", "s") == {}
        return
    with pytest.raises(StudyError, match=says):
        read_trials(tmp_path / "trials", "s")


def tune(directory: Path, *options: str) -> Result:
    out = directory / "best.json"
    return CliRunner().invoke(
        app, ["tune", "--data", str(directory), "--out", str(out), "--json", *options]
    )


def test_data_of_which_no_outcome_is_known_yet_are_an_error(tmp_path: Path) -> None:
    result = tune(write_dataset(tmp_path))

    assert result.exit_code == 1
    assert "of nothing that was shown the outcome is known yet" in result.stderr


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
    assert "other data, of another time, seed or start" in refused.stderr
