"""A small shop for tests of the service: its sales, its model made by hand, its client."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
import numpy as np
from fastapi import FastAPI
from numpy.typing import NDArray
from starlette.types import Receive, Scope, Send

from models.catalogue.event_counts import SaleCounts
from models.catalogue.snapshot import Snapshot
from models.domain.event import from_us
from models.domain.sale import Sale
from models.features.schema import FeatureSchema
from models.pictures.topics import Topics
from models.recommenders.content_profile import ContentProfile
from models.recommenders.popularity import Popularity
from models.scoring.scorer import Scorer
from tests.builders import Unexplained

JSON = {"Content-Type": "application/json"}
NDJSON = {"Content-Type": "application/x-ndjson"}

SCHEMA = FeatureSchema((Popularity(0.1, 0.1, 10.0, 10.0), ContentProfile()))
CATEGORY = SCHEMA.names.index("content_category")


@dataclass(frozen=True)
class CategoryRanker(Unexplained):
    """P(buys) = (1 + share of the customer's interest in the sale's category) / 10."""

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        return (1.0 + matrix[:, CATEGORY].astype(np.float64)) / 10.0


@dataclass(frozen=True)
class BrokenRanker(Unexplained):
    """A model that fails on every question."""

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        msg = f"no scores for {len(matrix)} sales"
        raise ArithmeticError(msg)


def sale(sale_id: str, *, category: str = "ski", now_us: int = 0, **fields: object) -> Sale:
    """A sale that opened an hour before ``now_us`` and closes a day after it."""
    now = from_us(now_us) if now_us else datetime.now(UTC)
    opens_at, closes_at = now - timedelta(hours=1), now + timedelta(days=1)
    return Sale.model_validate(
        {
            "sale_id": sale_id,
            "category": category,
            "opens_at": opens_at,
            "closes_at": closes_at,
            **fields,
        }
    )


def scorer(*seed_sales: Sale, ranker: CategoryRanker | BrokenRanker | None = None) -> Scorer:
    """A scorer whose bundle was trained when the shop had the given sales."""
    snapshot = Snapshot.from_sales({one.sale_id: one for one in seed_sales}, {})
    return Scorer(
        bundle_id="by-hand",
        scene_model="",
        schema=SCHEMA,
        ranker=ranker or CategoryRanker(),
        topics=Topics.none(),
        snapshot=snapshot,
        counts=SaleCounts.none(len(seed_sales)),
    )


def reopened(scorer: Scorer, *, n: int) -> list[Sale]:
    """Sales that a bundle was trained with, open now in every market."""
    now = datetime.now(UTC)
    opened = {"opens_at": now - timedelta(days=1), "closes_at": now + timedelta(days=1)}
    known = scorer.snapshot.sales[:: len(scorer.snapshot.sales) // n][:n]
    change = {**opened, "sold_out_at": None, "markets": None}
    return [one.model_copy(update=change) for one in known]


@asynccontextmanager
async def client_of(app: FastAPI) -> AsyncGenerator[httpx.AsyncClient]:
    """Start the application, and speak to it without a socket."""
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            scope["state"] = dict(state or {})
            # A socket would let others run between two requests.
            await asyncio.sleep(0)
            await app(scope, receive, send)

        transport = httpx.ASGITransport(with_state, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client
