"""Throughput of the scene labeller, and its share of time outside the network.

Method: the default network with an unfitted head; 256 noisy JPEG files of 341 × 256 pixels. Bare
ONNX Runtime gets ready arrays, one at a time; labelling reads, decodes and scores the files, with
as many decoding threads as the network has. Numbers last measured: docs/scenes.md.
"""

import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.pictures.onnx import open_session
from models.pictures.scene_labeller import SceneDescription, SceneLabeller, label_pictures
from training.scenes.backbone import efficientnet_backbone
from training.scenes.graph import scene_graph
from training.scenes.head import Recipe, fit_head
from training.scenes.metric import label_figures
from training.scenes.picture_features import FeatureExtractor

N_PICTURES = 256
N_LABELS = 26


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Write pictures with the detail of photographs: smooth shapes and some noise."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    found: list[Path] = []
    for number in range(N_PICTURES):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((341, 256), Image.Resampling.BICUBIC), dtype=np.float64)
        noisy = (smooth + rng.normal(0, 12, smooth.shape)).clip(0, 255).astype(np.uint8)
        found.append(root / f"{number}.jpg")
        Image.fromarray(noisy).save(found[-1], quality=85)
    return found


@pytest.mark.parametrize("threads", [1, 2])
def test_pictures_per_second(paths: list[Path], threads: int, tmp_path: Path) -> None:
    """Print pictures per second, and their ratio to bare ONNX Runtime on ready arrays."""
    backbone = efficientnet_backbone()
    extractor = FeatureExtractor(backbone, tmp_path, threads=threads)
    start_s = time.perf_counter()
    extracted = extractor.extract(paths, threads=threads)
    extracting_s = (time.perf_counter() - start_s) / 2  # two views a picture
    targets = np.arange(N_PICTURES) % N_LABELS
    recipe = Recipe(epochs=1, least_steps=1)
    head = fit_head(extracted.views, targets, n_labels=N_LABELS, recipe=recipe, seed=0)
    session = open_session(scene_graph(backbone, head).SerializeToString(), threads=threads)
    description = SceneDescription(
        labels=tuple(str(label) for label in range(N_LABELS)),
        size=backbone.frame.size,
        crop=backbone.frame.crop,
        unlike_above=0.0,
        false_alarm_rate=0.05,
        backbone=backbone.description.name,
        validation=label_figures(np.zeros((1, N_LABELS), np.float32), targets[:1]),
        sha256="0" * 64,
    )
    ready = np.zeros((1, backbone.frame.size, backbone.frame.size, 3), dtype=np.uint8)
    start_s = time.perf_counter()
    for _ in paths:
        session.run({"pictures": ready})
    bare_s = time.perf_counter() - start_s
    start_s = time.perf_counter()
    label_pictures(paths, SceneLabeller(session, description), threads=threads)
    labelling_s = time.perf_counter() - start_s

    print(
        f"\n{threads} threads: bare {N_PICTURES / bare_s:.0f}/s, "
        f"labelling {N_PICTURES / labelling_s:.0f}/s (ratio {bare_s / labelling_s:.2f}), "
        f"features {N_PICTURES / extracting_s:.0f} views/s (ratio {bare_s / extracting_s:.2f})"
    )
