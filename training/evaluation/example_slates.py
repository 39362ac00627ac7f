"""Example slates of an evaluation, by scorer side by side, with pictures."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from models.catalogue.catalogue import Catalogue
from models.domain.event import from_us
from models.domain.sale import AttributeValues
from models.domain.units import DAY_S, HOUR_S, MINUTE_S
from models.pictures.picture import Frame, PictureError, decode, read_picture
from models.scoring.scorer import META
from training.evaluation.protocol import EvaluatedSlate
from training.report.block import Block, Mark, Picture, PictureGrid, Table, Tone

N_SALES: Final = 5  # a row on a desktop, two on a phone; chosen
SIDE: Final = 150  # pixels, as large as the page shows them

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
    """Choose slates of different customers, spread over segments and over time.

    Of slates that something was bought from, if there are enough.
    """
    first: dict[int, EvaluatedSlate] = {}
    for one in sorted(judged, key=lambda one: not len(one.bought)):
        first.setdefault(one.customer, one)
    bought = [one for one in first.values() if len(one.bought)]
    kinds: dict[str, list[EvaluatedSlate]] = {}
    used = bought if len(bought) >= n else first.values()
    for one in sorted(used, key=lambda one: one.now_us):
        kinds.setdefault(one.situation.segments[0], []).append(one)
    each = -(-n // max(len(kinds), 1))
    # The first, the last, and evenly between: members are in the order of time.
    picked = [
        members[int(index)]
        for _, members in sorted(kinds.items())
        for index in np.linspace(0, len(members) - 1, min(each, len(members)))
    ]
    return tuple(picked[:n])


def gallery(
    chosen: Sequence[EvaluatedSlate], catalogue: Catalogue, *, thumbnail: Thumbnail, outcome: str
) -> Iterator[Block]:
    """Show slates: the customer's latest events, the outcome, and what each line puts first.

    Args:
        chosen: The slates.
        catalogue: Their sales.
        thumbnail: Returns pictures.
        outcome: What was done with the sales of `EvaluatedSlate.bought`, such as "bought".
    """
    for number, one in enumerate(chosen, start=1):
        situation = one.situation
        market = f" in market {situation.market}" if situation.market else ""
        caption = (
            f"Visit {number} of {len(chosen)}: {from_us(one.now_us):%Y-%m-%d %H:%M} UTC{market}, "
            f"{len(one.candidates)} sales to rank, {situation.n_events} events known before"
        )
        rows = [["", "known", _listed(one.attributes)]] if one.attributes else []
        rows += [
            [_ago(event.age_s), event.event_type.value, title_of(catalogue, event.row)]
            for event in one.before
        ]
        if not one.before:
            of = "on record" if one.attributes else "known of this customer"
            rows.append(["before", "nothing", of])
        bought, mark = one.bought.tolist(), Mark(outcome, Tone.GOOD)
        rows += [["then", outcome, title_of(catalogue, row)] for row in bought]
        if not bought:
            rows.append(["then", "nothing", f"{outcome} of these sales"])
        yield Table(caption, ["when", "event", "sale"], rows, of_words=True)
        if bought:
            pictures = [
                _picture(catalogue, row, thumbnail=thumbnail, mark=mark) for row in bought[:N_SALES]
            ]
            yield PictureGrid(f"what was {outcome}", pictures)
        for line, scorer in talk_lines(list(one.chosen)).items():
            first_ten: list[int] = one.chosen[scorer].tolist()
            pictures = [
                _picture(catalogue, row, thumbnail=thumbnail, mark=mark if row in bought else None)
                for row in first_ten[:N_SALES]
            ]
            ranks = f": {outcome} {_ranks(first_ten, bought)}" if bought else ""
            yield PictureGrid(f"{line} ({scorer}){ranks}", pictures)


def _listed(attributes: AttributeValues) -> str:
    # Numbers of a file are floats: an age of 34 is not 34.0.
    texts = {
        name: f"{value:g}" if isinstance(value, float) else str(value)
        for name, value in attributes.items()
    }
    return ", ".join(f"{name}: {text}" for name, text in texts.items())


def _picture(catalogue: Catalogue, row: int, *, thumbnail: Thumbnail, mark: Mark | None) -> Picture:
    sale, text = catalogue.sales[row], title_of(catalogue, row)
    if sale.price is not None:
        text += f", {sale.price:,.2f} {sale.currency or ''}".rstrip()
    return Picture(thumbnail(sale.sale_id), text, mark)


def _ranks(first_ten: Sequence[int], bought: Sequence[int]) -> str:
    """Say at which ranks the bought sales are."""
    ranks = [str(rank) for rank, row in enumerate(first_ten, start=1) if row in bought]
    return f"at rank {', '.join(ranks)}" if ranks else f"not among the first {len(first_ten)}"


def title_of(catalogue: Catalogue, row: int) -> str:
    """Return the title of a sale; its id if it has none."""
    sale = catalogue.sales[row]
    return sale.title or sale.sale_id


def currency_of(catalogue: Catalogue) -> str:
    """Return the currency of all sales; empty where it is unknown, or there are several."""
    found = {sale.currency for sale in catalogue.sales if sale.price is not None}
    return next(iter(found)) or "" if len(found) == 1 else ""


def _ago(age_s: float) -> str:
    for unit, seconds in (("days", DAY_S), ("hours", HOUR_S), ("minutes", MINUTE_S)):
        # Below two of a unit the next smaller one says more.
        if age_s >= 2 * seconds:
            return f"{age_s / seconds:.0f} {unit} before"
    return f"{age_s:.0f} seconds before"
