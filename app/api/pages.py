"""`POST /v1/pages`: the rows of a page in one answer, none of which repeats a sale."""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, model_validator
from pydantic.config import JsonDict

from app.api.dependencies import ResourcesDep
from app.api.direct_route import DirectRoute
from app.api.middleware.admission import turn_of
from app.api.schema.body import body_of, described, example
from app.api.schema.cursor import CURSOR_FIELD, NEXT_FIELD, Cursor, read_cursor
from app.api.schema.problem import problems
from app.api.schema.recommendation import (
    FIELDS_EXAMPLE,
    SALE_EXAMPLE,
    SLATE_EXAMPLE,
    AnswerHead,
    RecommendedSale,
    SaleFields,
    labelled,
    next_page,
    reasons_of,
    slate_fields,
)
from app.api.schema.request_filter import FILTER_FIELD, Filter, require_readable, require_rights
from app.api.schema.sale_fields import VIEW_EXAMPLE, SaleView, sale_view
from app.api.schema.visit import ListFields
from models.domain.event import WHOLE, Name
from models.query.candidates import CallerChoice
from models.rules.rule import MAX_RULES, NO_RULES, AtLeast, Pin, Share, SlateRule, SlateRules
from models.slate.page import PageRow, RowKind

MAX_ROWS: Final = 20
MAX_ROW: Final = 50
MAX_ITEMS: Final = 300
_MOST_HOURS: Final = 8_760  # a year

router = APIRouter(prefix="/v1", tags=["recommendations"], route_class=DirectRoute)

_ROWS: Final[list[JsonDict]] = [
    {"name": "for-you", "kind": "for_you", "limit": 8},
    {"name": "because", "kind": "because_you_looked", "min_items": 3},
    {"name": "last-hours", "kind": "closing_soon", "hours": 12},
    {
        "name": "ski-week",
        "kind": "for_you",
        "filter": 'category == "ski"',
        "diversity": 0.2,
        "rules": [
            {
                "name": "partner-first",
                "where": 'country == "FR"',
                "action": {"kind": "pin", "rank": 1},
            }
        ],
    },
]
_BODY: Final[JsonDict] = {
    "customer_id": "c-1842",
    "market": "fr",
    "rows": [*_ROWS],
    "fields": FIELDS_EXAMPLE,
}
_BECAUSE: Final[JsonDict] = {"sale_id": "s-12", "sale": VIEW_EXAMPLE}
_ROW: Final[JsonDict] = {
    "name": "because",
    "kind": "because_you_looked",
    "because_of": _BECAUSE,
    "items": [SALE_EXAMPLE],
}
_ANSWER: Final[JsonDict] = {
    **{name: value for name, value in SLATE_EXAMPLE.items() if name != "items"},
    "next": None,
    "rows": [_ROW],
}


class RowBody(BaseModel):
    """A row that is wanted."""

    model_config = example(_ROWS[1], extra="forbid")

    name: Name = Field(description="Of your choice, once on the page; the answer and logs have it.")
    kind: RowKind = Field(
        default=RowKind.FOR_YOU,
        description="`for_you`: all sales; `opening_now`: opened within `hours`; `closing_soon`: "
        "close within `hours`; `because_you_looked` and `like_what_you_bought`: those like the "
        "sale that the customer last looked at, or bought.",
    )
    limit: Annotated[int, Field(ge=1, le=MAX_ROW), WHOLE] = Field(
        default=10, description="Number of sales wanted."
    )
    hours: float = Field(
        default=24.0, gt=0, le=_MOST_HOURS, description="Of `opening_now` and `closing_soon`."
    )
    filter: Filter | None = FILTER_FIELD
    order_by: Name | None = Field(
        default=None,
        description="A recommender of the bundle, as `popularity`, that orders the row; unset, or "
        "where the bundle has none of this name: as lists of this visit.",
        examples=["popularity"],
    )
    min_items: Annotated[int, Field(ge=1, le=MAX_ROW), WHOLE] = Field(
        default=1,
        description="A row of fewer sales is empty, and these may stand in later rows.",
    )
    diversity: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="Weight of a sale being unlike those above it in the row; unset: as lists of "
        "this visit.",
    )
    rules: SlateRules = Field(
        default=NO_RULES,
        description="Rules of this row alone, see `/v1/rules`, without `budget`, `dry_run` and "
        "`share`. Those of the plan hold before them. With a key, their conditions need the scopes "
        "of a `filter`. Answers name them `row/rule`.",
    )

    @model_validator(mode="after")
    def _can_be_filled(self) -> "RowBody":
        if self.min_items > self.limit:
            msg = f"a row of at most {self.limit} sales never has {self.min_items}: see `min_items`"
            raise ValueError(msg)
        for rule in self.rules.root:
            self._require_places(rule)
            if rule.budget is not None or rule.dry_run or isinstance(rule.action, Share):
                msg = (
                    f"rule {rule.name} of row {self.name} has a budget, share or dry run, which "
                    "are of all answers: put it into the plan"
                )
                raise ValueError(msg)
        return self

    def _require_places(self, rule: SlateRule) -> None:
        match rule.action:
            case Pin(rank=n) | AtLeast(n=n) if n > self.limit:
                msg = (
                    f"rule {rule.name} of row {self.name} asks for {n} places, and the row has "
                    f"{self.limit}: see `limit`"
                )
                raise ValueError(msg)
            case _:
                return

    def to_row(self) -> PageRow:
        """Return the row of the page."""
        return PageRow(
            name=self.name,
            kind=self.kind,
            limit=self.limit,
            hours=self.hours,
            filter=self.filter,
            order_by=self.order_by,
            min_items=self.min_items,
            diversity=self.diversity,
            rules=self.rules.live_json,
        )


class PageBody(ListFields):
    """The visit, and the rows of the page from the top."""

    model_config = example(_BODY, extra="forbid")

    rows: tuple[RowBody, ...] = Field(min_length=1, max_length=MAX_ROWS)
    fields: SaleFields = ()
    explain: bool = Field(default=False, description="Explain the first sales; takes longer.")
    cursor: Cursor | None = CURSOR_FIELD

    @model_validator(mode="after")
    def _rows_are_few_and_named_once(self) -> "PageBody":
        name, n_times = Counter(row.name for row in self.rows).most_common(1)[0]
        if n_times > 1:
            msg = f"{n_times} rows are named {name!r}: give each a name of its own"
            raise ValueError(msg)
        n_items = sum(row.limit for row in self.rows)
        if n_items > MAX_ITEMS:
            msg = f"the rows want {n_items} sales together: at most {MAX_ITEMS} are given"
            raise ValueError(msg)
        n_rules = sum(len(row.rules) for row in self.rows)
        if n_rules > MAX_RULES:
            msg = f"the rows have {n_rules} rules together: at most {MAX_RULES} hold"
            raise ValueError(msg)
        return self


class RowReason(BaseModel):
    """The sale that the sales of a row are like; it may be closed."""

    model_config = example(_BECAUSE)

    sale_id: str
    sale: SaleView | None = Field(description="With `fields`: these of it; null without.")


class RowAnswer(BaseModel):
    """A row with its sales."""

    model_config = example(_ROW)

    name: str
    kind: RowKind
    because_of: RowReason | None = Field(
        description="Of `because_you_looked` and `like_what_you_bought`; null for other kinds, and "
        "for a customer who did not."
    )
    items: list[RecommendedSale] = Field(
        description="`rank` goes on from row to row: send it as `position` of events."
    )


class PageAnswer(AnswerHead):
    """A page: its rows in the order asked for."""

    model_config = example(_ANSWER)

    next: str | None = NEXT_FIELD
    rows: list[RowAnswer] = Field(description="One for each row asked for, empty ones too.")


@router.post(
    "/pages",
    response_model=PageAnswer,
    openapi_extra=described(PageBody),
    responses=problems(404, 409, 422, 503),
)
async def make_page(
    body: Annotated[PageBody, body_of(PageBody)], request: Request, resources: ResourcesDep
) -> Response:
    """Return the rows of a page from one ranking; no sale is shown twice."""
    require_rights(request, body.filter, *(row.filter for row in body.rows))
    require_readable(request, [rule for row in body.rows for rule in row.rules.root])
    seen = () if body.cursor is None else read_cursor(body.cursor)
    asked = body.to_request(
        limit=sum(row.limit for row in body.rows),
        choice=CallerChoice(exclude=body.exclude, seen=seen),
        filter_text=body.filter,
        rows=tuple([row.to_row() for row in body.rows]),
    )
    page = await resources.pipeline.recommend(asked, ends_s=turn_of(request).ends_s)
    explanations = await reasons_of(request, page, resources=resources, is_explained=body.explain)
    labelled(request, page, resources=resources)
    answer = slate_fields(page, explanations=explanations, fields=body.fields)
    items: Iterator[dict[str, Any]] = iter(answer.pop("items"))
    served = page.asked.served
    answer["next"] = None if body.cursor is None else next_page(page)
    answer["rows"] = [
        {
            "name": one.row.name,
            "kind": one.row.kind,
            "because_of": one.because_of
            and {
                "sale_id": one.because_of,
                "sale": sale_view(served.catalogue, one.because_of, fields=body.fields)
                if served is not None and body.fields
                else None,
            },
            "items": list(islice(items, one.n_items)),
        }
        for one in page.record.rows
    ]
    content = orjson.dumps(answer, option=orjson.OPT_UTC_Z)
    return Response(content, media_type="application/json")
