"""The influence of one customer on the answers of others, through a real store."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pytest
from numpy.typing import NDArray

from app.catalogue.count_history import CountHistory, by_row
from app.stores.connection import Connection
from app.stores.count import CountStore
from app.stores.server import StoreServer
from models.catalogue.catalogue import Catalogue
from models.catalogue.event_counts import HALF_LIVES_HOURS, grid_floor
from models.domain.event import Event, EventType
from models.domain.units import HOUR_US
from tests.builders import catalogue, feature, query, sale
from tests.contract.visit import MINUTE_US, append_at, event
from tests.proofs import Proof

N_CLICKS: Final = 20_000
N_SALES: Final = 60
N_CUSTOMERS: Final = 600
SEEN_EACH: Final = 20
BATCH: Final = 500
MOVED: Final = 0.1
"""Places that a sale may move on average."""


@pytest.fixture
def url(embedded_url: str) -> str:
    return embedded_url


def visits(rng: np.random.Generator, *, at_us: int) -> list[list[Event]]:
    """An hour of a shop: some of what each customer is shown is opened, and little is bought."""
    likes = rng.beta(1.0, 9.0, size=N_SALES)
    found: list[list[Event]] = []
    for number in range(N_CUSTOMERS):
        rows = rng.choice(N_SALES, SEEN_EACH, replace=False)
        kinds = [(row, EventType.IMPRESSION) for row in rows]
        opened = [row for row in rows if rng.random() < likes[row]]
        kinds += [(row, EventType.CLICK) for row in opened]
        kinds += [(row, EventType.PURCHASE) for row in opened if rng.random() < 0.1]
        found.append(
            [
                event(
                    f"{number}-{i}",
                    at_us=at_us,
                    sale_id=f"s{row}",
                    customer_id=f"c{number}",
                    type=kind,
                )
                for i, (row, kind) in enumerate(kinds)
            ]
        )
    return found


def attack(n: int, *, sale_id: str, at_us: int) -> list[Event]:
    """Clicks of one customer, each with an id and all in ten sessions."""
    return [
        event(f"bot-{i}", at_us=at_us, sale_id=sale_id, customer_id="bot").model_copy(
            update={"session_id": f"visit-{i % 10}"}
        )
        for i in range(n)
    ]


async def places(connection: Connection, shop: Catalogue) -> NDArray[np.intp]:
    """The place of each sale from 0 by what the store counted, as a stranger sees it."""
    now_us = await StoreServer(connection).time_us()
    grid_us = grid_floor(now_us)
    counts = await CountHistory(CountStore(connection)).until(grid_us)
    counted = by_row(counts, shop, grid_us=grid_us, half_lives=HALF_LIVES_HOURS)
    scores = feature(query(shop.with_counts(counted)), "popularity")
    return np.argsort(np.argsort(-scores, kind="stable"))


async def send(connection: Connection, events: Sequence[Event], *, received_us: int) -> None:
    for start in range(0, len(events), BATCH):
        _ = await append_at(connection, events[start : start + BATCH], received_us=received_us)


@pytest.mark.prove
@pytest.mark.parametrize("best", [True, False])
async def test_clicks_of_one_customer_lift_no_sale_by_a_tenth_of_a_place(
    connection: Connection, rng: np.random.Generator, proof: Proof, *, best: bool
) -> None:
    """On average over all sales, in the hour of the clicks, whichever sale they are of."""
    shop = catalogue(*(sale(f"s{row}") for row in range(N_SALES)))
    hour_us = grid_floor(await StoreServer(connection).time_us()) // HOUR_US * HOUR_US - HOUR_US
    for of_one in visits(rng, at_us=hour_us):
        await send(connection, of_one, received_us=hour_us)
    before = await places(connection, shop)
    target = int(np.argmax(before == (1 if best else N_SALES // 2)))
    bot = attack(proof.scale(N_CLICKS), sale_id=f"s{target}", at_us=hour_us)
    await send(connection, bot, received_us=hour_us + MINUTE_US)

    after = await places(connection, shop)

    moved = np.abs(after - before)
    proof.record(
        f"one_customer_{'best' if best else 'middle'}",
        {
            "clicks": len(bot),
            "sales": N_SALES,
            "honest_customers": N_CUSTOMERS,
            "target_moved": int(before[target] - after[target]),
            "mean_moved": float(moved.mean()),
        },
    )
    assert moved.mean() <= MOVED
