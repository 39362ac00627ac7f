"""Simulated shop whose customers click by taste and picture: the judge of chosen covers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from models.catalogue.catalogue import Catalogue, build_catalogue
from models.covers.cover_choice import CoverPolicy, chosen_covers
from models.covers.cover_model import CoverModel
from models.domain.customer import Window, pack_member
from models.domain.event import EventType, from_us, key
from models.domain.sale import PictureScores, Sale
from models.domain.units import DAY_US
from models.neighbours.search import EMBEDDING_SIZE
from models.pictures.image_statistics import STATISTICS
from tests.builders import NOW_US, TOPICS
from training.covers.cover_examples import CoverExamples

N_SCENES: Final = 6
N_PICTURES: Final = 4
SHOWN: Final = 10
"""Sales of an answer."""
_STAYS_DAYS: Final = 5
_OPENS_A_DAY: Final = 12
EXAMINED: Final[NDArray[np.float64]] = 1.0 / np.sqrt(np.arange(1.0, SHOWN + 1))


@dataclass(frozen=True)
class World:
    """How clicks depend on covers: deviations in log-odds.

    Attributes:
        taste: Of a customer's liking of a scene.
        quality: Of a picture, the same for all customers.
        shops_choice: By how much the first picture is better.
        click: Log-odds of a click at the first position.
    """

    taste: float = 1.0
    quality: float = 0.3
    shops_choice: float = 0.0
    click: float = -2.5


@dataclass(eq=False)
class Shop:
    """A shop of the world, day by day."""

    world: World
    n_customers: int
    n_days: int
    rng: np.random.Generator
    catalogue: Catalogue = field(init=False)
    scenes: NDArray[np.intp] = field(init=False)
    quality: NDArray[np.float64] = field(init=False)
    tastes: NDArray[np.float64] = field(init=False)
    appeal: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        """Draw sales, pictures and customers."""
        rng, n = self.rng, _OPENS_A_DAY * (self.n_days + _STAYS_DAYS)
        self.scenes = rng.integers(0, N_SCENES, (n, N_PICTURES))
        self.quality = rng.normal(0, 1, (n, N_PICTURES)) * self.world.quality
        self.quality[:, 0] += self.world.shops_choice
        self.tastes = rng.normal(0, 1, (self.n_customers, N_SCENES)) * self.world.taste
        self.appeal = rng.normal(0, 0.5, n)
        looks = rng.normal(0, 1, (N_SCENES, EMBEDDING_SIZE))
        ids = [f"s{number:05}" for number in range(n)]
        pictures = {one: self._pictures(looks[self.scenes[i]]) for i, one in enumerate(ids)}
        opens = [NOW_US + (i // _OPENS_A_DAY - _STAYS_DAYS) * DAY_US for i in range(n)]
        sales = [
            Sale(sale_id=one, opens_at=from_us(us), closes_at=from_us(us + _STAYS_DAYS * DAY_US))
            for one, us in zip(ids, opens, strict=True)
        ]
        self.catalogue = build_catalogue(sales, pictures, topics=TOPICS)
        # Catalogues are ordered by key.
        order = [ids.index(sale.sale_id) for sale in self.catalogue.sales]
        self.scenes, self.quality = self.scenes[order], self.quality[order]
        self.appeal = self.appeal[order]

    def _pictures(self, looks: NDArray[np.float64]) -> PictureScores:
        # As much of a picture is its own as is its scene's.
        vectors = looks + self.rng.normal(0, 1, looks.shape)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        none = np.zeros(len(STATISTICS), dtype=np.float32)
        half = np.full(2, 0.5, dtype=np.float32)
        return PictureScores.combine(
            {
                number: PictureScores(half, vector.astype(np.float32), none)
                for number, vector in enumerate(vectors, start=1)
            }
        )

    def p_click(self, customer: int, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return P(click | examined) of each picture of sales, shape ``(n, 4)``."""
        liked = self.tastes[customer][self.scenes[rows]] + self.quality[rows]
        return expit(self.world.click + self.appeal[rows][:, None] + liked)


@dataclass(eq=False)
class Log:
    """What was shown, and what followed, an entry a shown sale, shape ``(n,)`` each.

    Attributes:
        customers: The customers.
        days: Days from the first.
        rows: Catalogue rows.
        positions: From 1.
        numbers: Covers.
        propensities: Of the covers.
        clicked: Whether it was clicked.
        expected: P(click) of the cover, of the first picture, of an even draw, and of the best,
            shape ``(n, 4)``.
        tastes: As the model knew them, shape ``(n, n_axes)``.
    """

    customers: NDArray[np.int64]
    days: NDArray[np.int64]
    rows: NDArray[np.int64]
    positions: NDArray[np.int64]
    numbers: NDArray[np.int64]
    propensities: NDArray[np.float64]
    clicked: NDArray[np.bool_]
    expected: NDArray[np.float64]
    tastes: NDArray[np.float64]

    @classmethod
    def join(cls, parts: Sequence["Log"]) -> "Log":
        """Join logs."""
        names = cls.__dataclass_fields__
        return cls(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})

    def examples(self, model: CoverModel, catalogue: Catalogue) -> CoverExamples:
        """Return what a model is fitted on."""
        known = [model.pictures(catalogue, row) for row in self.rows.tolist()]
        numbers: list[int] = self.numbers.tolist()
        chosen = [(one, number - 1) for one, number in zip(known, numbers, strict=True) if one]
        return CoverExamples(
            vectors=np.array([one.vectors[i] for one, i in chosen]),
            tastes=self.tastes,
            sale_keys=catalogue.keys[self.rows],
            picture_keys=np.array([one.keys[i] for one, i in chosen], dtype=np.uint64),
            p_examined=EXAMINED[self.positions - 1],
            clicked=self.clicked,
        )


@dataclass(eq=False)
class Customers:
    """The clicks of all customers, as their windows hold them."""

    members: list[list[bytes]]

    @classmethod
    def of(cls, shop: Shop) -> "Customers":
        """Return customers who have clicked nothing yet."""
        return cls([[] for _ in range(shop.n_customers)])

    def window(self, customer: int) -> Window:
        """Return a customer's window."""
        return Window.from_members(self.members[customer])


def day_of(
    shop: Shop, day: int, *, customers: Customers, model: CoverModel, policy: CoverPolicy
) -> Log:
    """Answer each customer once, with covers of a policy, and let them click."""
    now_us, rng, parts = NOW_US + day * DAY_US, shop.rng, list[Log]()
    eligible = shop.catalogue.eligible(None, now_us)
    for customer in range(shop.n_customers):
        rows: NDArray[np.int64] = rng.permutation(eligible)[:SHOWN]
        window = customers.window(customer)
        covers = chosen_covers(
            model,
            policy,
            catalogue=shop.catalogue,
            window=window,
            rows=rows.tolist(),
            drawn=rng.random(len(rows)),
        )
        numbers = np.array([one.number for one in covers if one])
        p = shop.p_click(customer, rows) * EXAMINED[: len(rows), None]
        own = p[np.arange(len(rows)), numbers - 1]
        clicked = rng.random(len(rows)) < own
        places: list[int] = np.flatnonzero(clicked).tolist()
        for place in places:
            customers.members[customer].append(
                pack_member(
                    key(f"{customer} {now_us} {place}"),
                    int(shop.catalogue.keys[rows[place]]),
                    at_us=now_us,
                    event_type=EventType.CLICK,
                    cover=int(numbers[place]),
                )
            )
        n = len(rows)
        parts.append(
            Log(
                customers=np.full(n, customer),
                days=np.full(n, day),
                rows=rows,
                positions=np.arange(1, n + 1),
                numbers=numbers,
                propensities=np.array([one.propensity for one in covers if one]),
                clicked=clicked,
                expected=np.column_stack([own, p[:, 0], p.mean(axis=1), p.max(axis=1)]),
                tastes=np.tile(model.taste(window, shop.catalogue), (n, 1)),
            )
        )
    return Log.join(parts)
