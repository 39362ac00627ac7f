"""Shop window: the pictures of a dataset, and customers of it that are worth a look."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import polars as pl
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.api.dependencies import get_resources
from app.api.middleware.encoded_slashes import SLASH
from app.api.middleware.request_context import OWN_HEADERS
from app.web.page_file import page_headers
from app.web.page_route import PageRoute
from models.dataset.checks import given
from models.dataset.conversion import convert
from models.dataset.schema import SALES
from models.dataset.tables import read_table, stream_table, table_path
from models.domain.event import EventType
from models.domain.sale import COVER

PICTURE_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"

# Chosen: what a list of choices shows without scrolling, of each kind.
N_OF_A_KIND: Final = 5

_FIRST_BYTES: Final = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"))


@dataclass(frozen=True, slots=True)
class KnownCustomer:
    """A customer of the dataset.

    Attributes:
        customer_id: Their id.
        kind: ``buys``, ``looks`` (many events, no purchase) or ``new`` (few events).
        market: That of their latest event; None if the dataset has none.
        device: Likewise.
        n_events: Their events in the first part of the dataset.
        n_purchases: Their purchases among these.
    """

    customer_id: str
    kind: str
    market: str | None
    device: str | None
    n_events: int
    n_purchases: int


class ShopWindow:
    """The parts of a dataset that the shop window shows and no API has."""

    def __init__(self, dataset: Path) -> None:
        self._dataset = dataset
        self._images = (dataset / "images").resolve()
        self._known: tuple[KnownCustomer, ...] | None = None
        self._named: Mapping[str, Sequence[str]] | None = None

    def routes(self) -> list[PageRoute]:
        """Return the routes below ``/demo``."""
        return [
            PageRoute("/demo/customers", self._customers),
            PageRoute("/demo/pictures/{sale_id}", self._picture),
        ]

    async def _customers(self, _request: Request) -> Response:
        if self._known is None:
            self._known = await asyncio.to_thread(known_customers, self._dataset)
        return JSONResponse({"items": [asdict(one) for one in self._known]})

    async def _picture(self, request: Request) -> Response:
        served = (await get_resources(request)).live.served
        sale_id = request.path_params["sale_id"].replace(SLASH, "/")
        row = served.catalogue.row_for(sale_id) if served else None
        number = request.query_params.get("number")
        image = served.catalogue.sales[row].image if served and row is not None else None
        if row is not None and number is not None:
            image = await self._numbered(sale_id, number)
        path = picture_path(self._images, image) if image else None
        if path is None:
            raise HTTPException(
                404, f"sale {sale_id!r} has no such picture in the shop window's dataset"
            )
        content = await asyncio.to_thread(path.read_bytes)
        media_type = picture_type(content)
        if media_type is None:
            raise HTTPException(404, f"the picture of {sale_id!r} is no JPEG, PNG or WebP")
        request.scope["state"][OWN_HEADERS] = page_headers(PICTURE_POLICY)
        return Response(content, media_type=media_type)

    async def _numbered(self, sale_id: str, number: str) -> str | None:
        if self._named is None:
            self._named = await asyncio.to_thread(named_pictures, self._dataset)
        by_number = enumerate(self._named.get(sale_id, ()), start=COVER)
        return next((image for known, image in by_number if str(known) == number), None)


def named_pictures(dataset: Path) -> Mapping[str, Sequence[str]]:
    """Return the paths of each sale's pictures by sale id, in the order of their numbers."""
    path = table_path(dataset, "sales")
    if path is None:
        return {}
    frame, _ = convert(read_table(path), SALES)
    named = frame.select("sale_id", "image").drop_nulls()
    return {str(sale_id): image for sale_id, image in named.iter_rows()}


def picture_path(images: Path, image: str) -> Path | None:
    """Return the file of a picture; None if there is none, or if the path leads out of `images`."""
    try:
        path = (images / image).resolve()
        return path if path.is_relative_to(images) and path.is_file() else None
    except (OSError, RuntimeError):  # a name too long for the file system, a loop of links
        return None


def picture_type(content: bytes) -> str | None:
    """Return the media type of a picture by its first bytes; None for anything else."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for first, kind in _FIRST_BYTES if content.startswith(first)), None)


def known_customers(dataset: Path) -> tuple[KnownCustomer, ...]:
    """Choose customers by the first 500,000 events of a dataset: buyers, lookers and new ones."""
    path = table_path(dataset, "events")
    if path is None:
        return ()
    table = next(stream_table(path))
    wanted = [name for name in ("customer_id", "type", "market", "device") if name in table.columns]
    events = table.frame.select(pl.col(given(name)).cast(pl.String).alias(name) for name in wanted)
    is_seen = pl.col("type") == EventType.IMPRESSION.value
    latest = [pl.col(name).last() for name in ("market", "device") if name in wanted]
    customers = (
        events.filter(~is_seen)
        .group_by("customer_id", maintain_order=True)
        .agg(
            pl.len().alias("n_events"),
            (pl.col("type") == EventType.PURCHASE.value).sum().alias("n_purchases"),
            *latest,
        )
        .sort("n_events", "customer_id", descending=[True, False])
    )
    bought = pl.col("n_purchases")
    kinds = {
        "buys": customers.sort(bought, descending=True, maintain_order=True).filter(bought > 0),
        "looks": customers.filter(bought == 0),
        "new": customers.reverse().filter(bought == 0),
    }
    return tuple(
        _customer(kind, row)
        for kind, rows in kinds.items()
        for row in rows.head(N_OF_A_KIND).iter_rows(named=True)
    )


def _customer(kind: str, row: Mapping[str, object]) -> KnownCustomer:
    market, device = row.get("market"), row.get("device")
    return KnownCustomer(
        customer_id=str(row["customer_id"]),
        kind=kind,
        market=None if market is None else str(market).strip().lower(),
        device=None if device is None else str(device),
        n_events=int(str(row["n_events"])),
        n_purchases=int(str(row["n_purchases"])),
    )
