"""Picture scores of a dataset's sales by a scene model, cached on disk by content."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.arrays.atomic_file import atomic_file
from models.domain.sale import PictureScores
from models.neighbours.search import EMBEDDING_SIZE
from models.pictures.image_statistics import STATISTICS
from models.pictures.picture import content_hash
from models.pictures.scene_labeller import PictureFault, SceneLabeller, label_pictures
from models.scoring.scorer import Scorer


class ScoreCache:
    """Scores of one scene model: a file per picture, named by the hash of its content."""

    def __init__(self, cache: Path, labeller: SceneLabeller) -> None:
        """Use a folder of its own per scene model."""
        # The description holds the hash of the graph and the crop: another model or another input
        # finds no scores of this one.
        described = labeller.description.model_dump_json().encode()
        self._directory = cache / "scores" / hashlib.sha256(described).hexdigest()[:16]
        self._n_labels = len(labeller.labels)

    def path(self, content: str) -> Path:
        """Return the file of a picture's scores, by the hash of its content."""
        return self._directory / content[:2] / f"{content}.npy"

    def read(self, path: Path) -> PictureScores | None:
        """Return cached scores, None without a file that can be read."""
        try:
            values = np.asarray(np.load(path, allow_pickle=False), dtype=np.float32)
        except (OSError, ValueError, EOFError):
            return None
        # Scores from before a change of labels, embedding or statistics are computed anew.
        ends = np.cumsum([self._n_labels, EMBEDDING_SIZE, len(STATISTICS)])
        if values.shape != (ends[-1],):
            return None
        probabilities, embedding, statistics = np.split(values, ends[:-1])
        return PictureScores(probabilities, embedding, statistics)

    def write(self, path: Path, scores: PictureScores) -> None:
        """Write scores atomically."""
        values: NDArray[np.float32] = np.concatenate(
            [scores.probabilities, scores.embedding, scores.statistics]
        )
        with atomic_file(path) as file:
            np.save(file, values, allow_pickle=False)


def score_pictures(
    images: Mapping[str, Mapping[int, Path]],
    labeller: SceneLabeller,
    *,
    cache: Path,
    threads: int = 1,
    faults: list[PictureFault] | None = None,
    tick: Callable[[], None] = lambda: None,
) -> dict[str, PictureScores]:
    """Label the pictures of sales.

    Args:
        images: Pictures by sale id and number.
        labeller: The scene model.
        cache: Directory of scores: pictures scored before are not scored again.
        threads: Threads that decode while the network computes.
        faults: Collects the pictures that could not be read.
        tick: Called once per picture.

    Returns:
        Scores by sale id, of the sales with a picture that could be read.
    """
    paths = sorted({path for each in images.values() for path in each.values()})
    kept = ScoreCache(cache, labeller)
    contents = {path: content_hash(path) for path in paths}
    files = {path: kept.path(content) for path, content in contents.items() if content}
    by_path = {path: scores for path, file in files.items() if (scores := kept.read(file))}
    for _ in by_path:
        tick()
    # Each picture is scored once, however many sales share it.
    new = [path for path in paths if path not in by_path]
    labelled = label_pictures(new, labeller, threads=threads, on_picture=tick)
    if faults is not None:
        faults.extend(labelled.faults)
    positions: list[int] = labelled.positions.tolist()
    for index, position in enumerate(positions):
        path = new[position]
        by_path[path] = labelled.scores.for_picture(index)
        if path in files:
            kept.write(files[path], by_path[path])
    by_path = {path: replace(scores, content=contents[path]) for path, scores in by_path.items()}
    by_sale: dict[str, PictureScores] = {}
    for sale_id, each in images.items():
        if good := {number: by_path[path] for number, path in each.items() if path in by_path}:
            by_sale[sale_id] = PictureScores.combine(good)
    return by_sale


def pictures_of(
    scorer: Scorer, directory: Path, *, images: Mapping[str, Mapping[int, Path]], cache: Path
) -> dict[str, PictureScores]:
    """Return what a bundle knows of pictures, and label those that are new to it.

    A picture whose file holds another content than in training is a new one.

    Args:
        scorer: The bundle's scorer.
        directory: The bundle.
        images: Files by sale id and number.
        cache: Directory of picture features.
    """
    known: dict[str, PictureScores] = {}
    new: dict[str, Mapping[int, Path]] = {}
    for sale, files in images.items():
        scores = scorer.pictures.get(sale)
        trained = {number: one.content for number, one in scores.each.items()} if scores else None
        # Files are hashed only where there is something to compare with: there may be many.
        if scores and trained == {number: content_hash(path) for number, path in files.items()}:
            known[sale] = scores
        else:
            new[sale] = files
    if not scorer.scene_model or not new:
        return known
    return known | score_pictures(new, SceneLabeller.open(directory), cache=cache)


def permuted(pictures: Mapping[str, PictureScores], seed: int) -> dict[str, PictureScores]:
    """Permute the pictures of sales, so that none depends on its sale.

    Args:
        pictures: Scores by sale id.
        seed: Seed of the permutation, which may leave a few sales their own picture.
    """
    sale_ids = sorted(pictures)
    order: list[int] = np.random.default_rng(seed).permutation(len(sale_ids)).tolist()
    return {
        sale_id: pictures[sale_ids[other]] for sale_id, other in zip(sale_ids, order, strict=True)
    }
