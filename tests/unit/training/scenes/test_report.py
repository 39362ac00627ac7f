"""The page says what the data say."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.scenes import write_backbone, write_pictures
from training.report.block import CountMatrix, LinePlot, PictureGrid
from training.scenes.backbone import read_backbone
from training.scenes.command import app
from training.scenes.layout import read_layout
from training.scenes.model import HeldBack, labelled_features
from training.scenes.picture_features import FeatureExtractor
from training.scenes.report import calibration_points, labeller_blocks, thumbnail


def test_calibration_compares_what_was_said_with_what_was_right() -> None:
    """Two pictures said 0.9, one of them right; one said 0.6 and right."""
    said = np.array([[0.9, 0.1], [0.1, 0.9], [0.4, 0.6]], dtype=np.float32)

    points = calibration_points(said, np.array([0, 0, 1]))

    assert points == [pytest.approx((0.6, 1.0)), pytest.approx((0.9, 0.5))]


def test_confusion_and_errors_are_those_of_the_held_back(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    """Of blue 0, green 0 and red 0, green is said to be red, rather surely."""
    pictures = read_layout(write_pictures(tmp_path / "images", n_each=2, rng=rng))
    network = read_backbone(write_backbone(tmp_path))
    data = labelled_features(pictures, FeatureExtractor(network, tmp_path / "cache"))
    said = np.array([[0.8, 0.1, 0.1], [0.1, 0.2, 0.7], [0.0, 0.0, 1.0]], dtype=np.float32)
    held_back = HeldBack(np.array([0, 2, 4]), 1.0, said, np.zeros(3, dtype=np.float32))

    blocks = labeller_blocks(data, held_back)

    matrix = next(block for block in blocks if isinstance(block, CountMatrix))
    assert matrix.counts == [[1, 0, 0], [0, 0, 1], [0, 0, 1]]
    errors = next(block for block in blocks if isinstance(block, PictureGrid))
    assert [one.caption for one in errors.pictures] == ["is green, said red (70%)"]
    assert any(isinstance(block, LinePlot) for block in blocks)


def test_a_thumbnail_is_a_new_small_jpeg(tmp_path: Path) -> None:
    Image.new("RGB", (900, 600), "red").save(tmp_path / "a.png")

    content = thumbnail(tmp_path / "a.png")

    assert content.startswith(b"\xff\xd8")
    assert len(content) < 5_000


@pytest.mark.slow
def test_the_command_writes_a_page_that_needs_nothing_else(
    tiny_bundle: tuple[Path, Path], picture_cache: Path, tmp_path: Path
) -> None:
    bundle, data = tiny_bundle
    page = tmp_path / "report.html"
    options = {
        "--bundle": bundle,
        "--data": data,
        "--out": page,
        "--cache": picture_cache,
    }
    arguments = [str(part) for pair in options.items() for part in pair]

    result = CliRunner().invoke(app, ["report", *arguments, "--json"])

    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    html = page.read_text(encoding="utf-8")
    assert figures["topics"] > 1
    for heading in (
        "Topics",
        "Conversion by topic and market",
        "The labeller on held-back pictures",
    ):
        assert f">{heading}</h2>" in html
    assert html.count("data:image/jpeg;base64,") > figures["topics"]
    assert "http:" not in html
    assert "https:" not in html
