"""Stored pictures: the scene scores of a sale's pictures, and their packed format."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, cast

import numpy as np

from models.domain.sale import COVER, PictureScores
from models.neighbours.search import EMBEDDING_SIZE
from models.pictures.image_statistics import STATISTICS

ALL_PICTURES: Final = 0
"""Number of a removed picture that stands for all pictures that bundles have of a sale's id."""

# Stored, not deleted: without it the picture that a bundle was trained with would come back.
REMOVED: Final = b"-"

# Number of labels, bytes of the model's name, and the index in `_UNLIKE`.
_HEADER: Final = struct.Struct(">HHB")
# Stored as indices: a further value goes to the end.
_UNLIKE: Final = (None, False, True)
_FLOAT: Final = np.dtype("<f4")
# Chosen: probabilities and parts of unit vectors are at most 1, and statistics are shares.
_BEYOND: Final = 1e3


@dataclass(frozen=True, slots=True, eq=False)
class LabelledPicture:
    """The scene scores of one picture of a sale.

    Attributes:
        sale_id: The sale.
        scores: Label probabilities and embedding of this picture.
        scene_model: Id of the scene model; scores of different models do not compare.
        is_unlike: Whether it is like no scene that the model knows; None if it was not checked.
        number: Which picture of the sale, from `models.domain.sale.COVER` to `MAX_PICTURES`.
    """

    sale_id: str
    scores: PictureScores
    scene_model: str
    is_unlike: bool | None = None
    number: int = COVER


@dataclass(frozen=True, slots=True)
class RemovedPicture:
    """A picture that a sale no longer has, even where a bundle was trained with it.

    Number `ALL_PICTURES` stands where a sale of this id was deleted.
    """

    sale_id: str
    number: int


StoredPicture = LabelledPicture | RemovedPicture


def join_pictures(
    sale_id: str,
    bundled: PictureScores | None,
    *,
    stored: Iterable[StoredPicture],
    scene_model: str,
) -> dict[int, LabelledPicture]:
    """Return the pictures of a sale by number, where those of the store replace the bundle's.

    Args:
        sale_id: The sale.
        bundled: Scores of the pictures that the bundle was trained with.
        stored: The store's pictures of the sale.
        scene_model: Id of the bundle's scene model. The store's pictures of another model are left
            out, as their scores do not compare.
    """
    pictures = {
        number: LabelledPicture(sale_id, scores, scene_model, number=number)
        for number, scores in (bundled.each.items() if bundled else ())
    }
    # `ALL_PICTURES` has the lowest number: pictures that were put after it stay.
    for one in sorted(stored, key=attrgetter("number")):
        if one.number == ALL_PICTURES:
            pictures.clear()
        elif isinstance(one, RemovedPicture):
            pictures.pop(one.number, None)
        elif one.scene_model == scene_model:
            pictures[one.number] = one
    return dict(sorted(pictures.items()))


def pack_picture(picture: StoredPicture) -> bytes:
    """Return the bytes that `unpack_picture` reads.

    Two lengths, whether it is like a known scene, the scene model and, after a space, the hash of
    the file if it is known, then the scores in float32; a removed picture is `REMOVED`.
    """
    if isinstance(picture, RemovedPicture):
        return REMOVED
    scores = picture.scores
    model = f"{picture.scene_model} {scores.content}".rstrip().encode()
    numbers = np.concatenate([scores.probabilities, scores.statistics, scores.embedding])
    header = _HEADER.pack(len(scores.probabilities), len(model), _UNLIKE.index(picture.is_unlike))
    return header + model + numbers.astype(_FLOAT).tobytes()


def unpack_picture(field: str, packed: bytes) -> StoredPicture:
    """Read what `pack_picture` wrote under a field: the picture's number and its sale's id.

    Raises:
        ValueError: If it is damaged.
    """
    number, sale_id = int(field[0]), field[1:]
    if packed == REMOVED:
        return RemovedPicture(sale_id, number)
    if len(packed) < _HEADER.size:
        msg = f"{len(packed)} bytes are no packed picture"
        raise ValueError(msg)
    n_labels, n_model, unlike = cast("tuple[int, int, int]", _HEADER.unpack_from(packed))
    end = _HEADER.size + n_model
    n_bytes = end + (n_labels + len(STATISTICS) + EMBEDDING_SIZE) * _FLOAT.itemsize
    if len(packed) != n_bytes or unlike >= len(_UNLIKE):
        msg = f"{len(packed)} bytes are no packed picture of {n_labels} labels"
        raise ValueError(msg)
    numbers = np.frombuffer(packed, dtype=_FLOAT, offset=end).astype(np.float32)
    if not (np.abs(numbers) < _BEYOND).all():
        msg = f"its scores are not below {_BEYOND:g}"
        raise ValueError(msg)
    probabilities, statistics, embedding = np.split(numbers, [n_labels, n_labels + len(STATISTICS)])
    model, _, content = packed[_HEADER.size : end].decode().partition(" ")
    scores = PictureScores(probabilities, embedding, statistics, content=content)
    return LabelledPicture(sale_id, scores, model, is_unlike=_UNLIKE[unlike], number=number)
