"""Example slates of an evaluation, by scorer side by side, with pictures."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from models.catalogue.catalogue import Catalogue
from models.pictures.picture import Frame, PictureError, decode, read_picture
from models.scoring.scorer import META
from training.evaluation.protocol import EvaluatedSlate
from training.report.block import Block, Paragraph, Picture, PictureGrid

N_SALES: Final = 5
SIDE: Final = 120

TALK: Final[Mapping[str, tuple[str, ...]]] = {
    "popularity": ("popularity",),
    "visits only": ("collaborative",),
    "pictures only": ("images",),
    "mix": (META,),
}
"""Names of the compared lines, each with the scorers that may represent it."""

Thumbnail = Callable[[str], bytes]
"""Returns the picture of a sale as a small JPEG file, empty without one."""


@dataclass(frozen=True)
class Thumbnails:
    """Thumbnails of sales.

    Attributes:
        images: Pictures by sale id and number; the first one is shown.
    """

    images: Mapping[str, Mapping[int, Path]]

    def __call__(self, sale_id: str) -> bytes:
        """Return a picture as a JPEG file, empty without one that can be read."""
        pictures = self.images.get(sale_id)
        if not pictures:
            return b""
        path = pictures[min(pictures)]
        target = BytesIO()
        try:
            pixels = decode(read_picture(path), Frame(size=SIDE, crop=1.0))
        except PictureError:
            return b""
        Image.fromarray(pixels).save(target, format="JPEG", quality=70)
        return target.getvalue()


def talk_lines(scorers: Sequence[str]) -> dict[str, str]:
    """Return the scorer of each compared line, of the lines that a bundle has one for."""
    found: dict[str, str] = {}
    for line, names in TALK.items():
        for name in names:
            if name in scorers:
                found.setdefault(line, name)
    return found


def examples(judged: Sequence[EvaluatedSlate], n: int) -> tuple[EvaluatedSlate, ...]:
    """Choose slates of different customers, spread over segments and over time."""
    kinds: dict[str, list[EvaluatedSlate]] = {}
    seen: set[int] = set()
    for one in judged:
        if one.customer not in seen:
            seen.add(one.customer)
            kinds.setdefault(one.situation.segments[0], []).append(one)
    each = -(-n // max(len(kinds), 1))
    picked = [
        members[int(index)]
        for _, members in sorted(kinds.items())
        for index in np.linspace(0, len(members) - 1, min(each, len(members)))
    ]
    return tuple(picked[:n])


def gallery(
    chosen: Sequence[EvaluatedSlate], catalogue: Catalogue, *, thumbnail: Thumbnail
) -> Iterator[Block]:
    """Show the first sales of slates by each compared line.

    Args:
        chosen: The slates.
        catalogue: Their sales.
        thumbnail: Returns pictures.
    """
    for one in chosen:
        yield Paragraph(_described(one))
        for line, scorer in talk_lines(list(one.chosen)).items():
            rows = one.chosen[scorer][:N_SALES].tolist()
            pictures = [_picture(catalogue, row, thumbnail) for row in rows]
            yield PictureGrid(f"{line} ({scorer})", pictures)


def _described(one: EvaluatedSlate) -> str:
    situation = one.situation
    market = f", market {situation.market}" if situation.market else ""
    return (
        f"A customer with {situation.n_events} known events{market}; "
        f"{len(one.candidates)} sales were open."
    )


def _picture(catalogue: Catalogue, row: int, thumbnail: Thumbnail) -> Picture:
    sale = catalogue.sales[row]
    price = f", {sale.price:g} {sale.currency or ''}".rstrip() if sale.price is not None else ""
    return Picture(thumbnail(sale.sale_id), f"{sale.title or sale.sale_id}{price}")
