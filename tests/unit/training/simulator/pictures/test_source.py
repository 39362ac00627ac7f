import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.shared import shared_data
from training.simulator.destinations import RENDERED_SCENES
from training.simulator.pictures.source import PAINTERS, Photographs, RenderedPictures, render


def _photographs(folder: Path, counts: dict[str, int]) -> Path:
    """Write flat pictures, each of another grey."""
    for category, n_pictures in counts.items():
        (folder / category).mkdir(parents=True)
        for number in range(n_pictures):
            picture = Image.new("RGB", (32, 32), (number * 10, number * 10, number * 10))
            picture.save(folder / category / f"{number}.jpg")
    return folder


@pytest.mark.parametrize("scene", sorted(PAINTERS))
def test_every_painter_copes_with_any_light_and_layout(scene: str) -> None:
    for seed in range(8):
        picture = render(scene, np.random.default_rng(seed))
        assert picture.size == (256, 256)
        assert np.asarray(picture).std() > 5


def test_every_scene_has_a_painter() -> None:
    assert sorted(scene.name for scene in RENDERED_SCENES) == sorted(PAINTERS)


def test_pictures_of_a_scene_differ_and_are_reproducible() -> None:
    source = RenderedPictures()
    rng, again = np.random.default_rng(3), np.random.default_rng(3)
    first, second = source.cover(0, rng), source.cover(0, rng)

    assert first != second
    assert [first, second] == [source.cover(0, again), source.cover(0, again)]
    assert Image.open(io.BytesIO(first)).format == "JPEG"


def test_mean_colours_do_not_give_scenes_away() -> None:
    """The nearest class mean of the mean colour finds fewer than half of the scenes."""
    names = sorted(PAINTERS)
    colours = np.array(
        [
            [
                np.asarray(render(name, np.random.default_rng([seed, row]))).mean(axis=(0, 1))
                for seed in range(20)
            ]
            for row, name in enumerate(names)
        ]
    )
    means = colours[:, :10].mean(axis=1)
    distance = np.linalg.norm(colours[:, 10:, None] - means, axis=3)

    assert np.mean(distance.argmin(axis=2) == np.arange(len(names))[:, None]) < 0.5


def test_photographs_of_sales_are_never_labelled_ones(tmp_path: Path) -> None:
    folder = _photographs(tmp_path, {"lake": 7, "park": 3, "sky": 1})

    source = Photographs(folder, n_labelled=3, rng=np.random.default_rng(0))

    assert [scene.name for scene in source.scenes] == ["lake", "park"]
    rng = np.random.default_rng(1)
    labelled = source.labelled(0, 3, rng=rng)
    covers = [source.cover(0, rng) for _ in range(6)]
    assert len(labelled) == 3
    assert len(set(covers)) == 4
    assert not set(labelled) & set(covers)
    assert len(source.labelled(1, 3, rng=rng)) == 1


def test_too_few_photographs_are_refused(tmp_path: Path) -> None:
    folder = _photographs(tmp_path, {"lake": 7, "sky": 1})

    with pytest.raises(ValueError, match=r"at least two folders with two \.jpg photographs"):
        Photographs(folder, n_labelled=3, rng=np.random.default_rng(0))


def test_real_photographs_become_scenes_that_every_destination_draws_from() -> None:
    source = Photographs(shared_data("scenes"), n_labelled=40, rng=np.random.default_rng(0))

    shown = {scene for place in source.destinations for scene in place.scenes}
    assert len(source.scenes) == 26
    assert shown == set(range(26))
