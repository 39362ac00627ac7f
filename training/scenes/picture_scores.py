"""What the pictures of a dataset's sales show, by a scene model; kept on disk by content."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.arrays.atomic_file import atomic_file
from models.domain.sale import PictureScores
from models.neighbours.search import EMBEDDING_SIZE
from models.pictures.image_statistics import LOOK
from models.pictures.picture import content_hash
from models.pictures.scene_labeller import PictureFault, SceneLabeller, label_pictures


class ScoreCache:
    """Scores of one scene model, a file a picture, named by its content."""

    def __init__(self, cache: Path, labeller: SceneLabeller) -> None:
        """Keep scores below a directory, apart for every graph and every way to feed it."""
        described = labeller.description.model_dump_json().encode()
        self._directory = cache / "scores" / hashlib.sha256(described).hexdigest()[:16]
        self._n_labels = len(labeller.labels)

    def path(self, content: str) -> Path:
        """Return the file that the scores of a picture belong into, by the hash of its content."""
        return self._directory / content[:2] / f"{content}.npy"

    def read(self, path: Path) -> PictureScores | None:
        """Return scores that were kept, None where there are none that can be read."""
        try:
            values = np.asarray(np.load(path, allow_pickle=False), dtype=np.float32)
        except (OSError, ValueError, EOFError):
            return None
        ends = np.cumsum([self._n_labels, EMBEDDING_SIZE, len(LOOK)])
        if values.shape != (ends[-1],):
            return None
        probabilities, embedding, look = np.split(values, ends[:-1])
        return PictureScores(probabilities, embedding, look)

    def keep(self, path: Path, scores: PictureScores) -> None:
        """Write scores, whole or not at all."""
        values: NDArray[np.float32] = np.concatenate(
            [scores.probabilities, scores.embedding, scores.look]
        )
        with atomic_file(path) as file:
            np.save(file, values, allow_pickle=False)


def see_sales(
    images: Mapping[str, Mapping[int, Path]],
    labeller: SceneLabeller,
    *,
    cache: Path,
    threads: int = 1,
    tick: Callable[[], None] = lambda: None,
) -> tuple[dict[str, PictureScores], tuple[PictureFault, ...]]:
    """Label the pictures of sales; sales may share a picture.

    Args:
        images: Pictures by sale id and number.
        labeller: The scene model.
        cache: Directory of scores: what it labelled before is not labelled again.
        threads: Threads that decode beside the network.
        tick: Called once a picture.

    Returns:
        Scores by sale id, and the pictures that could not be read.
    """
    paths = sorted({path for each in images.values() for path in each.values()})
    kept = ScoreCache(cache, labeller)
    contents = {path: content_hash(path) for path in paths}
    files = {path: kept.path(content) for path, content in contents.items() if content}
    by_path = {path: scores for path, file in files.items() if (scores := kept.read(file))}
    for _ in by_path:
        tick()
    new = [path for path in paths if path not in by_path]
    labelled, faults = _label(new, labeller, threads=threads, tick=tick)
    for path, scores in labelled.items():
        if path in files:
            kept.keep(files[path], scores)
    by_path = {
        path: replace(scores, content=contents[path])
        for path, scores in (by_path | labelled).items()
    }
    seen: dict[str, PictureScores] = {}
    for sale_id, each in images.items():
        if good := {number: by_path[path] for number, path in each.items() if path in by_path}:
            seen[sale_id] = PictureScores.together(good)
    return seen, faults


def _label(
    paths: Sequence[Path], labeller: SceneLabeller, *, threads: int, tick: Callable[[], None]
) -> tuple[dict[Path, PictureScores], tuple[PictureFault, ...]]:
    labelled = label_pictures(paths, labeller, threads=threads, on_picture=tick)
    scores = labelled.scores
    positions: list[int] = labelled.positions.tolist()
    return {
        paths[position]: scores.of(index) for index, position in enumerate(positions)
    }, labelled.faults


def permuted(pictures: Mapping[str, PictureScores], seed: int) -> dict[str, PictureScores]:
    """Deal the pictures of sales out among them anew: what is left says nothing of a sale.

    Args:
        pictures: What the pictures of sales show, by sale id.
        seed: Seed of the permutation; one of them may leave a few sales what they had.
    """
    sale_ids = sorted(pictures)
    dealt: list[int] = np.random.default_rng(seed).permutation(len(sale_ids)).tolist()
    return {
        sale_id: pictures[sale_ids[other]] for sale_id, other in zip(sale_ids, dealt, strict=True)
    }
