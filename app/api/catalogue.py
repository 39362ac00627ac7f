"""Catalogue routes: paged list of sales, and bulk writes."""

import asyncio
from collections import Counter
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from pydantic.config import JsonDict

from app.api.dependencies import ResourcesDep
from app.api.middleware.audit import changed
from app.api.parameters import DIGITS, EACH_ONCE
from app.api.sales import SALE_EXAMPLE
from app.api.schema.body import content_of, example, read
from app.api.schema.problem import problems
from app.catalogue.bulk_writer import Upsert
from app.catalogue.sale_list import ListQuery, page
from app.errors import NotReadyError
from models.domain.event import Market
from models.domain.sale import Sale

# Chosen; 5,000 lines of 800 bytes fill a body of the largest size, 4 MiB.
MAX_LIMIT: Final = 1_000
MAX_LINES: Final = 5_000
MAX_REASONS: Final = 10  # faults that the result of one line names
NDJSON: Final = "application/x-ndjson"

router = APIRouter(prefix="/v1/sales", tags=["sales"])

_LISTED: Final[JsonDict] = {"sale": SALE_EXAMPLE, "open": True}
_PAGE: Final[JsonDict] = {"items": [_LISTED], "next_cursor": "0c4a9b5d2e6f7a81"}
_RESULT: Final[JsonDict] = {"line": 1, "sale_id": "s-31", "status": "created", "reason": None}
_REJECTED: Final[JsonDict] = {
    "line": 2,
    "sale_id": None,
    "status": "rejected",
    "reason": "opens_at: Field required",
}
_BULK: Final[JsonDict] = {
    "created": 1,
    "updated": 0,
    "unchanged": 0,
    "rejected": 1,
    "results": [_RESULT, _REJECTED],
}


class SalesQuery(BaseModel, frozen=True, extra="forbid"):
    """Filters and the page of a list of sales."""

    cursor: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{16}$",
        description="`next_cursor` of the page before; unset for the first page.",
        examples=["0c4a9b5d2e6f7a81"],
    )
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT), DIGITS] = Field(
        default=100, description="How many at most."
    )
    market: Market | None = Field(default=None, description="Only sales of this market.")
    open: bool | None = Field(
        default=None, description="Only open sales, or only closed ones; unset: both."
    )


class ListedSale(BaseModel):
    """A sale of the catalogue."""

    model_config = example(_LISTED)

    sale: Sale
    open: bool = Field(description="Whether it can be bought now, in the market asked for.")


class SalesAnswer(BaseModel):
    """A page of the catalogue, in an order that never changes."""

    model_config = example(_PAGE)

    items: list[ListedSale]
    next_cursor: str | None = Field(description="Ask for the next page with it; null: the last.")


class LineResult(BaseModel):
    """The result of one line."""

    model_config = example(_RESULT)

    line: int = Field(ge=1, description="Its number, from 1, blank lines counted.")
    sale_id: str | None = Field(description="Null where the line could not be read.")
    status: Upsert
    reason: str | None = Field(description="Why it was rejected.")


class BulkAnswer(BaseModel):
    """The results of all lines, in their order."""

    model_config = example(_BULK)

    created: int = Field(ge=0)
    updated: int = Field(ge=0)
    unchanged: int = Field(ge=0)
    rejected: int = Field(ge=0)
    results: list[LineResult]


_LINES: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            NDJSON: {
                "schema": {
                    "type": "string",
                    "pattern": "\\S",
                    "description": f"A sale a line, as `Sale` has it; at most {MAX_LINES} lines.",
                    "examples": ['{"sale_id": "s-31", "opens_at": "2026-11-22T07:00:00Z"}\n'],
                }
            }
        },
    }
}


@router.get(
    "",
    dependencies=[EACH_ONCE],
    responses=problems(422, 503),
)
async def get_sales(query: Annotated[SalesQuery, Query()], resources: ResourcesDep) -> SalesAnswer:
    """Return the sales that answers are made from, a page at a time."""
    await resources.live.catch_up()
    served = resources.live.served
    if served is None:
        raise NotReadyError(("catalogue: none was read from the store yet",))
    after = None if query.cursor is None else int(query.cursor, 16)
    wanted = ListQuery(after, query.limit, market=query.market, is_open=query.open)
    now_us = resources.pipeline.clock.now_us()
    found = page(served.catalogue, wanted, now_us=now_us)
    return SalesAnswer(
        items=[
            ListedSale(sale=sale, open=is_open)
            for sale, is_open in zip(found.sales, found.are_open, strict=True)
        ],
        # As text: JSON numbers of 64 bits lose digits in JavaScript.
        next_cursor=None if found.last is None else f"{found.last:016x}",
    )


@router.post(
    "",
    openapi_extra=_LINES,
    responses=problems(422, 503),
)
async def post_sales(request: Request, resources: ResourcesDep) -> BulkAnswer:
    """Insert or replace many sales, a JSON object a line; every line has its result."""
    # A body of 4 MiB takes a thread: parsed here, it would hold up every other answer.
    lines = await asyncio.to_thread(_parsed, await content_of(request, NDJSON))
    upserted = iter(
        await resources.bulk_writer.put([line for line in lines.values() if isinstance(line, Sale)])
    )
    results: list[LineResult] = []
    for number, line in lines.items():
        outcome = next(upserted) if isinstance(line, Sale) else None
        results.append(
            LineResult(
                line=number,
                sale_id=outcome.sale_id if outcome else None,
                status=outcome.status if outcome else Upsert.REJECTED,
                reason=outcome.reason if outcome else str(line),
            )
        )
    counts = Counter(result.status for result in results)
    answer = BulkAnswer(
        created=counts[Upsert.CREATED],
        updated=counts[Upsert.UPDATED],
        unchanged=counts[Upsert.UNCHANGED],
        rejected=counts[Upsert.REJECTED],
        results=results,
    )
    changed(request, **answer.model_dump(exclude={"results"}))
    return answer


def _parsed(content: bytes) -> dict[int, Sale | str]:
    """Return the sale of each line that is not blank, or its faults."""
    numbered = [(i, line) for i, line in enumerate(content.split(b"\n"), start=1) if line.strip()]
    if not 1 <= len(numbered) <= MAX_LINES:
        fault = f"{len(numbered)} lines: send 1 to {MAX_LINES} sales at once, one a line"
        raise RequestValidationError([{"loc": ("body",), "msg": fault}])
    sales: dict[int, Sale | str] = {}
    for i, line in numbered:
        found = read(Sale, line, most=MAX_REASONS)
        if isinstance(found, list):
            faults = [(".".join(map(str, fault.where)), fault.what) for fault in found]
            found = "; ".join(f"{where}: {what}" if where else what for where, what in faults)
        sales[i] = found
    return sales
