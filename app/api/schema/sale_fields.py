"""Fields of sales that an answer returns, so that a website needs no second call."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, Field
from pydantic.config import JsonDict

from app.api.schema.body import example
from models.catalogue.catalogue import Catalogue
from models.domain.sale import AttributeValue, Sale

VIEW_EXAMPLE: Final[JsonDict] = {
    "title": "Four nights above Tignes",
    "price": 399.0,
    "closes_at": "2026-11-29T07:00:00Z",
    "image": "s-31.jpg",
}


class SaleField(StrEnum):
    """Field of a sale that callers of recommendations may read: neither margin nor stock."""

    TITLE = "title"
    DESTINATION = "destination"
    COUNTRY = "country"
    CATEGORY = "category"
    PRICE = "price"
    ORIGINAL_PRICE = "original_price"
    CURRENCY = "currency"
    OPENS_AT = "opens_at"
    CLOSES_AT = "closes_at"
    IMAGE = "image"
    PICTURES = "pictures"
    ATTRIBUTES = "attributes"


class SaleView(BaseModel):
    """The fields of a sale that were asked for; null where the sale has no value."""

    model_config = example(VIEW_EXAMPLE)

    title: str | None = None
    destination: str | None = None
    country: str | None = None
    category: str | None = None
    price: float | None = None
    original_price: float | None = None
    currency: str | None = None
    opens_at: datetime | None = None
    closes_at: datetime | None = Field(default=None, description="Null for a sale without an end.")
    image: str | None = Field(default=None, description="Path below images/.")
    pictures: list[int] | None = Field(
        default=None, description="Numbers of its pictures, of which `cover` is one."
    )
    attributes: dict[str, AttributeValue] | None = None


_READ: Final[Mapping[SaleField, Callable[[Sale], object]]] = {
    SaleField.TITLE: lambda sale: sale.title,
    SaleField.DESTINATION: lambda sale: sale.destination,
    SaleField.COUNTRY: lambda sale: sale.country,
    SaleField.CATEGORY: lambda sale: sale.category,
    SaleField.PRICE: lambda sale: sale.price,
    SaleField.ORIGINAL_PRICE: lambda sale: sale.original_price,
    SaleField.CURRENCY: lambda sale: sale.currency,
    SaleField.OPENS_AT: lambda sale: sale.opens_at,
    SaleField.CLOSES_AT: lambda sale: sale.closes_at,
    SaleField.IMAGE: lambda sale: sale.image,
    SaleField.ATTRIBUTES: lambda sale: sale.attributes,
}


def sale_view(
    catalogue: Catalogue, sale_id: str, *, fields: Sequence[SaleField]
) -> dict[str, object] | None:
    """Return the given fields of a sale, as `SaleView`; None for a sale that is not known."""
    row = catalogue.row_for(sale_id)
    if row is None:
        return None
    sale = catalogue.sales[row]
    scores = catalogue.pictures[row]
    numbers = [] if scores is None else [*scores.each]
    return {
        field.value: numbers if field is SaleField.PICTURES else _READ[field](sale)
        for field in fields
    }
