"""Titles and descriptions of simulated sales."""

from collections.abc import Sequence

import numpy as np

from training.simulator.destinations import Destination, Scene
from training.simulator.parameters import CATEGORIES
from training.simulator.sales import Sales

# Share of texts that hint at the scene; chosen, so that pictures tell what texts do not.
_TELLS_SCENE = 0.6
_PRODUCTS = {
    "hotel": ("hotel", "boutique hotel", "resort"),
    "flight_hotel": ("flight and hotel", "package holiday", "getaway with flights"),
    "tour": ("guided tour", "round trip", "small-group tour"),
    "villa": ("villa", "holiday home", "apartment"),
    "cruise": ("cruise", "cruise with full board", "river and coast cruise"),
}
_OPENINGS = ("A stay to remember", "Time for two", "A well-earned break", "New this season")
_BOARDS = ("breakfast included", "half board", "full board", "room only", "late check-out")
_CLOSINGS = ("Free cancellation.", "Limited rooms.", "Selected by our team.", "Members only.")


def write_texts(
    sales: Sales,
    *,
    scenes: Sequence[Scene],
    destinations: Sequence[Destination],
    rng: np.random.Generator,
) -> tuple[list[str], list[str]]:
    """Write the title and the description of every sale.

    Destination, country and product are always named. Six texts of ten also hint at the scene,
    with words that several scenes may share.

    Returns:
        Titles and descriptions, in the order of the sales.
    """
    titles: list[str] = []
    descriptions: list[str] = []
    for row in range(len(sales)):
        place = destinations[int(sales.destination[row])]
        product = _pick(rng, _PRODUCTS[CATEGORIES[sales.category[row]]])
        words = scenes[int(sales.scene[row])].words if rng.random() < _TELLS_SCENE else ()
        about = f" with {_pick(rng, words)}" if words else ""
        titles.append(f"{place.name}: {product}{about}")
        detail = f" {_pick(rng, words).capitalize()} nearby." if words else ""
        descriptions.append(
            f"{_pick(rng, _OPENINGS)} in {place.name}, {place.country}."
            f" {product.capitalize()}, {_pick(rng, _BOARDS)}.{detail} {_pick(rng, _CLOSINGS)}"
        )
    return titles, descriptions


def _pick(rng: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(rng.integers(len(choices)))]
