"""Columns of the dataset contract: name, kind of value, bounds."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from models.domain.event import MAX_AMOUNT, MIN_AMOUNT
from models.domain.sale import COVER, MAX_PICTURES, MAX_STOCK


class Kind(StrEnum):
    """Kind of the values of a column."""

    IDENTIFIER = "identifier"
    TEXT = "text"
    NUMBER = "number"
    WHOLE = "whole number"
    TIME = "time"
    MARKET = "market"
    MARKETS = "markets"
    PICTURES = "pictures"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a file of the contract.

    Attributes:
        name: Its name in the file.
        kind: Kind of its values.
        required: Whether the column must exist, with a value in every row.
        low: Smallest allowed number.
        high: Largest allowed number.
        above: Number that every value must exceed.
        smallest: Least magnitude of a number that is not 0.
        min_chars: Shortest allowed text.
        max_chars: Longest allowed text.
        not_blank: Whether a text must have more than white space.
    """

    name: str
    kind: Kind
    required: bool = False
    low: float | None = None
    high: float | None = None
    above: float | None = None
    smallest: float = 0.0
    min_chars: int = 0
    max_chars: int = 128
    not_blank: bool = False

    @property
    def is_amount(self) -> bool:
        """Whether its numbers are amounts of a currency."""
        return self.smallest == MIN_AMOUNT


def _identifier(name: str, *, required: bool = False) -> Column:
    return Column(name=name, kind=Kind.IDENTIFIER, required=required)


def _amount(name: str, *, low: float = 0) -> Column:
    return Column(name=name, kind=Kind.NUMBER, low=low, high=MAX_AMOUNT, smallest=MIN_AMOUNT)


# Lengths and bounds are those of `Sale` and `Event`: files and requests accept the same values.

SALES: Final = (
    _identifier("sale_id", required=True),
    Column(name="opens_at", kind=Kind.TIME, required=True),
    Column(name="closes_at", kind=Kind.TIME),
    Column(name="sold_out_at", kind=Kind.TIME),
    Column(name="title", kind=Kind.TEXT, max_chars=1_000, not_blank=True),
    Column(name="description", kind=Kind.TEXT, max_chars=20_000),
    _identifier("destination"),
    _identifier("country"),
    _identifier("category"),
    _amount("price"),
    _amount("original_price"),
    Column(name="currency", kind=Kind.TEXT, min_chars=3, max_chars=3),
    _amount("margin", low=-MAX_AMOUNT),
    Column(name="markets", kind=Kind.MARKETS),
    Column(name="stock", kind=Kind.WHOLE, low=0, high=MAX_STOCK),
    Column(name="image", kind=Kind.PICTURES, max_chars=1_000),
)
"""Columns of ``sales``; every further column is an attribute."""

EVENTS: Final = (
    _identifier("event_id", required=True),
    _identifier("customer_id", required=True),
    _identifier("sale_id"),
    _identifier("type", required=True),
    Column(name="at", kind=Kind.TIME, required=True),
    Column(name="received_at", kind=Kind.TIME),
    _identifier("session_id"),
    _identifier("exposure_id"),
    Column(name="position", kind=Kind.WHOLE, low=1, high=10_000),
    Column(name="cover", kind=Kind.WHOLE, low=COVER, high=MAX_PICTURES),
    _amount("price"),
    Column(name="quantity", kind=Kind.WHOLE, low=1, high=1_000_000),
    _amount("revenue"),
    Column(name="market", kind=Kind.MARKET),
    _identifier("device"),
    Column(name="propensity", kind=Kind.NUMBER, above=0, high=1),
    _identifier("variant"),
)
"""Columns of ``events``; every further column is noted and not read."""

CUSTOMERS: Final = (_identifier("customer_id", required=True),)
"""Columns of ``customers``; every further column is an attribute."""

RATES: Final = (
    Column(name="currency", kind=Kind.TEXT, required=True, min_chars=3, max_chars=3),
    Column(name="rate", kind=Kind.NUMBER, required=True, above=0, high=MAX_AMOUNT),
    Column(name="at", kind=Kind.TIME, required=True),
)
"""Columns of ``rates``; further columns are noted and not read."""

ERASURES: Final = (
    _identifier("customer_id", required=True),
    Column(name="erased_at", kind=Kind.TIME, required=True),
)
"""Columns of ``erasures``; further columns are noted and not read."""

MERGES: Final = (
    _identifier("guest_id", required=True),
    _identifier("customer_id", required=True),
    Column(name="merged_at", kind=Kind.TIME, required=True),
)
"""Columns of ``merges``; further columns are noted and not read."""

# Chosen; the same bounds as of `models.domain.sale.Sale`, so that every row becomes a sale.
MAX_ATTRIBUTES: Final = 100
# Chosen: the profile of each customer holds them in the store, and each answer reads them.
MAX_CUSTOMER_ATTRIBUTES: Final = 20
