"""Filter of a request: a condition on sales, within what the key of its caller may read."""

from collections.abc import Iterable
from typing import Annotated, Any, Final

from fastapi import Request
from pydantic import AfterValidator, Field

from app.errors import ForbiddenError
from app.security.key import Scope
from models.rules.expression import MAX_CHARS
from models.rules.field import FieldScope, RuleField
from models.rules.rule import SlateRule, request_filter

# By comparisons a caller could find out any value.
_OF_SHOP: Final = frozenset({"margin", "stock"})


def _is_condition(text: str) -> str:
    _ = request_filter(text)  # kept: reading takes 90 µs
    return text


UnreadFilter = Annotated[str, Field(min_length=1, max_length=MAX_CHARS)]

Filter = Annotated[UnreadFilter, AfterValidator(_is_condition)]


FILTER_FIELD: Final[Any] = Field(
    default=None,
    description="Only sales that meet a condition: comparisons (`==`, `!=`, `<`, `<=`, `>`, `>=`, "
    "`in [..]`) of fields with numbers, true, false or texts in quotes, joined by `and`, `or`, "
    "`not` and parentheses. Fields are `sale_id`, `title`, `destination`, `country`, `category`, "
    "`currency`, `price`, `original_price`, `discount` (0.2 is 20%), `margin`, `stock`, "
    "`hours_open`, `hours_left`, attributes of your sales by their names, and those of the visit "
    "and the customer in docs/rules.md. With a key, `margin` and `stock` need the scope `sales` "
    "too, and fields of the customer `customers`.",
    examples=['category == "ski" and price < 500'],
)


def require_rights(request: Request, *filters: str | None) -> None:
    """Refuse filters by what the caller's key may not read; see `require_readable`.

    Raises:
        ForbiddenError: Names the scope that is missing.
    """
    require_readable(request, [request_filter(text) for text in filters if text is not None])


def require_readable(request: Request, rules: Iterable[SlateRule]) -> None:
    """Refuse rules by what the caller's key may not read; without keys all may be read.

    Raises:
        ForbiddenError: Names the scope that is missing.
    """
    held: tuple[Scope, ...] | None = request.scope.get("key_scopes")
    if held is None:
        return
    for rule in rules:
        for field in rule.fields:
            needed = _needed(field)
            if needed is not None and needed not in held:
                raise ForbiddenError(needed)


def _needed(field: RuleField) -> Scope | None:
    if field.scope in {FieldScope.CUSTOMER, FieldScope.BOTH}:
        return Scope.CUSTOMERS
    if field.name in _OF_SHOP and not field.is_attribute:
        return Scope.SALES
    return None
