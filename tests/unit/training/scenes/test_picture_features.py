"""Features come from the network once, and from the cache afterwards."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.pictures.picture import decode
from tests.scenes import SIZE, write_backbone
from training.scenes.backbone import Backbone, BackboneError, read_backbone
from training.scenes.graph import feature_graph
from training.scenes.picture_features import FeatureExtractor


@pytest.fixture
def backbone(tmp_path: Path) -> Backbone:
    return read_backbone(write_backbone(tmp_path))


@pytest.fixture
def picture(tmp_path: Path, rng: np.random.Generator) -> Path:
    path = tmp_path / "picture.png"
    Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(path)
    return path


def test_features_are_the_statistics_of_the_normalised_pixels(
    backbone: Backbone, picture: Path, tmp_path: Path
) -> None:
    views = FeatureExtractor(backbone, tmp_path / "cache").extract([picture]).views

    pixels = decode(picture.read_bytes(), backbone.frame).astype(np.float64)
    normalised = ((pixels - [100, 110, 120]) / [50, 60, 70]).reshape(-1, 3)
    expected = [normalised.mean(axis=0), normalised.std(axis=0), normalised.max(axis=0)]
    assert views.shape == (1, 2, 9)
    np.testing.assert_allclose(views[0, 0], np.concatenate(expected), rtol=1e-4, atol=1e-5)


def test_bands_are_means_of_upper_middle_and_lower_rows(picture: Path, tmp_path: Path) -> None:
    """Of 8 rows the first 2, the next 4 and the last 2."""
    outputs = [{"name": "map", "pool": ["bands"]}]
    network = read_backbone(write_backbone(tmp_path, outputs=outputs))

    views = FeatureExtractor(network, tmp_path / "cache").extract([picture]).views

    pixels = decode(picture.read_bytes(), network.frame).astype(np.float64)
    normalised = (pixels - [100, 110, 120]) / [50, 60, 70]
    expected = [normalised[rows].mean(axis=(0, 1)) for rows in np.split(np.arange(8), [2, 6])]
    np.testing.assert_allclose(views[0, 0], np.concatenate(expected), rtol=1e-4, atol=1e-5)


def test_bands_of_a_map_of_two_rows_are_refused(tmp_path: Path) -> None:
    outputs = [{"name": "map", "pool": ["bands"]}]
    network = read_backbone(write_backbone(tmp_path, outputs=outputs, size=2))

    with pytest.raises(BackboneError, match="output map of the backbone has 2 rows; bands need 3"):
        feature_graph(network)


def test_blue_first_networks_get_blue_first(picture: Path, tmp_path: Path) -> None:
    plain = {"mean": [0, 0, 0], "scale": [1, 1, 1], "outputs": [{"name": "vector"}]}
    rows: dict[str, list[float]] = {}
    for order in ("RGB", "BGR"):
        network = read_backbone(write_backbone(tmp_path, channels=order, **plain))
        found = FeatureExtractor(network, tmp_path / "cache").extract([picture])
        rows[order] = found.views[0, 0].tolist()

    assert rows["BGR"] == rows["RGB"][::-1]


def test_a_second_run_reads_what_the_first_wrote(
    backbone: Backbone, picture: Path, tmp_path: Path
) -> None:
    extractor = FeatureExtractor(backbone, tmp_path / "cache")
    first = extractor.extract([picture])
    (stored,) = (tmp_path / "cache").rglob("*.npy")
    np.save(stored, np.load(stored) + 1)
    copy = tmp_path / "same content, other name.png"
    copy.write_bytes(picture.read_bytes())

    second = extractor.extract([copy])

    np.testing.assert_allclose(second.views, first.views + 1, rtol=1e-6)


def test_broken_pictures_are_set_aside(backbone: Backbone, picture: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"nothing")

    found = FeatureExtractor(backbone, tmp_path).extract([broken, picture], threads=2)

    assert found.positions.tolist() == [1]
    assert [(fault.path, fault.code) for fault in found.faults] == [(broken, "picture_format")]


def test_no_picture_gives_no_row(backbone: Backbone, tmp_path: Path) -> None:
    assert len(FeatureExtractor(backbone, tmp_path).extract([]).views) == 0


def test_other_outputs_are_other_features(tmp_path: Path) -> None:
    whole = read_backbone(write_backbone(tmp_path))
    part = read_backbone(write_backbone(tmp_path, outputs=[{"name": "vector"}]))

    assert feature_graph(whole).SerializeToString() != feature_graph(part).SerializeToString()
    assert part.frame.size == SIZE


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"outputs": [{"name": "nothing"}]}, "no node of the graph computes nothing"),
        ({"outputs": []}, "describes no usable backbone"),
        ({"onnx": "gone.onnx"}, "describes no usable backbone"),
        ({"onnx": "backbone.json"}, "describes no usable backbone"),
        ({"crop": 1.5}, "describes no usable backbone"),
    ],
)
def test_a_description_that_cannot_be_used_is_refused(
    tmp_path: Path, changes: dict[str, object], reason: str
) -> None:
    with pytest.raises(BackboneError, match=reason):
        read_backbone(write_backbone(tmp_path, **changes))


def test_a_description_that_has_a_key_twice_is_refused(tmp_path: Path) -> None:
    path = write_backbone(tmp_path)
    path.write_text(path.read_text().replace('"name": ', '"name": "other", "name": ', 1))

    with pytest.raises(BackboneError, match="an object has the key 'name' twice"):
        read_backbone(path)
