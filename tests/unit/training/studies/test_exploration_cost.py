import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from models.domain.event import from_us
from models.scoring.scorer import Scores
from models.slate.exploration import Slate
from tests.builders import HOUR_US, NOW_US, catalogue, query, sale
from training.__main__ import app
from training.studies.exploration_cost import (
    EXPECTED,
    METRICS,
    NEW,
    PLAIN,
    PREDICTED,
    SETTINGS,
    SPREAD,
    costs,
    figures_of,
)


def test_slates_are_measured_by_what_is_predicted_true_unlike_and_new() -> None:
    """Two sales of one destination and no pictures are alike by a half."""
    shop = catalogue(
        sale("a", destination="Rome", opens_at=from_us(NOW_US - 30 * HOUR_US)),
        sale("b", destination="Rome"),
        sale("c"),
    )
    asked = query(shop, candidates="abc")
    nothing = np.full(3, np.nan)
    probabilities = np.array([0.4, 0.2, 0.1])
    features = np.empty((3, 0), np.float32)
    scores = Scores(probabilities, probabilities, features, nothing, nothing, nothing)
    slates = [Slate.certain(np.array([0, 1])), Slate.certain(np.array([2, 1]))]

    figures = figures_of(asked, scores, gains=np.array([0.3, 0.3, 0.0]), slates=slates)

    assert METRICS == (PREDICTED, EXPECTED, SPREAD, NEW)
    assert figures == pytest.approx(np.array([[0.6, 0.6, 0.5, 1], [0.3, 0.3, 1.0, 2]]))


def test_a_change_is_a_share_of_what_plain_slates_have() -> None:
    """Plain slates have 1 and 3; every other setting has a quarter less of both."""
    values = np.full((2, len(SETTINGS), len(METRICS)), np.nan)
    values[:, :, 0] = 0.75 * np.array([[1.0], [3.0]])
    values[:, 0, 0] = [1.0, 3.0]

    found = costs(values, np.array([7, 8]), seed=1)

    assert found[PLAIN].means[PREDICTED].value == 2.0
    assert found["diversity 0.3"].means[PREDICTED].value == 1.5
    change = found["diversity 0.3"].changes[PREDICTED]
    assert (change.value, change.low, change.high) == pytest.approx((-0.25, -0.25, -0.25))
    assert EXPECTED not in found[PLAIN].means


@pytest.mark.slow
def test_the_command_prices_every_setting(
    tiny_bundle: tuple[Path, Path], picture_cache: Path
) -> None:
    """No setting can be predicted to sell more than the plain order of the predictions."""
    bundle, world = tiny_bundle
    words = ["--bundle", bundle, "--data", world, "--cache", picture_cache, "--max-visits", 60]

    result = CliRunner().invoke(app, ["slate-cost", *map(str, words), "--json"])

    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert [*found] == [*SETTINGS]
    for setting in found.values():
        assert setting["changes"][PREDICTED]["high"] <= 0
    assert found["diversity 0.5"]["changes"][SPREAD]["low"] > 0
    assert found["new sales, 2 slots"]["means"][NEW]["value"] >= 2
