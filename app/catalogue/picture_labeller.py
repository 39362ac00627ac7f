"""Picture labeller: labels uploads by the active bundle's scene model, on a thread of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Executor
from contextlib import contextmanager
from time import perf_counter
from typing import Final

from app.catalogue.model import Model
from app.errors import LabellingBusyError, SceneModelMissingError
from app.observability import Metrics
from app.stores.picture import LabelledPicture
from models.pictures.picture import PictureError, decode

# Pictures that a worker holds at once, from the first byte until they are labelled. Chosen: 128 MiB
# of memory, as a picture has at most 16 MiB (`models.pictures.picture`).
MAX_UPLOADS: Final = 8


class PictureLabeller:
    """Labels uploads; while all slots are taken, further ones are refused, not queued."""

    def __init__(self, model: Callable[[], Model], *, pool: Executor, metrics: Metrics) -> None:
        """Label with the model that is served at the time, in the one thread of a pool."""
        self._model = model
        self._pool = pool
        self._metrics = metrics
        self._n_free = MAX_UPLOADS

    async def label(
        self, sale_id: str, receive: Callable[[], Awaitable[bytes]], *, number: int
    ) -> LabelledPicture:
        """Receive, decode and label a picture.

        Args:
            sale_id: The sale that it shows.
            receive: Reads the content of a JPEG, PNG or WebP file; untrusted. Not called where
                the picture could not be labelled.
            number: Number of the picture among those of the sale.

        Raises:
            PictureError: If the picture is refused; the code says why.
            SceneModelMissingError: If the bundle labels no pictures.
            LabellingBusyError: If all slots are taken.
        """
        with self._slot():
            picture = await receive()
            model = self._model()
            if (labeller := model.labeller) is None:
                raise SceneModelMissingError
            started, frame = perf_counter(), labeller.description.frame
            try:
                scores = await asyncio.get_running_loop().run_in_executor(
                    self._pool, lambda: labeller.label(decode(picture, frame)[None])
                )
            except PictureError as exc:
                self._metrics.pictures.labels(exc.code).inc()
                raise
        self._metrics.pictures.labels("labelled").inc()
        self._metrics.labelling.observe(perf_counter() - started)
        seen, is_unlike = scores.for_picture(0), bool(scores.unlike[0])
        return LabelledPicture(sale_id, seen, model.scene_model, is_unlike=is_unlike, number=number)

    @contextmanager
    def _slot(self) -> Generator[None]:
        if self._model().labeller is None:
            raise SceneModelMissingError
        if self._n_free == 0:
            raise LabellingBusyError(MAX_UPLOADS)
        self._n_free -= 1
        try:
            yield
        finally:
            self._n_free += 1
