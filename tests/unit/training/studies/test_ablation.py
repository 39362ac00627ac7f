"""Leaving a recommender out costs what only it knew."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from typer.testing import CliRunner

from models.domain.event import from_us
from models.features.context import POSITION
from models.features.schema import FeatureSchema
from models.pictures.topics import Topics
from models.recommenders.content_profile import ContentProfile
from models.recommenders.popularity import Popularity
from models.recommenders.registry import RECOMMENDERS
from tests.logs import DAY, HOUR, NOON, Row, catalogue, event_table
from tests.unit.training.ranker.test_fit_ranker import slates_of
from tests.worlds import END_US
from training.__main__ import app
from training.configuration import RunConfig, TreeConfig
from training.examples.point_in_time import PointInTime
from training.pipeline.train import TrainingExamples
from training.statistics.difference import Verdict
from training.studies.ablation import (
    ALL,
    LOG_LIKELIHOOD,
    MRR,
    Halves,
    NothingToJudgeError,
    ablate,
    require_later_purchases,
)

SCHEMA: Final = FeatureSchema((Popularity(0.1, 0.1, 20, 10), ContentProfile()))
CONFIG: Final = RunConfig(trees=TreeConfig(max_trees=40, min_rows_per_leaf=20, patience=10))


def shop_where_content_decides(rng: np.random.Generator, n: int) -> TrainingExamples:
    """Lists of five an hour apart; what popularity says is noise."""
    matrix = rng.normal(size=(n, len(SCHEMA.names))).astype(np.float32)
    matrix[:, SCHEMA.names.index(POSITION)] = 1
    content = matrix[:, SCHEMA.names.index("content")].astype(np.float64)
    slates = slates_of(rng.random(n) < 1 / (1 + np.exp(2.0 - 1.5 * content)))
    return TrainingExamples(
        topics=Topics.none(),
        past=PointInTime(event_table([]), catalogue()),
        slates=slates,
        repeated=np.zeros(len(slates), dtype=np.bool_),
        matrix=matrix,
        schema=SCHEMA,
        left_out={},
        shown=(),
    )


def test_a_time_that_nothing_is_bought_after_is_refused_before_the_long_work() -> None:
    bought = event_table([Row(kind="purchase", at=5 * HOUR), Row(kind="click", at=9 * HOUR)])
    last_us = NOON + 5 * HOUR

    require_later_purchases(bought, last_us)
    with pytest.raises(NothingToJudgeError, match=re.escape(str(from_us(last_us)))):
        require_later_purchases(bought, last_us + 1)
    with pytest.raises(NothingToJudgeError, match="nothing was ever bought"):
        require_later_purchases(event_table([Row(kind="click", at=0)]), 0)


def test_without_what_decides_the_ranking_is_worse_and_without_noise_it_is_not(
    rng: np.random.Generator,
) -> None:
    assembly = shop_where_content_decides(rng, 10_000)
    halves = Halves.of(assembly, 1_500 * HOUR, outcome_us=DAY)

    found = ablate(halves, SCHEMA, config=CONFIG, seed=0)

    lost, kept = found.differences["without content"], found.differences["without popularity"]
    assert lost[MRR].verdict is Verdict.WORSE
    assert lost[LOG_LIKELIHOOD].verdict is Verdict.WORSE
    assert kept[MRR].verdict is not Verdict.WORSE
    assert found.means["without content"][MRR].value < found.means[ALL][MRR].value - 0.1
    assert found.means[ALL][LOG_LIKELIHOOD].n == 500


def test_what_is_learned_from_is_settled_and_each_later_list_is_judged_once(
    rng: np.random.Generator,
) -> None:
    assembly = shop_where_content_decides(rng, 500)
    repeated = np.arange(100) % 10 == 3

    halves = Halves.of(replace(assembly, repeated=repeated), 60 * HOUR, outcome_us=DAY)

    # Lists 0 to 36 were shown a day or more before; of 60 to 99 four were learned from again.
    assert len(halves.early) == 37
    np.testing.assert_array_equal(halves.early_matrix, assembly.matrix[: 37 * 5])
    assert len(halves.late) == 36
    np.testing.assert_array_equal(halves.late_matrix[15:20], assembly.matrix[64 * 5 : 65 * 5])


def test_a_time_that_nothing_follows_is_refused(rng: np.random.Generator) -> None:
    assembly = shop_where_content_decides(rng, 100)

    with pytest.raises(NothingToJudgeError, match="nothing was bought"):
        Halves.of(assembly, 30 * HOUR, outcome_us=DAY)


@pytest.mark.slow
def test_the_command_compares_every_recommender(tiny_world: Path, tmp_path: Path) -> None:
    for name in ("sales", "events"):
        shutil.copy(tiny_world / f"{name}.parquet", tmp_path)
    until = from_us(END_US - 2 * DAY).isoformat()[:19]

    result = CliRunner().invoke(
        app, ["ablate", "--data", str(tmp_path), "--until", until, "--json"]
    )

    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    # There are no pictures and no customers' attributes, hardly anyone buys a trip twice, and no
    # sale is open for more than 14 days.
    lacks = {"images", "buy_again", "demographic", "bestsellers"}
    without = {f"without {name}" for name in RECOMMENDERS if name not in lacks}
    assert found["differences"].keys() == without
    assert found["figures"].keys() == without | {ALL}
