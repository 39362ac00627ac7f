"""Scene labeller: label probabilities and embeddings of pictures, by an ONNX model."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.domain.errors import UserError, reason_for
from models.domain.sale import PictureScores
from models.pictures.image_statistics import image_statistics
from models.pictures.onnx import OnnxSession, Provider, open_session
from models.pictures.picture import Frame, PictureError, decode, decode_many, read_picture

GRAPH_FILE = "scenes.onnx"
DESCRIPTION_FILE = "scenes.json"
# Of the head that training fits; neighbours are searched in vectors of this width.
EMBEDDING_WIDTH = 128


class SceneModelError(UserError, ValueError):
    """A directory without a valid scene model."""


class LabelFigures(BaseModel):
    """Figures of label probabilities on labelled pictures."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int = Field(description="Pictures.")
    top1: float = Field(description="Share whose label is the most probable one.")
    top5: float = Field(description="Share whose label is among the five most probable.")
    log_loss: float = Field(description="Mean of -ln(probability of the label).")
    calibration_error: float = Field(description="Expected calibration error, 15 equal bins.")

    def __str__(self) -> str:
        """Return the figures in one line."""
        return (
            f"top-1 {self.top1:.3f}, top-5 {self.top5:.3f}, log loss {self.log_loss:.3f}, "
            f"calibration error {self.calibration_error:.3f}, {self.n} pictures"
        )


class SceneDescription(BaseModel):
    """Metadata of the graph, the content of ``scenes.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[2] = 2
    labels: tuple[str, ...] = Field(min_length=1)
    size: int = Field(ge=8, description="Side of the input in pixels.")
    crop: float = Field(gt=0, le=1, description="Share of the shorter side that is seen.")
    unlike_above: float = Field(description="Above it, a picture is like no known scene.")
    false_alarm_rate: float = Field(ge=0, le=1, description="Known scenes above the threshold.")
    backbone: str = Field(description="Name of the network whose features are used.")
    validation: LabelFigures = Field(
        description="On pictures held back from a head that was trained alike."
    )
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="Of the graph.")

    @property
    def frame(self) -> Frame:
        """The crop and size that the graph was trained with."""
        return Frame(self.size, self.crop)


@dataclass(frozen=True, slots=True)
class SceneScores:
    """Scores of ``b`` pictures.

    Attributes:
        probabilities: Calibrated label probabilities, float32 ``(b, n_labels)``; rows sum to 1.
        embeddings: Unit vectors, float32 ``(b, 128)``; similar pictures have a large dot product.
        statistics: Image statistics, see `models.pictures.image_statistics`, float32 ``(b, 4)``.
        unlikeness: Out-of-distribution score, unitless, float32 ``(b,)``.
        unlike: Whether ``unlikeness`` exceeds the model's threshold, bool ``(b,)``.
    """

    probabilities: NDArray[np.float32]
    embeddings: NDArray[np.float32]
    statistics: NDArray[np.float32]
    unlikeness: NDArray[np.float32]
    unlike: NDArray[np.bool_]

    def for_picture(self, row: int) -> PictureScores:
        """Return the scores of one row."""
        return PictureScores(self.probabilities[row], self.embeddings[row], self.statistics[row])


@dataclass(frozen=True, slots=True)
class PictureFault:
    """A picture that could not be labelled.

    Attributes:
        path: The file.
        code: Stable name of the reason, see ``PictureError``.
        message: The reason.
    """

    path: Path
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class LabelledPictures:
    """Outcome of labelling many files.

    Attributes:
        positions: Indices of the labelled paths, int64 ``(n,)``.
        scores: Their scores, in the same order.
        faults: The other paths, each with its reason.
    """

    positions: NDArray[np.int64]
    scores: SceneScores
    faults: tuple[PictureFault, ...]


class SceneLabeller:
    """Scores decoded pictures.

    Attributes:
        description: Labels, crop and threshold.
        provider: Execution provider in use.
    """

    def __init__(self, session: OnnxSession, description: SceneDescription) -> None:
        """Wrap an open graph; use ``open``."""
        self._session = session
        self.description = description
        self.provider = session.provider

    @classmethod
    def open(cls, directory: Path, *, threads: int = 1, provider: Provider = Provider.CPU) -> Self:
        """Open and verify a scene model directory.

        Args:
            directory: Holds ``scenes.onnx`` and ``scenes.json``.
            threads: Threads of one evaluation.
            provider: Requested execution provider.

        Returns:
            The labeller.

        Raises:
            SceneModelError: If a file is missing, malformed or does not match its description.
        """
        try:
            description = (directory / DESCRIPTION_FILE).read_bytes()
            graph = (directory / GRAPH_FILE).read_bytes()
        except OSError as exc:
            msg = f"{directory} holds no scene model: {exc}"
            raise SceneModelError(msg) from exc
        try:
            return cls.from_bytes(graph, description, threads=threads, provider=provider)
        except SceneModelError as exc:
            msg = f"{directory} holds no scene model: {exc}"
            raise SceneModelError(msg) from exc

    @classmethod
    def from_bytes(
        cls,
        graph: bytes,
        description: bytes,
        *,
        threads: int = 1,
        provider: Provider = Provider.CPU,
    ) -> Self:
        """Open a scene model from file contents, such as those of a verified bundle.

        Args:
            graph: Content of ``scenes.onnx``.
            description: Content of ``scenes.json``.
            threads: Threads of one evaluation.
            provider: Requested execution provider.

        Returns:
            The labeller.

        Raises:
            SceneModelError: If the description is malformed or does not match the graph.
        """
        try:
            described = SceneDescription.model_validate_json(description)
        except ValidationError as exc:
            msg = f"{DESCRIPTION_FILE} is malformed: {reason_for(exc)}"
            raise SceneModelError(msg) from exc
        if hashlib.sha256(graph).hexdigest() != described.sha256:
            msg = f"{GRAPH_FILE} is not the file that {DESCRIPTION_FILE} describes"
            raise SceneModelError(msg)
        return cls(open_session(graph, provider, threads=threads), described)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the columns of the probabilities."""
        return self.description.labels

    def label(self, pictures: NDArray[np.uint8]) -> SceneScores:
        """Score decoded pictures.

        On the CPU pictures are evaluated one at a time: batches are no faster there, and a
        picture's bits do not depend on the other pictures.

        Args:
            pictures: RGB pixels, uint8 ``(b, size, size, 3)``, from ``decode`` with ``frame``.

        Returns:
            One row a picture.

        Raises:
            ValueError: If the shape or type is another.
        """
        size = self.description.size
        if pictures.dtype != np.uint8 or pictures.shape[1:] != (size, size, 3):
            msg = f"expected uint8 (b, {size}, {size}, 3), got {pictures.dtype} {pictures.shape}"
            raise ValueError(msg)
        # 32 is chosen: on a GPU, batches are faster.
        step = 1 if self.provider is Provider.CPU else 32
        parts = [
            self._session.run({"pictures": pictures[start : start + step]})
            for start in range(0, len(pictures), step)
        ]

        def joined(name: str, *shape: int) -> NDArray[np.float32]:
            empty = np.empty((0, *shape), dtype=np.float32)
            return np.concatenate([empty, *(part[name] for part in parts)], dtype=np.float32)

        unlikeness = joined("unlikeness")
        return SceneScores(
            probabilities=joined("probabilities", len(self.labels)),
            embeddings=joined("embeddings", EMBEDDING_WIDTH),
            statistics=image_statistics(pictures),
            unlikeness=unlikeness,
            unlike=unlikeness > self.description.unlike_above,
        )


def label_pictures(
    paths: Sequence[Path],
    labeller: SceneLabeller,
    *,
    threads: int = 1,
    on_picture: Callable[[], None] = lambda: None,
) -> LabelledPictures:
    """Label files; decoding runs in threads, and broken pictures are reported.

    Args:
        paths: Files of pictures.
        labeller: The model.
        threads: Decoding threads.
        on_picture: Called after every picture, broken ones included.

    Returns:
        Scores of the good pictures and faults of the others.
    """
    positions: list[int] = []
    faults: list[PictureFault] = []

    def good() -> Iterator[SceneScores]:
        frame = labeller.description.frame
        decoded = decode_many(
            paths, lambda path: decode(read_picture(path), frame), threads=threads
        )
        for position, pixels in enumerate(decoded):
            on_picture()
            if isinstance(pixels, PictureError):
                faults.append(PictureFault(paths[position], pixels.code, str(pixels)))
                continue
            positions.append(position)
            yield labeller.label(pixels[None])

    nothing = labeller.label(np.empty((0, *[labeller.description.size] * 2, 3), dtype=np.uint8))
    parts = [nothing, *good()]
    joined = {
        column.name: np.concatenate([getattr(part, column.name) for part in parts])
        for column in fields(SceneScores)
    }
    scores = SceneScores(**joined)
    return LabelledPictures(np.array(positions, dtype=np.int64), scores, tuple(faults))
