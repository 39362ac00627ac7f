"""Picture files of sales, with a check that they can be decoded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from models.dataset.checks import ROW
from models.dataset.faults import Fault, FaultCode, FaultReport
from models.domain.sale import COVER
from models.pictures.picture import PictureError, decode, read_picture


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """The pictures of a file of sales.

    Attributes:
        paths: Existing pictures by sale id and number, links resolved.
        faults: Faults of the others.
    """

    paths: Mapping[str, Mapping[int, Path]]
    faults: FaultReport


def distinct(images: Mapping[str, Mapping[int, Path]]) -> frozenset[Path]:
    """Return the distinct files of pictures."""
    return frozenset(path for each in images.values() for path in each.values())


def find_pictures(
    sales: pl.DataFrame,
    images: Path,
    *,
    file: str,
    on_decoded: Callable[[int, int], None] | None = None,
) -> Pictures:
    """Find the pictures of sales below one folder.

    Args:
        sales: Accepted sales: row, ``sale_id`` and the list ``image``, numbered from 1.
        images: The folder; a path that leads out of it, also by a symbolic link, is refused.
        file: Name of the file of sales, for the report.
        on_decoded: Called with the number of decoded and of all pictures; None to check only
            that the files exist.
    """
    root = images.resolve()
    number = pl.int_ranges(COVER, pl.col("image").list.len() + COVER)
    named = sales.select(ROW, "sale_id", "image", number=number).explode("image", "number")
    named = named.drop_nulls("image")
    paths: dict[str, dict[int, Path]] = {}
    faults: list[Fault] = []
    for done, (row, sale_id, image, number) in enumerate(named.iter_rows(), start=1):
        found = _find(root, image)
        if isinstance(found, Path) and on_decoded is not None:
            try:
                decode(read_picture(found))
            except PictureError as exc:
                found = FaultCode.BROKEN_IMAGE, f"cannot be used: {exc}"
            on_decoded(done, named.height)
        if isinstance(found, Path):
            paths.setdefault(sale_id, {})[number] = found
            continue
        code, problem = found
        reason = f"image {image!r} {problem}; the sale is kept without it"
        faults.append(Fault(file=file, row=row, column="image", code=code, reason=reason))
    return Pictures(paths, FaultReport.from_faults(faults))


def _find(root: Path, image: str) -> Path | tuple[FaultCode, str]:
    missing = FaultCode.MISSING_IMAGE, "is not a file below images/"
    try:
        path = (root / image).resolve()
        if not path.is_relative_to(root):
            return FaultCode.IMAGE_OUTSIDE, "leads out of images/"
        return path if path.is_file() else missing
    except (OSError, RuntimeError):  # a name too long for the file system, a loop of links
        return missing
