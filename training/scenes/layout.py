"""Where labelled pictures lie: a folder per category."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})


class LayoutError(ValueError):
    """A directory without labelled pictures."""


@dataclass(frozen=True, slots=True)
class LabelledPaths:
    """Files of pictures and their labels.

    Attributes:
        labels: Names of the labels, sorted.
        paths: The files, shape ``(n,)``.
        targets: Position in ``labels`` of each file's label, int64 ``(n,)``.
    """

    labels: tuple[str, ...]
    paths: tuple[Path, ...]
    targets: NDArray[np.int64]


def labelled_paths(pictures: Mapping[str, Sequence[Path]]) -> LabelledPaths:
    """Order pictures that are given by label.

    Args:
        pictures: Files by label.

    Returns:
        The same files, sorted by label and path.

    Raises:
        LayoutError: If fewer than two labels have a picture.
    """
    labels = tuple(sorted(label for label, paths in pictures.items() if paths))
    if len(labels) < 2:  # noqa: PLR2004 - one label needs no labeller
        msg = f"pictures of at least 2 labels are needed, got {len(labels)}"
        raise LayoutError(msg)
    pairs = [
        (path, target) for target, label in enumerate(labels) for path in sorted(pictures[label])
    ]
    return LabelledPaths(
        labels,
        tuple(path for path, _ in pairs),
        np.array([target for _, target in pairs], dtype=np.int64),
    )


def read_layout(directory: Path) -> LabelledPaths:
    """Find the labelled pictures below a directory.

    A folder that holds pictures is a label, and its path below the directory is the label's
    name, without SUN397's folder of the first letter: ``a/abbey`` is ``abbey``.

    Args:
        directory: The root.

    Returns:
        Every JPEG, PNG and WebP file below it, by suffix.

    Raises:
        LayoutError: If fewer than two folders hold pictures.
    """
    pictures: dict[str, list[Path]] = {}
    for path in directory.rglob("*"):
        if path.suffix.lower() in _SUFFIXES and path.is_file():
            pictures.setdefault(_label(path.parent.relative_to(directory)), []).append(path)
    try:
        return labelled_paths(pictures)
    except LayoutError as exc:
        msg = f"{directory}: {exc}; expected <label>/*.jpg"
        raise LayoutError(msg) from exc


def _label(folder: Path) -> str:
    parts = folder.parts
    if len(parts) > 1 and len(parts[0]) == 1 and parts[1].startswith(parts[0]):
        return "/".join(parts[1:])
    return "/".join(parts)
