"""Pictures that come in over HTTP: labelled off the event loop, a few at a time."""

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from app.errors import LabellingBusyError, SceneModelMissingError
from app.observability import Metrics
from app.stores.picture import LabelledPicture
from models.domain.sale import PictureScores
from models.pictures.picture import PictureError, decode
from models.pictures.scene_labeller import SceneLabeller
from models.pictures.topics import Topics

MAX_UPLOADS: Final = 8
"""Pictures that a worker holds at once, from the first byte until they are labelled."""


@dataclass(frozen=True, slots=True, eq=False)
class Scenes:
    """What the served bundle makes of pictures.

    Attributes:
        model: Id of the scene model; empty without.
        topics: Names and label weights of the topics.
        labeller: Labels new pictures; None where the bundle cannot.
    """

    model: str
    topics: Topics
    labeller: SceneLabeller | None

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the label probabilities; none without a labeller."""
        return self.labeller.labels if self.labeller else ()


class PictureLabeller:
    """Labels uploads; who comes while all places are taken is sent away, not kept waiting."""

    def __init__(self, scenes: Callable[[], Scenes], *, pool: Executor, metrics: Metrics) -> None:
        """Label with the model that is served at the time, in the threads of a pool."""
        self._scenes = scenes
        self._pool = pool
        self._metrics = metrics
        self._n_free = MAX_UPLOADS

    @contextmanager
    def place(self) -> Generator[None]:
        """Hold a place while a picture is received and labelled.

        Raises:
            SceneModelMissingError: If the bundle labels no pictures.
            LabellingBusyError: If all places are taken.
        """
        if self._scenes().labeller is None:
            raise SceneModelMissingError
        if self._n_free == 0:
            raise LabellingBusyError(MAX_UPLOADS)
        self._n_free -= 1
        try:
            yield
        finally:
            self._n_free += 1

    async def label(self, sale_id: str, picture: bytes, *, number: int) -> LabelledPicture:
        """Decode and label a picture.

        Args:
            sale_id: The sale that it shows.
            picture: Content of a JPEG, PNG or WebP file, from anybody.
            number: Which picture of the sale.

        Raises:
            PictureError: If it is refused; the code says why.
            SceneModelMissingError: If the bundle labels no pictures.
        """
        scenes = self._scenes()
        labeller = scenes.labeller
        if labeller is None:
            raise SceneModelMissingError
        started = perf_counter()
        try:
            seen = await asyncio.get_running_loop().run_in_executor(
                self._pool, _look, labeller, picture
            )
        except PictureError as exc:
            self._metrics.pictures.labels(exc.code).inc()
            raise
        self._metrics.pictures.labels("labelled").inc()
        self._metrics.labelling.observe(perf_counter() - started)
        scores, is_unlike = seen
        return LabelledPicture(sale_id, scores, scenes.model, is_unlike=is_unlike, number=number)


def _look(labeller: SceneLabeller, picture: bytes) -> tuple[PictureScores, bool]:
    pixels = decode(picture, labeller.description.frame)
    scores = labeller.label(pixels[None])
    return scores.of(0), bool(scores.unlike[0])
