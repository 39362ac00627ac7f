"""Destinations and scenes of a simulated world."""

from dataclasses import dataclass
from typing import Final

import numpy as np


@dataclass(frozen=True)
class Scene:
    """One category of pictures.

    Attributes:
        name: Folder name of its labelled pictures.
        price: Typical price of a sale that shows it, in euros.
        peak_day: Day of the year on which it sells best.
        words: What texts may say about it.
    """

    name: str
    price: float
    peak_day: int
    words: tuple[str, ...]


@dataclass(frozen=True)
class Destination:
    """A place with its country and the indices of the scenes it may show."""

    name: str
    country: str
    scenes: tuple[int, ...]


# Chosen: typical prices and seasons. Some words are of several scenes, so that texts hint at a
# scene without naming it.
RENDERED_SCENES: Final = (
    Scene("beach", 620, 160, ("sandy beach", "sea", "parasols", "coast")),
    Scene("castle", 340, 250, ("castle", "battlements", "heritage", "history")),
    Scene("city", 290, 320, ("skyline", "nightlife", "shopping", "city break")),
    Scene("desert", 780, 30, ("dunes", "desert camp", "silence", "caravan")),
    Scene("forest", 260, 260, ("woodland", "cabin", "hiking", "silence")),
    Scene("golf_course", 560, 120, ("fairways", "greens", "golf", "clubhouse")),
    Scene("harbour", 410, 190, ("harbour", "sailing", "seafood", "coast")),
    Scene("lake", 380, 200, ("lake", "rowing", "reflections", "hiking")),
    Scene("lighthouse", 310, 220, ("lighthouse", "cliffs", "sea", "coast")),
    Scene("old_town", 270, 100, ("old town", "alleys", "history", "city break")),
    Scene("safari", 1450, 60, ("safari", "wildlife", "lodges", "caravan")),
    Scene("ski_slope", 690, 350, ("ski slopes", "powder snow", "chalet", "mountains")),
    Scene("spa_pool", 450, 20, ("spa", "pool", "massage", "wellness")),
    Scene("vineyard", 330, 270, ("vineyards", "wine tasting", "cellars", "heritage")),
)

# Real names and countries, for texts that read like a shop's; scenes by rough plausibility.
_PLACES: Final = (
    ("Nice", "France", "beach harbour old_town"),
    ("Chamonix", "France", "ski_slope lake forest"),
    ("Bordeaux", "France", "vineyard castle city"),
    ("Saint-Malo", "France", "lighthouse harbour beach"),
    ("Annecy", "France", "lake old_town ski_slope"),
    ("Barcelona", "Spain", "city beach harbour"),
    ("Marbella", "Spain", "golf_course beach spa_pool"),
    ("La Rioja", "Spain", "vineyard old_town castle"),
    ("Tenerife", "Spain", "beach spa_pool lighthouse"),
    ("Florence", "Italy", "old_town vineyard castle"),
    ("Lake Como", "Italy", "lake harbour spa_pool"),
    ("Amalfi", "Italy", "harbour beach old_town"),
    ("Cortina", "Italy", "ski_slope forest castle"),
    ("Lisbon", "Portugal", "city old_town lighthouse"),
    ("Algarve", "Portugal", "golf_course beach lighthouse"),
    ("Douro", "Portugal", "vineyard lake castle"),
    ("Crete", "Greece", "beach harbour old_town"),
    ("Corfu", "Greece", "beach castle spa_pool"),
    ("Edinburgh", "United Kingdom", "castle city golf_course"),
    ("Cornwall", "United Kingdom", "lighthouse beach harbour"),
    ("Lake District", "United Kingdom", "lake forest castle"),
    ("Black Forest", "Germany", "forest spa_pool lake"),
    ("Berlin", "Germany", "city old_town spa_pool"),
    ("Baden-Baden", "Germany", "spa_pool golf_course vineyard"),
    ("Innsbruck", "Austria", "ski_slope city forest"),
    ("Vienna", "Austria", "city castle vineyard"),
    ("Zermatt", "Switzerland", "ski_slope lake spa_pool"),
    ("Marrakesh", "Morocco", "desert old_town spa_pool"),
    ("Merzouga", "Morocco", "desert castle safari"),
    ("Agadir", "Morocco", "beach golf_course desert"),
    ("Dubai", "Emirates", "city desert beach"),
    ("Liwa", "Emirates", "desert spa_pool golf_course"),
    ("Masai Mara", "Kenya", "safari desert lake"),
    ("Diani", "Kenya", "beach safari spa_pool"),
    ("Kruger", "South Africa", "safari forest lake"),
    ("Cape Town", "South Africa", "city vineyard lighthouse harbour"),
    ("Reykjavik", "Iceland", "lighthouse spa_pool lake"),
    ("Bergen", "Norway", "harbour forest lake"),
    ("New York", "United States", "city harbour lighthouse"),
    ("Aspen", "United States", "ski_slope forest golf_course"),
)


def rendered_destinations() -> tuple[Destination, ...]:
    """Return the destinations of rendered pictures; scenes are indices into `RENDERED_SCENES`."""
    index = {scene.name: number for number, scene in enumerate(RENDERED_SCENES)}
    return tuple(
        Destination(name, country, tuple(index[scene] for scene in scenes.split()))
        for name, country, scenes in _PLACES
    )


def photographed_scenes(
    names: tuple[str, ...], rng: np.random.Generator
) -> tuple[tuple[Scene, ...], tuple[Destination, ...]]:
    """Draw the traits of scenes known by their photographs only.

    Prices and seasons are random; each destination shows four random scenes, and
    every scene is shown somewhere.

    Args:
        names: Category names.
        rng: Source of randomness.

    Returns:
        Scenes in the order of ``names``, and destinations that show them.
    """
    scenes: list[Scene] = []
    for name in names:
        plain = name.replace("_", " ")
        words = (plain, *plain.split()) if " " in plain else (plain, f"{plain} views")
        # Euros, about the range of RENDERED_SCENES, and a day of the year.
        price, peak_day = float(rng.uniform(250, 900)), int(rng.integers(1, 366))
        scenes.append(Scene(name, price, peak_day, words))
    # Repeated in the order of the permutation, so that every scene is shown somewhere.
    shuffled = np.resize(rng.permutation(len(names)), (4, len(_PLACES))).T
    destinations = tuple(
        Destination(name, country, tuple(sorted({int(scene) for scene in shown})))
        for (name, country, _), shown in zip(_PLACES, shuffled, strict=True)
    )
    return tuple(scenes), destinations
