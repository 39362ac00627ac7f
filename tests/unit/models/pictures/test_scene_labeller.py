"""The labeller reads what training wrote, and nothing else."""

from pathlib import Path

import numpy as np
import pytest

from models.pictures.onnx import OnnxError
from models.pictures.scene_labeller import (
    DESCRIPTION_FILE,
    GRAPH_FILE,
    SceneLabeller,
    SceneModelError,
    label_pictures,
)
from tests.scenes import COLOURS, SIZE, write_backbone, write_pictures
from training.scenes.backbone import read_backbone
from training.scenes.layout import read_layout
from training.scenes.model import fit_scenes


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scenes")
    pictures = write_pictures(root / "pictures", n_each=12, rng=np.random.default_rng(3))
    backbone = read_backbone(write_backbone(root))
    model = fit_scenes(read_layout(pictures), seed=1, cache=root / "cache", backbone=backbone)
    model.save(root / "model")
    return root


@pytest.fixture(scope="module")
def labeller(directory: Path) -> SceneLabeller:
    return SceneLabeller.open(directory / "model")


def test_colours_are_told_apart(labeller: SceneLabeller) -> None:
    rows = [np.full((SIZE, SIZE, 3), COLOURS[name], dtype=np.uint8) for name in labeller.labels]

    scores = labeller.label(np.stack(rows))

    assert labeller.labels == ("blue", "green", "red")
    assert scores.probabilities.argmax(axis=1).tolist() == [0, 1, 2]
    np.testing.assert_allclose(scores.probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(scores.embeddings, axis=1), 1, rtol=1e-5)
    assert scores.embeddings.shape == (3, 128)
    assert (
        scores.unlike.tolist() == (scores.unlikeness > labeller.description.unlike_above).tolist()
    )


def test_a_row_does_not_depend_on_its_batch(
    labeller: SceneLabeller, rng: np.random.Generator
) -> None:
    pictures = rng.integers(0, 256, (9, SIZE, SIZE, 3), dtype=np.uint8)

    together = labeller.label(pictures)
    alone = [labeller.label(pictures[row : row + 1]) for row in range(9)]

    assert all(
        np.array_equal(together.probabilities[row], one.probabilities[0])
        and np.array_equal(together.embeddings[row], one.embeddings[0])
        for row, one in enumerate(alone)
    )


def test_no_picture_gives_no_row(labeller: SceneLabeller) -> None:
    scores = labeller.label(np.empty((0, SIZE, SIZE, 3), dtype=np.uint8))

    assert scores.probabilities.shape == (0, 3)
    assert scores.embeddings.shape == (0, 128)


@pytest.mark.parametrize("shape", [(1, SIZE, SIZE + 1, 3), (SIZE, SIZE, 3)])
def test_pixels_of_another_shape_are_a_mistake(
    labeller: SceneLabeller, shape: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        labeller.label(np.zeros(shape, dtype=np.uint8))


def test_broken_pictures_are_reported_beside_the_good_ones(
    labeller: SceneLabeller, directory: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    good = sorted((directory / "pictures" / "red").iterdir())[:2]
    seen: list[None] = []

    labelled = label_pictures(
        [good[0], broken, good[1]], labeller, on_picture=lambda: seen.append(None)
    )

    assert labelled.positions.tolist() == [0, 2]
    assert labelled.scores.probabilities.argmax(axis=1).tolist() == [2, 2]
    assert [(fault.path, fault.code) for fault in labelled.faults] == [(broken, "picture_broken")]
    assert len(seen) == 3


def test_no_good_picture_gives_empty_scores(labeller: SceneLabeller, tmp_path: Path) -> None:
    labelled = label_pictures([tmp_path / "gone"], labeller)

    assert labelled.scores.embeddings.shape == (0, 128)
    assert len(labelled.faults) == 1


def test_a_changed_graph_is_refused(directory: Path, tmp_path: Path) -> None:
    for name in (GRAPH_FILE, DESCRIPTION_FILE):
        (tmp_path / name).write_bytes((directory / "model" / name).read_bytes())
    graph = bytearray((tmp_path / GRAPH_FILE).read_bytes())
    graph[len(graph) // 2] ^= 1
    (tmp_path / GRAPH_FILE).write_bytes(graph)

    with pytest.raises(SceneModelError, match="is not the file"):
        SceneLabeller.open(tmp_path)


def test_an_empty_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SceneModelError, match="holds no scene model"):
        SceneLabeller.open(tmp_path)


def test_a_malformed_description_is_refused(directory: Path, tmp_path: Path) -> None:
    (tmp_path / GRAPH_FILE).write_bytes((directory / "model" / GRAPH_FILE).read_bytes())
    (tmp_path / DESCRIPTION_FILE).write_text('{"format": 2}', encoding="utf-8")

    with pytest.raises(SceneModelError, match="holds no scene model"):
        SceneLabeller.open(tmp_path)


def test_errors_of_models_are_value_errors() -> None:
    assert issubclass(SceneModelError, ValueError)
    assert issubclass(OnnxError, ValueError)
