"""Backbone features of labelled pictures, several views each, cached on disk by content."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.arrays.atomic_file import atomic_file
from models.pictures.onnx import OnnxSession, Provider, open_session
from models.pictures.picture import (
    Box,
    PictureError,
    centred_box,
    decode_cuts,
    decode_many,
    read_picture,
)
from models.pictures.scene_labeller import PictureFault
from training.scenes.backbone import Backbone
from training.scenes.graph import feature_graph

# Pictures decoded before the network takes them; chosen: two views of 320 pixels each are 10 MB.
_AHEAD = 16
_CLOSER = 7 / 8  # of the crop, for the mirror image: ImageNet's usual centred crop, 224 of 256
_FORMAT = b"2"  # of cached features: raise it when they change


@dataclass(frozen=True, slots=True)
class PictureFeatures:
    """Features of the pictures that could be decoded.

    Attributes:
        positions: Positions in the given paths, int64 ``(n,)``.
        views: float32 ``(n, 2, n_features)``; view 0 is what the labeller sees, view 1 a mirror
            image from a little closer.
        faults: The other paths, each with its reason.
    """

    positions: NDArray[np.int64]
    views: NDArray[np.float32]
    faults: tuple[PictureFault, ...]


def n_plain_features(backbone: Backbone) -> int:
    """Count the features of the first statistic of the backbone's first output.

    For the default backbone it is the width of its last layer. Runs the network once.
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
        threads: int = 1,
        provider: Provider = Provider.CPU,
    ) -> None:
        """Open the backbone.

        Args:
            backbone: The frozen network.
            cache: Directory of features; created when needed.
            threads: Threads of one evaluation.
            provider: Where to compute, if it loads.
        """
        graph = feature_graph(backbone).SerializeToString()
        self._session: OnnxSession = open_session(graph, provider, threads=threads)
        self.provider = self._session.provider
        self._frame = backbone.frame
        identity = b"\x1f".join([_FORMAT, graph, repr(self._frame).encode()])
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
        decoded = decode_many(paths, self._prepare, threads=threads, ahead=_AHEAD)
        for position, prepared in enumerate(decoded):
            on_picture()
            if isinstance(prepared, PictureError):
                faults.append(PictureFault(paths[position], prepared.code, str(prepared)))
                continue
            positions.append(position)
            cached, pixels = prepared
            if pixels is None:
                features = np.asarray(np.load(cached, allow_pickle=False), dtype=np.float32)
            else:
                features = self._session.run({"pictures": pixels})["features"].astype(np.float32)
                with atomic_file(cached) as file:
                    np.save(file, features, allow_pickle=False)
            rows.append(features)
        views = np.stack(rows) if rows else np.empty((0, 2, 0), np.float32)
        return PictureFeatures(np.array(positions, dtype=np.int64), views, tuple(faults))

    def _prepare(self, path: Path) -> tuple[Path, NDArray[np.uint8] | None]:
        """Return the file of a picture's features and, if it does not exist, its two views."""
        content = read_picture(path)
        digest = hashlib.sha256(content).hexdigest()
        cached = self._cache / digest[:2] / f"{digest}.npy"
        if cached.exists():
            return cached, None
        frame = self._frame

        def boxes(width: int, height: int) -> list[Box]:
            crops = (frame.crop, frame.crop * _CLOSER)
            return [centred_box(width, height, crop=crop) for crop in crops]

        least = round(frame.size / frame.crop)
        seen, closer = decode_cuts(content, boxes, size=frame.size, least=least)
        return cached, np.stack([seen, closer[:, ::-1]])
