"""Cover examples: impressions that name their cover, with taste at that moment and clicks."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue
from models.covers.cover_model import CoverModel
from models.dataset.events import EventTable
from models.domain.event import CLICK, IMPRESSION
from models.features.context import device_code
from models.ranker.position_effect import PositionEffect
from training.examples.replay import WindowReplay
from training.examples.slates import credited_pairs, texts_of

# Chosen: the latest impressions, of which the fit holds some 35 numbers each, 0.6 GB. Pictures
# of sales that closed long ago teach little.
_MOST: Final = 2_000_000


@dataclass(frozen=True, eq=False)
class CoverExamples:
    """Shown covers with their outcomes.

    Attributes:
        vectors: See `models.covers.cover_model.SalePictures`, shape ``(n, n_axes + 1)``.
        tastes: Of the customers at that moment, shape ``(n, n_axes)``.
        sale_keys: Keys of the sales, shape ``(n,)``.
        picture_keys: Keys of the pictures, same shape.
        p_examined: P(examined) at the position, relative to the first, same shape.
        clicked: Whether the customer clicked, same shape.
    """

    vectors: NDArray[np.float64]
    tastes: NDArray[np.float64]
    sale_keys: NDArray[np.uint64]
    picture_keys: NDArray[np.uint64]
    p_examined: NDArray[np.float64]
    clicked: NDArray[np.bool_]

    @classmethod
    def from_events(
        cls,
        events: EventTable,
        catalogue: Catalogue,
        *,
        model: CoverModel,
        effect: PositionEffect,
        outcome_us: int,
    ) -> Self:
        """Collect the latest 2 million impressions of sales with a choice of pictures.

        Args:
            events: The log.
            catalogue: All its sales.
            model: Its axes are used, nothing else.
            effect: P(examined) by position.
            outcome_us: Longest time from an impression to its click, microseconds.
        """
        rows = catalogue.rows_for(events.sale_keys)
        is_shown = (events.kinds == IMPRESSION) & (events.covers > 0) & (rows >= 0)
        shown = np.flatnonzero(is_shown)[-_MOST:]
        numbers: list[int] = events.covers[shown].tolist()
        sales = [model.pictures(catalogue, row) for row in rows[shown].tolist()]
        found = [
            (place, one, one.numbers.index(number))
            for place, (one, number) in enumerate(zip(sales, numbers, strict=True))
            if one is not None and number in one.numbers
        ]
        known = np.array([place for place, _, _ in found], dtype=np.intp)
        clicks = np.flatnonzero(events.kinds == CLICK)
        places, _ = credited_pairs(events, shown=shown, outcomes=clicks, outcome_us=outcome_us)
        clicked = np.zeros(len(shown), dtype=np.bool_)
        clicked[places] = True
        kept = shown[known]
        devices = texts_of(events.devices, events.devices.codes[kept])
        n_axes = len(model.agreement)
        return cls(
            vectors=np.array([one.vectors[i] for _, one, i in found]).reshape(-1, n_axes + 1),
            tastes=_tastes(events, kept, catalogue=catalogue, model=model),
            sale_keys=events.sale_keys[kept],
            picture_keys=np.array([one.keys[i] for _, one, i in found], dtype=np.uint64),
            p_examined=effect.p_examined(
                events.positions[kept], np.array([device_code(one) for one in devices])
            ),
            clicked=clicked[known],
        )


def _tastes(
    events: EventTable, shown: NDArray[np.intp], *, catalogue: Catalogue, model: CoverModel
) -> NDArray[np.float64]:
    """Return the taste of each impression's customer, from what was received before it."""
    windows = WindowReplay(events)
    known: dict[tuple[int, int], NDArray[np.float64]] = {}
    tastes = np.zeros((len(shown), len(model.agreement)))
    moments = zip(events.customers.codes[shown].tolist(), events.at_us[shown].tolist(), strict=True)
    for place, moment in enumerate(moments):
        if moment not in known:
            customer, at_us = moment
            known[moment] = model.taste(windows.window(customer, at_us - 1), catalogue)
        tastes[place] = known[moment]
    return tastes
