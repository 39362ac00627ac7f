"""What the pictures of a dataset's sales show, by a scene model."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from models.sale import PictureScores
from models.scenes import PictureFault, SceneLabeller, label_pictures


def see_sales(
    images: Mapping[str, Path],
    labeller: SceneLabeller,
    *,
    threads: int = 1,
    tick: Callable[[], None] = lambda: None,
) -> tuple[dict[str, PictureScores], tuple[PictureFault, ...]]:
    """Label the pictures of sales; sales may share a picture.

    Args:
        images: Picture by sale id.
        labeller: The scene model.
        threads: Threads that decode beside the network.
        tick: Called once a picture.

    Returns:
        Scores by sale id, and the pictures that could not be read.
    """
    paths = sorted(set(images.values()))
    labelled = label_pictures(paths, labeller, threads=threads, on_picture=tick)
    scores = labelled.scores
    positions: list[int] = labelled.positions.tolist()
    by_path = {
        paths[position]: PictureScores(scores.probabilities[index], scores.embeddings[index])
        for index, position in enumerate(positions)
    }
    seen = {sale_id: by_path[path] for sale_id, path in images.items() if path in by_path}
    return seen, labelled.faults


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
