"""Fields of rule expressions: what a condition may be about, as columns of the candidates."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.catalogue.catalogue import NEVER_US, Catalogue
from models.domain.event import CLICK, DISLIKE, FAVOURITE, PURCHASE, from_us
from models.domain.purchase_history import PurchaseHistory
from models.domain.sale import AttributeValue, Sale
from models.domain.units import DAY_S, DAY_US, HOUR_S, HOUR_US, SECOND_US
from models.query.query import Query


class FieldScope(StrEnum):
    """What a field describes."""

    SALE = "sale"
    CUSTOMER = "customer"
    MOMENT = "moment"
    BOTH = "customer and sale"


@dataclass(frozen=True, slots=True)
class RuleField:
    """Field of an expression.

    Attributes:
        name: As expressions have it.
        scope: What it describes; of `FieldScope.CUSTOMER`, an attribute of the customer.
        is_attribute: Whether it is an attribute of the shop's own.
    """

    name: str
    scope: FieldScope
    is_attribute: bool = False

    @property
    def is_of_sales(self) -> bool:
        """Whether it is one value a sale, for any customer at any time."""
        return self.scope is FieldScope.SALE and (self.is_attribute or self.name in _SALE)

    @property
    def is_of_visit(self) -> bool:
        """Whether it is one value for all sales of an answer."""
        return self.scope is FieldScope.MOMENT or self.scope is FieldScope.CUSTOMER

    def __str__(self) -> str:
        """Return the field as expressions may write it."""
        if not self.is_attribute:
            return self.name
        return f"{'customer' if self.scope is FieldScope.CUSTOMER else 'attribute'}[{self.name!r}]"


@dataclass(frozen=True, slots=True, eq=False)
class FieldColumn:
    """Values of a field: numbers and texts apart, so that each is compared with its like.

    Attributes:
        numbers: Numbers, and flags as 1 and 0; NaN where there is none, shape ``(n,)``.
        codes: Code of each text, 0 where there is none, shape ``(n,)``.
        code: Code by text, from 1.
    """

    numbers: NDArray[np.float64]
    codes: NDArray[np.int64]
    code: Mapping[str, int]

    @classmethod
    def from_values(cls, values: list[AttributeValue]) -> Self:
        """Take values of any type apart."""
        texts = [value for value in values if isinstance(value, str)]
        code = {text: index for index, text in enumerate(dict.fromkeys(texts), start=1)}
        numbers = [np.nan if value is None or isinstance(value, str) else value for value in values]
        codes = [code[value] if isinstance(value, str) else 0 for value in values]
        return cls(np.array(numbers, dtype=np.float64), np.array(codes, dtype=np.int64), code)

    @classmethod
    def from_numbers(cls, numbers: NDArray[np.float64]) -> Self:
        """Take numbers, shape ``(n,)``."""
        return cls(numbers, np.zeros(len(numbers), dtype=np.int64), {})

    @property
    def groups(self) -> NDArray[np.int64]:
        """Number of each value among all texts and numbers, -1 where there is none."""
        known = ~np.isnan(self.numbers)
        found = self.codes - 1
        found[known] = len(self.code) + np.unique(self.numbers[known], return_inverse=True)[1]
        return found

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Return the column of some rows."""
        return type(self)(self.numbers[rows], self.codes[rows], self.code)


_SALE: Final[Mapping[str, Callable[[Sale], AttributeValue]]] = {
    "sale_id": lambda sale: sale.sale_id,
    "title": lambda sale: sale.title,
    "destination": lambda sale: sale.destination,
    "country": lambda sale: sale.country,
    "category": lambda sale: sale.category,
    "price": lambda sale: sale.price,
    "original_price": lambda sale: sale.original_price,
    "discount": lambda sale: sale.discount,
    "currency": lambda sale: sale.currency,
    "margin": lambda sale: sale.margin,
    "stock": lambda sale: sale.stock,
}

_AGES: Final[Mapping[str, tuple[int, float]]] = {
    "days_since_purchase": (PURCHASE, DAY_S),
    "days_since_favourite": (FAVOURITE, DAY_S),
    "hours_since_click": (CLICK, HOUR_S),
}
"""Type code of the event, and the unit in seconds."""

_OF_DISLIKE: Final = "days_since_dislike"
_OF_IMPRESSION: Final = "hours_since_shown"
_OPENED: Final = "hours_open"
_LEFT: Final = "hours_left"

FIELDS: Final[Mapping[str, RuleField]] = {
    one.name: one
    for one in (
        *(RuleField(name, FieldScope.SALE) for name in (*_SALE, _OPENED, _LEFT)),
        *(RuleField(name, FieldScope.BOTH) for name in (*_AGES, _OF_DISLIKE, _OF_IMPRESSION)),
        *(RuleField(name, FieldScope.MOMENT) for name in ("market", "device", "hour", "weekday")),
        RuleField("is_new", FieldScope.CUSTOMER),
    )
}
"""Fields with a name of their own; every other name is an attribute of sales."""

TEXTS: Final = frozenset(
    {"sale_id", "title", "destination", "country", "category", "currency", "market", "device"}
)
"""Fields that are texts; attributes may be texts, numbers or flags, the others are numbers."""


@dataclass(frozen=True, eq=False)
class Subject:
    """What the rules of one answer are about: the candidates, the customer and the moment.

    Attributes:
        query: The scored query; its candidates are the rows of all columns.
    """

    query: Query

    def column(self, field: RuleField) -> FieldColumn:
        """Return the values of a field of sales, one a candidate, shape ``(n,)``.

        What a customer did not do is infinitely long ago.
        """
        if field.scope is FieldScope.BOTH:
            return FieldColumn.from_numbers(self._since(field.name))
        catalogue, rows = self.query.catalogue, self.query.rows
        if field.name == _OPENED and not field.is_attribute:
            opened_us = self.query.context.now_us - catalogue.opens_us[rows]
            return FieldColumn.from_numbers(opened_us / HOUR_US)
        if field.name == _LEFT and not field.is_attribute:
            closes_us = catalogue.scheduled_us[rows]
            left = (closes_us - self.query.context.now_us) / HOUR_US
            return FieldColumn.from_numbers(np.where(closes_us == NEVER_US, np.inf, left))
        return column_of(catalogue, field).take(rows)

    def value(self, field: RuleField) -> AttributeValue:
        """Return the value of a field of the moment or the customer; None if it is unknown."""
        context = self.query.context
        if field.is_attribute:
            return self.query.profile.attributes.get(field.name)
        if field.name == "is_new":
            return self.query.n_known_events == 0
        if field.name == "market":
            return context.market
        if field.name == "device":
            return context.device
        return self._now.hour if field.name == "hour" else self._now.isoweekday()

    @cached_property
    def _now(self) -> datetime:
        return from_us(self.query.context.now_us).astimezone(UTC)

    def _since(self, name: str) -> NDArray[np.float64]:
        query, window = self.query, self.query.window
        now_us = query.context.now_us
        if name == _OF_IMPRESSION:
            age_s = now_us / SECOND_US - window.shown.at_s
            return self._newest(self._rows_for(window.shown.sale_keys), age_s) / HOUR_S
        if name == _OF_DISLIKE:
            disliked = window.kinds == DISLIKE
            age_s = (now_us - window.at_us[disliked]) / SECOND_US
            return self._newest(self._rows_for(window.sale_keys[disliked]), age_s) / DAY_S
        kind, unit_s = _AGES[name]
        history = query.history
        of_kind = history.kinds == kind
        rows, age_s = history.rows[of_kind], history.age_s[of_kind]
        if kind == PURCHASE and query.profile.bought:
            # A profile knows the day alone: its purchases are as old as the end of that day.
            bought = PurchaseHistory.unpack(query.profile.bought)
            ended_us = (bought.last_days.astype(np.int64) + 1) * DAY_US
            rows = np.concatenate([rows, self._rows_for(bought.sale_keys)])
            age_s = np.concatenate([age_s, (now_us - ended_us) / SECOND_US])
        return self._newest(rows, age_s) / unit_s

    def _rows_for(self, sale_keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        return self.query.catalogue.rows_for(sale_keys)

    def _newest(self, rows: NDArray[np.int64], age_s: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the smallest age by candidate, infinite where there is none, shape ``(n,)``."""
        by_row = np.full(len(self.query.catalogue), np.inf)
        known = rows >= 0
        np.minimum.at(by_row, rows[known], np.maximum(age_s[known], 0.0))
        return by_row[self.query.rows]


def column_of(catalogue: Catalogue, field: RuleField) -> FieldColumn:
    """Return the values of a field that describes sales, one a row of the catalogue."""
    if field.is_attribute and field.name not in attribute_names(catalogue):
        # Any name may be asked for: what no sale has is not kept.
        return FieldColumn.from_numbers(np.full(len(catalogue), np.nan))

    def make() -> FieldColumn:
        read = None if field.is_attribute else _SALE[field.name]
        values = [
            sale.attributes.get(field.name) if read is None else read(sale)
            for sale in catalogue.sales
        ]
        return FieldColumn.from_values(values)

    return catalogue.cache.get_or_make(("rule column", field), make)


def attribute_names(catalogue: Catalogue) -> frozenset[str]:
    """Return the names of all attributes that any sale of a catalogue has."""

    def make() -> frozenset[str]:
        return frozenset(name for sale in catalogue.sales for name in sale.attributes)

    return catalogue.cache.get_or_make("attribute names", make)
