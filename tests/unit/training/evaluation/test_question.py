"""A bundle is judged alike on a log that is read by part."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from models.dataset import read_dataset
from models.dataset.events_by_part import ReadingByPart
from models.domain.event import from_us
from models.scoring.scorer import Scorer
from tests.logs import DAY
from tests.worlds import END_US, Silent
from training.evaluation.evaluate import evaluate
from training.evaluation.question import QuestionOptions, read_question


def test_figures_of_a_log_that_is_read_by_part_are_those_of_the_log(
    tiny_bundle: tuple[Path, Path], picture_cache: Path, tmp_path: Path
) -> None:
    bundle, data = tiny_bundle
    start = from_us(END_US - DAY)
    options = QuestionOptions(
        bundles=bundle.parent, start=start, max_visits=30, cache=picture_cache, seed=0
    )
    loaded, question = read_question(bundle.name, data, options=options, progress=Silent())
    parted = read_dataset(data, by_part=ReadingByPart(tmp_path, 3))
    scorer = Scorer.load(loaded)

    whole = evaluate(scorer, question, progress=Silent())
    found = evaluate(scorer, replace(question, dataset=parted), progress=Silent())

    assert isinstance(parted.events.at_us, np.memmap)
    assert set(whole.protocols) == {"shown", "open"}
    for name, one in whole.protocols.items():
        assert found.protocols[name].scorers == one.scorers
