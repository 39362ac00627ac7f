"""Picture scores of sales: combined by sale, and computed once."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.domain.sale import PictureScores
from models.pictures.scene_labeller import PictureFault, SceneLabeller, SceneScores
from tests.scenes import colour_labeller
from training.scenes.picture_scores import score_pictures


class CountingLabeller(SceneLabeller):
    """A labeller that counts the pictures it looks at."""

    n_labelled = 0

    def label(self, pictures: NDArray[np.uint8]) -> SceneScores:
        self.n_labelled += len(pictures)
        return super().label(pictures)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("colours")
    colour_labeller(directory)
    return directory


@pytest.fixture
def labeller(root: Path) -> CountingLabeller:
    return CountingLabeller.open(root / "model")


def bits(scores: PictureScores) -> bytes:
    return scores.probabilities.tobytes() + scores.embedding.tobytes()


def test_what_was_labelled_once_is_not_labelled_again(
    root: Path, labeller: CountingLabeller, tmp_path: Path
) -> None:
    """Pictures are known by their content: sales share them, and a copy is the same picture."""
    red, blue = root / "pictures/red/00.png", root / "pictures/blue/00.png"
    copy = tmp_path / "copy.png"
    copy.write_bytes(red.read_bytes())
    first = score_pictures({"a": {1: red}, "b": {1: red}}, labeller, cache=tmp_path)
    n_first = labeller.n_labelled

    again = score_pictures({"a": {1: red}, "c": {1: copy}}, labeller, cache=tmp_path)
    n_again = labeller.n_labelled
    score_pictures({"a": {1: red}, "d": {1: blue}}, labeller, cache=tmp_path)

    assert (n_first, n_again, labeller.n_labelled) == (1, 1, 2)
    digest = hashlib.sha256(red.read_bytes()).hexdigest()
    assert [first["a"].content, again["c"].content] == [digest, digest]
    assert bits(first["a"]) == bits(first["b"]) == bits(again["a"]) == bits(again["c"])


def test_another_model_labels_anew(root: Path, labeller: CountingLabeller, tmp_path: Path) -> None:
    """The same graph with another crop sees something else."""
    images = {"a": {1: root / "pictures/red/00.png"}}
    score_pictures(images, labeller, cache=tmp_path)
    other = CountingLabeller.open(root / "model")
    other.description = other.description.model_copy(update={"crop": 0.5})

    score_pictures(images, other, cache=tmp_path)

    assert other.n_labelled == 1


@pytest.mark.parametrize("content", [b"", b"not an array", b"\x93NUMPY\x01\x00"])
def test_a_damaged_file_of_scores_is_made_anew(
    root: Path, labeller: CountingLabeller, tmp_path: Path, content: bytes
) -> None:
    images = {"a": {1: root / "pictures/red/00.png"}}
    expected = score_pictures(images, labeller, cache=tmp_path)
    [file] = tmp_path.rglob("*.npy")
    file.write_bytes(content)

    found = score_pictures(images, labeller, cache=tmp_path)

    assert bits(found["a"]) == bits(expected["a"])
    assert labeller.n_labelled == 2


def test_pictures_of_a_sale_are_combined_and_broken_ones_reported(
    root: Path, labeller: CountingLabeller, tmp_path: Path
) -> None:
    red, blue, broken = (
        root / "pictures/red/00.png",
        root / "pictures/blue/00.png",
        tmp_path / "broken.png",
    )
    broken.write_bytes(red.read_bytes()[:300])
    images = {"both": {1: red, 2: broken, 3: blue}, "none": {1: broken}, "blue": {1: blue}}
    ticks: list[int] = []
    faults: list[PictureFault] = []

    seen = score_pictures(
        images, labeller, cache=tmp_path, faults=faults, tick=lambda: ticks.append(1)
    )

    assert {sale_id: [*scores.each] for sale_id, scores in seen.items()} == {
        "both": [1, 3],
        "blue": [1],
    }
    assert [fault.path for fault in faults] == [broken]
    assert len(ticks) == 3
    together = PictureScores.combine(seen["both"].each)
    assert bits(seen["both"]) == bits(together)
    assert bits(seen["both"].each[3]) == bits(seen["blue"])
