"""Layout of labelled pictures: a folder per category, all files or those of a file list."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.errors import UserError

CATEGORIES: Final = "categories_places365.txt"
TRAINING_LISTS: Final = ("Training_01.txt", "places365_train_standard.txt")
TESTING_LISTS: Final = ("Testing_01.txt", "places365_val.txt")

# Of the formats that are not read too: a picture in one of them is reported, not passed over.
_SUFFIXES: Final = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp"),
    *(".avif", ".bmp", ".gif", ".heic", ".pgm", ".ppm", ".tif", ".tiff"),
)


class LayoutError(UserError):
    """A directory or file list without labelled pictures."""


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
    """Order files of pictures, given by label, by label and path.

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

    Pictures are known by their suffix; hidden files are none.

    Raises:
        LayoutError: If fewer than two folders hold pictures, or one lies in no folder.
    """
    pictures: dict[str, list[Path]] = {}
    for path in directory.rglob("*"):
        if path.name.startswith(".") or path.suffix.lower() not in _SUFFIXES or not path.is_file():
            continue
        if path.parent == directory:
            msg = f"{path} lies in no folder that could be its label; expected <label>/{path.name}"
            raise LayoutError(msg)
        pictures.setdefault(_label(path.parent.relative_to(directory)), []).append(path)
    try:
        return labelled_paths(pictures)
    except LayoutError as exc:
        msg = f"{directory}: {exc}; expected <label>/*.jpg"
        raise LayoutError(msg) from exc


def list_beside(directory: Path, names: Sequence[str]) -> Path | None:
    """Return the first of some usual names of file lists that lies in a directory."""
    return next((directory / name for name in names if (directory / name).is_file()), None)


def read_list(directory: Path, file_list: Path) -> LabelledPaths:
    """Find the labelled pictures that a file list names.

    A line is a picture's path below the directory, with or without a leading slash. In
    SUN397's partitions (``/a/abbey/1.jpg``) the folder is the label, as in `read_layout`; in
    Places365's lists (``/a/airfield/1.jpg 0``) the number is, and ``categories_places365.txt``
    beside the list or the pictures (``/a/airfield 0``) names it.

    Raises:
        LayoutError: If a line cannot be understood, names a picture that is not there, leads out
            of the directory or comes twice, or if fewer than two labels have a picture.
    """
    categories: dict[int, str] | None = None
    pictures: dict[str, list[Path]] = {}
    seen: set[Path] = set()
    for where, line in _lines(file_list):
        name, number = _numbered(line)
        path = _listed(directory, name, where)
        if path in seen:
            msg = f"{where}: {name} is listed twice"
            raise LayoutError(msg)
        seen.add(path)
        if number is None:
            if path.parent == directory:
                lacks = "neither a folder nor a number that could be its label"
                msg = f"{where}: {path.name} has {lacks}"
                raise LayoutError(msg)
            label = _label(path.parent.relative_to(directory))
        else:
            categories = categories or _categories(file_list.parent, directory)
            if number not in categories:
                msg = f"{where}: {CATEGORIES} has no category {number}"
                raise LayoutError(msg)
            label = categories[number]
        pictures.setdefault(label, []).append(path)
    try:
        return labelled_paths(pictures)
    except LayoutError as exc:
        msg = f"{file_list}: {exc}; expected lines like /a/abbey/1.jpg or /a/airfield/1.jpg 0"
        raise LayoutError(msg) from exc


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the lines that are not empty, each after where it stands."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        msg = f"{path} cannot be read as UTF-8 text: {exc}"
        raise LayoutError(msg) from exc
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield f"{path}, line {number}", line.strip()


def _numbered(line: str) -> tuple[str, int | None]:
    name, _, number = line.rpartition(" ")
    if name and number.isascii() and number.isdigit():
        return name.strip(), int(number)
    return line, None


def _listed(directory: Path, name: str, where: str) -> Path:
    parts = PurePosixPath(name.lstrip("/")).parts
    # A list may come from outside: it must not read what lies beside the pictures.
    if ".." in parts:
        msg = f"{where}: {name} leads out of {directory}"
        raise LayoutError(msg)
    path = directory.joinpath(*parts)
    try:
        found = path.is_file()
    except OSError:  # a name longer than the file system takes
        found = False
    if not found or not name.lower().endswith(_SUFFIXES):
        msg = f"{where}: {name} is no picture below {directory}; is that the root of the list?"
        raise LayoutError(msg)
    return path


def _categories(*directories: Path) -> dict[int, str]:
    found = next(
        (path for path in (one / CATEGORIES for one in directories) if path.is_file()), None
    )
    if found is None:
        folders = " or ".join(dict.fromkeys(str(one) for one in directories))
        msg = f"the list gives labels by number, and {CATEGORIES} is not in {folders}; put it there"
        raise LayoutError(msg)
    categories: dict[int, str] = {}
    for where, line in _lines(found):
        name, number = _numbered(line)
        if number is None or number in categories:
            msg = f"{where}: expected a category and its own number, like /a/airfield 0"
            raise LayoutError(msg)
        categories[number] = _label(Path(name.lstrip("/")))
    return categories


def _label(folder: Path) -> str:
    parts = folder.parts
    # SUN397 files a/abbey under its first letter; a category such as b/other keeps both parts.
    if len(parts) > 1 and len(parts[0]) == 1 and parts[1].startswith(parts[0]):
        return "/".join(parts[1:])
    return "/".join(parts)
