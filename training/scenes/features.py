"""Backbone features of labelled pictures, several views each, cached on disk by content."""

import hashlib
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.arrays.atomic_file import atomic_file
from models.pictures.onnx import OnnxSession, Provider, open_session
from models.pictures.picture import (
    Box,
    Frame,
    PictureError,
    centred_box,
    decode_cuts,
    read_picture,
)
from models.pictures.scene_labeller import PictureFault
from training.scenes.backbone import Backbone
from training.scenes.graph import feature_graph

_AHEAD = 16  # pictures decoded before the network takes them
_MIN_AREA = 0.4  # of a random crop
_MAX_STRETCH = 4 / 3  # aspect ratio of a crop, as usual in training on ImageNet
_CLOSER = 7 / 8  # of the crop, for the mirror image
_FORMAT = b"2"  # of cached features: raise it when they change


@dataclass(frozen=True, slots=True)
class PictureFeatures:
    """Features of the pictures that could be decoded.

    Attributes:
        positions: Positions in the given paths, int64 ``(n,)``.
        views: float32 ``(n, n_views, n_features)``; view 0 is what the labeller sees, view 1 a
            mirror image from a little closer, the others are random crops.
        faults: The other paths, each with its reason.
    """

    positions: NDArray[np.int64]
    views: NDArray[np.float32]
    faults: tuple[PictureFault, ...]


def n_plain_features(backbone: Backbone) -> int:
    """Count the first features: those of the first statistic of the backbone's first output.

    Args:
        backbone: The network; for the default, the answer is the width of its last layer.

    Returns:
        The number, by running the network once.
    """
    first, *_ = backbone.description.outputs
    alone = first.model_copy(update={"pool": first.pool[:1]})
    description = backbone.description.model_copy(update={"outputs": (alone,)})
    graph = feature_graph(replace(backbone, description=description)).SerializeToString()
    nothing = np.zeros((1, *[backbone.frame.size] * 2, 3), dtype=np.uint8)
    return open_session(graph).run({"pictures": nothing})["features"].shape[1]


class FeatureExtractor:
    """Computes features of views, or finds them in its cache.

    Attributes:
        provider: Where the network computes.
    """

    def __init__(
        self,
        backbone: Backbone,
        cache: Path,
        *,
        n_crops: int,
        threads: int = 1,
        provider: Provider = Provider.CPU,
    ) -> None:
        """Open the backbone.

        Args:
            backbone: The frozen network.
            cache: Directory of features; created when needed.
            n_crops: Random crops a picture, beside the two views that never change.
            threads: Threads of one evaluation.
            provider: Where to compute, if it loads.
        """
        graph = feature_graph(backbone).SerializeToString()
        self._session: OnnxSession = open_session(graph, provider, threads=threads)
        self.provider = self._session.provider
        self._frame = backbone.frame
        self._n_crops = n_crops
        identity = b"\x1f".join([_FORMAT, graph, repr((self._frame, n_crops)).encode()])
        self._cache = cache / hashlib.sha256(identity).hexdigest()[:16]

    def extract(
        self,
        paths: Sequence[Path],
        *,
        threads: int = 1,
        on_picture: Callable[[], None] = lambda: None,
    ) -> PictureFeatures:
        """Compute the features of files; decoding runs beside the network.

        Args:
            paths: Files of pictures.
            threads: Decoding threads.
            on_picture: Called after every picture.

        Returns:
            Features of the good pictures and faults of the others.
        """
        rows: list[NDArray[np.float32]] = []
        positions: list[int] = []
        faults: list[PictureFault] = []
        for position, prepared in enumerate(self._prepared(paths, threads)):
            on_picture()
            if isinstance(prepared, PictureError):
                faults.append(PictureFault(paths[position], prepared.code, str(prepared)))
                continue
            positions.append(position)
            rows.append(self._features(prepared))
        views = np.stack(rows) if rows else np.empty((0, 2 + self._n_crops, 0), np.float32)
        return PictureFeatures(np.array(positions, dtype=np.int64), views, tuple(faults))

    def _prepared(self, paths: Sequence[Path], threads: int) -> "Iterator[_Prepared]":
        waiting: deque[Future[_Prepared]] = deque()
        with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
            for path in paths:
                waiting.append(pool.submit(self._prepare, path))
                if len(waiting) >= _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _prepare(self, path: Path) -> "_Prepared":
        try:
            content = read_picture(path)
            digest = hashlib.sha256(content).hexdigest()
            cached = self._cache / digest[:2] / f"{digest}.npy"
            if cached.exists():
                return cached, None
            rng = np.random.default_rng(int(digest[:16], 16))
            return cached, _views(content, self._frame, n_crops=self._n_crops, rng=rng)
        except PictureError as exc:
            return exc

    def _features(self, prepared: "tuple[Path, NDArray[np.uint8] | None]") -> NDArray[np.float32]:
        cached, views = prepared
        if views is None:
            return np.asarray(np.load(cached, allow_pickle=False), dtype=np.float32)
        features = self._session.run({"pictures": views})["features"].astype(np.float32)
        with atomic_file(cached) as file:
            np.save(file, features, allow_pickle=False)
        return features


_Prepared = tuple[Path, NDArray[np.uint8] | None] | PictureError


def _views(
    content: bytes, frame: Frame, *, n_crops: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    def boxes(width: int, height: int) -> list[Box]:
        crops = [_random_box(width, height, rng) for _ in range(n_crops)]
        seen, closer = (centred_box(width, height, crop=frame.crop * part) for part in (1, _CLOSER))
        return [seen, closer, *crops]

    least = round(frame.size / frame.crop)
    cuts = decode_cuts(content, boxes, size=frame.size, least=least)
    mirrored = rng.random(n_crops) < 0.5  # noqa: PLR2004 - an even chance
    turned = [
        cut[:, ::-1] if mirror else cut for cut, mirror in zip(cuts[2:], mirrored, strict=True)
    ]
    return np.stack([cuts[0], cuts[1][:, ::-1], *turned])


def _random_box(width: int, height: int, rng: np.random.Generator) -> Box:
    half = math.log(_MAX_STRETCH) / 2
    stretch = math.exp(rng.uniform(-half, half))
    side = math.sqrt(width * height * rng.uniform(_MIN_AREA, 1))
    across, down = min(side * stretch, width), min(side / stretch, height)
    left, top = rng.uniform(0, width - across), rng.uniform(0, height - down)
    return left, top, left + across, top + down
