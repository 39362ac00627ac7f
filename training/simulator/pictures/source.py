"""Sources of a world's pictures: rendered scenes, or photographs of a folder."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from PIL import Image

from training.simulator.destinations import (
    RENDERED_SCENES,
    Destination,
    Scene,
    photographed_scenes,
    rendered_destinations,
)
from training.simulator.pictures import built, nature
from training.simulator.pictures.canvas import Canvas

_QUALITY = 85  # JPEG
_MIXED = 0.25  # share of pictures with parts of another scene: docs/world.md, "Pictures"
_SUFFIXES = (".jpg", ".jpeg")

PAINTERS: Final[dict[str, Callable[[Canvas], None]]] = {
    "beach": nature.beach,
    "castle": built.castle,
    "city": built.city,
    "desert": nature.desert,
    "forest": nature.forest,
    "golf_course": nature.golf_course,
    "harbour": built.harbour,
    "lake": nature.lake,
    "lighthouse": built.lighthouse,
    "old_town": built.old_town,
    "safari": nature.safari,
    "ski_slope": nature.ski_slope,
    "spa_pool": built.spa_pool,
    "vineyard": nature.vineyard,
}


class PictureSource(Protocol):
    """Scenes, the destinations that show them, and JPEG pictures of them."""

    scenes: Sequence[Scene]
    destinations: Sequence[Destination]

    def cover(self, scene: int, rng: np.random.Generator) -> bytes:
        """Return a JPEG picture for a sale."""
        ...

    def labelled(self, scene: int, n_pictures: int, *, rng: np.random.Generator) -> list[bytes]:
        """Return JPEG pictures of a scene that no sale shows."""
        ...


class RenderedPictures:
    """Pictures drawn by the painters of this package."""

    def __init__(self) -> None:
        """List the scenes that have painters."""
        self.scenes: Sequence[Scene] = RENDERED_SCENES
        self.destinations: Sequence[Destination] = rendered_destinations()

    def cover(self, scene: int, rng: np.random.Generator) -> bytes:
        """Render a new picture of a scene."""
        buffer = io.BytesIO()
        render(self.scenes[scene].name, rng).save(buffer, "JPEG", quality=_QUALITY)
        return buffer.getvalue()

    def labelled(self, scene: int, n_pictures: int, *, rng: np.random.Generator) -> list[bytes]:
        """Render further pictures of a scene."""
        return [self.cover(scene, rng) for _ in range(n_pictures)]


def render(scene: str, rng: np.random.Generator) -> Image.Image:
    """Draw an RGB picture of 256 x 256 pixels of a scene, a key of ``PAINTERS``.

    One picture of four shows, behind its scene, parts of another one.
    """
    canvas = Canvas(rng)
    if canvas.chance(_MIXED):
        PAINTERS[str(rng.choice(sorted(PAINTERS)))](canvas)
        canvas.lower_horizon(50)
    PAINTERS[scene](canvas)
    return canvas.finished()


class Photographs:
    """Photographs of a folder with one folder per category.

    In every category, up to ``n_labelled`` photographs, but at most half, are kept for the
    labelled pictures; sales show the others, and show them again when they run out.
    """

    def __init__(self, folder: Path, *, n_labelled: int, rng: np.random.Generator) -> None:
        """List and split the photographs.

        Args:
            folder: Holds ``<category>/*.jpg``.
            n_labelled: Photographs of a category to keep for the labelled pictures.
            rng: Source of randomness.

        Raises:
            ValueError: If fewer than two categories hold at least two photographs.
        """
        usable: dict[str, list[Path]] = {}
        for category in sorted(path for path in folder.iterdir() if path.is_dir()):
            # Sorted, so that the split follows from the seed and not from the file system.
            files = sorted(path for path in category.iterdir() if path.suffix.lower() in _SUFFIXES)
            if len(files) > 1:
                usable[category.name] = files
        if len(usable) < 2:  # noqa: PLR2004 -- two categories, two photographs in each
            msg = f"{folder}: expected at least two folders with two .jpg photographs or more"
            raise ValueError(msg)
        scenes, destinations = photographed_scenes(tuple(usable), rng)
        self.scenes: Sequence[Scene] = scenes
        self.destinations: Sequence[Destination] = destinations
        self._labelled: list[list[Path]] = []
        self._covers: list[list[Path]] = []
        for files in usable.values():
            shuffled = [files[int(index)] for index in rng.permutation(len(files))]
            kept = min(n_labelled, len(files) // 2)
            self._labelled.append(shuffled[:kept])
            self._covers.append(shuffled[kept:])
        self._next = [0] * len(usable)

    def cover(self, scene: int, rng: np.random.Generator) -> bytes:  # noqa: ARG002 -- the split is random already
        """Return the next photograph of a scene."""
        files = self._covers[scene]
        self._next[scene] += 1
        return files[(self._next[scene] - 1) % len(files)].read_bytes()

    def labelled(self, scene: int, n_pictures: int, *, rng: np.random.Generator) -> list[bytes]:  # noqa: ARG002 -- see above
        """Return the photographs of a scene that were kept."""
        return [path.read_bytes() for path in self._labelled[scene][:n_pictures]]
