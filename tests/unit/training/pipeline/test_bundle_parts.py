"""Parts of a bundle that each night replaces."""

from dataclasses import replace
from pathlib import Path

import pytest

from models.covers.cover_model import COVERS_FILE, CoverModel
from models.dataset import read_dataset
from models.scoring.bundle import read_bundle
from models.scoring.scorer import Scorer
from tests.unit.models.covers.test_cover_model import MODEL
from training.pipeline.bundle_parts import known_files


@pytest.mark.parametrize("covers", [None, MODEL])
def test_covers_are_a_file_of_their_own_where_there_are_any(
    tiny_bundle: tuple[Path, Path], covers: CoverModel | None
) -> None:
    bundle, world = tiny_bundle
    scorer = replace(Scorer.load(read_bundle(bundle)), covers=covers)
    events = read_dataset(world).events

    files = known_files(scorer, events, until_us=scorer.counts.at_us, seed=1)

    assert files.get(COVERS_FILE) == (covers and covers.to_bytes())
