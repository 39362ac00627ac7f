"""The columnar snapshot of all known sales, and which of them may be shown now."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.counters import SaleCounts
from models.events import key, to_us
from models.neighbours import EMBEDDING_SIZE, Neighbours
from models.sale import PictureScores, Sale
from models.topics import Topics

NEVER_US: Final = np.iinfo(np.int64).max
MAX_MARKETS: Final = 64


TEXT_COLUMNS: Final = ("category", "country", "destination")
"""Attributes that sales are compared by, in the order of `Vocabulary.codes`."""


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """The distinct values of the text columns, and their codes per row.

    Attributes:
        values: Column and value of each code, which counts from 1, in ascending order.
        codes: Codes per row and column, 0 where a value is missing, shape ``(n, 3)``.
    """

    values: tuple[tuple[str, str], ...]
    codes: NDArray[np.intp]

    @classmethod
    def of(cls, sales: Sequence[Sale]) -> Self:
        """Encode the text columns of sales."""
        texts = [(sale.category, sale.country, sale.destination) for sale in sales]
        named = [list(zip(TEXT_COLUMNS, row, strict=True)) for row in texts]
        values = sorted(
            {(name, value) for row in named for name, value in row if value is not None}
        )
        code: dict[tuple[str, str | None], int] = {v: i for i, v in enumerate(values, start=1)}
        codes = [[code.get(cell, 0) for cell in row] for row in named]
        return cls(tuple(values), np.array(codes, np.intp).reshape(-1, len(TEXT_COLUMNS)))


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """All sales ever known, as contiguous columns in the order of their keys.

    A row is an index into every column. Closed sales stay: what a customer liked in them
    tells what he likes, and how they sold tells how look-alikes will.

    Attributes:
        sales: The sales as given, row by row.
        keys: Sale keys, ascending, shape ``(n,)``.
        opens_us: Opening, microseconds since the epoch, shape ``(n,)``.
        closes_us: The earlier of closing and selling out, `NEVER_US` if neither is known.
        scheduled_us: The closing that was announced, `NEVER_US` if none was. Features look at
            this one: that a sale will sell out is not known before it does.
        markets: Known markets, sorted; a row's bit ``i`` says that market ``i`` may see it.
        market_bits: All ones for sales without markets, shape ``(n,)``.
        vocabulary: Category, country and destination per row.
        log_price: ``log(1 + price)``, shape ``(n,)``.
        discount: Share by which the price is below the original one, NaN if either is
            unknown, shape ``(n,)``.
        margin: Margin, NaN if unknown, shape ``(n,)``.
        topics: Topic shares, zero rows for sales without a picture, shape ``(n, n_topics)``.
        topic_length: Euclidean length of each row of ``topics``, NaN instead of 0.
        embeddings: Unit picture vectors, zero rows without a picture, shape ``(n, 128)``.
        pictured: Whether the row has a picture vector, shape ``(n,)``.
        neighbours: Most similar other pictures of each row.
        counts: Events per sale at a grid time.
    """

    sales: tuple[Sale, ...]
    keys: NDArray[np.uint64]
    opens_us: NDArray[np.int64]
    closes_us: NDArray[np.int64]
    scheduled_us: NDArray[np.int64]
    markets: tuple[str, ...]
    market_bits: NDArray[np.uint64]
    vocabulary: Vocabulary
    log_price: NDArray[np.float64]
    discount: NDArray[np.float64]
    margin: NDArray[np.float64]
    topics: NDArray[np.float64]
    topic_length: NDArray[np.float64]
    embeddings: NDArray[np.float32]
    pictured: NDArray[np.bool_]
    neighbours: Neighbours
    counts: SaleCounts

    def __len__(self) -> int:
        """Return the number of sales."""
        return len(self.sales)

    def with_counts(self, counts: SaleCounts) -> Self:
        """Return the same sales with other counts.

        Raises:
            ValueError: If the counts are of another number of sales.
        """
        if len(counts.totals) != len(self):
            msg = f"counts of {len(counts.totals)} sales for a catalogue of {len(self)}"
            raise ValueError(msg)
        return replace(self, counts=counts)

    def rows_of(self, sale_keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Find the rows of sale keys, -1 for unknown ones; shape as given."""
        if not len(self.keys):
            return np.full(len(sale_keys), -1, dtype=np.int64)
        found = np.minimum(np.searchsorted(self.keys, sale_keys), len(self.keys) - 1)
        return np.where(self.keys[found] == sale_keys, found, -1)

    def row_of(self, sale_id: str) -> int | None:
        """Find the row of a sale id, or None."""
        row = int(self.rows_of(np.array([key(sale_id)], dtype=np.uint64))[0])
        return row if row >= 0 and self.sales[row].sale_id == sale_id else None

    def eligible(self, market: str | None, now_us: int) -> NDArray[np.int64]:
        """Return the rows that may be shown: open, not sold out, in this market.

        Args:
            market: The customer's market. None asks for any; a market that no sale names
                sees the sales that name none.
            now_us: The moment, microseconds since the epoch; a sale is open from its
                opening up to but not at its closing.

        Returns:
            Rows in ascending order, shape ``(n_eligible,)``.
        """
        shown = (self.opens_us <= now_us) & (now_us < self.closes_us)
        if market is not None:
            shown &= (self.market_bits & self._market_bit(market)) != 0
        return np.flatnonzero(shown)

    def _market_bit(self, market: str) -> np.uint64:
        if market in self.markets:
            return np.uint64(1 << self.markets.index(market))
        # Only sales without markets have the bits of markets that nobody named.
        unnamed = MAX_MARKETS - 1
        return np.uint64(1 << unnamed)


def build_catalogue(
    sales: Iterable[Sale],
    pictures: Mapping[str, PictureScores],
    *,
    topics: Topics,
) -> Catalogue:
    """Build the snapshot of sales; counts start at none.

    Args:
        sales: Sales with distinct ids, in any order.
        pictures: What the pictures of some of them show, by sale id.
        topics: Turns label probabilities into topic shares.

    Raises:
        ValueError: If two sales share an id or a key, or there are too many markets.
    """
    ordered = tuple(sorted(sales, key=lambda sale: key(sale.sale_id)))
    keys = np.array([key(sale.sale_id) for sale in ordered], dtype=np.uint64)
    _require_distinct(ordered, keys)
    markets, market_bits = _markets(ordered)
    shares, embeddings = _picture_columns(ordered, pictures, topics)
    length = np.sqrt(np.square(shares).sum(axis=1))
    price = _numbers([sale.price for sale in ordered])
    original_price = _numbers([sale.original_price or None for sale in ordered])
    return Catalogue(
        sales=ordered,
        keys=keys,
        opens_us=np.array([to_us(sale.opens_at) for sale in ordered], dtype=np.int64),
        closes_us=np.array([closing_us(sale) for sale in ordered], dtype=np.int64),
        scheduled_us=np.array([_scheduled_us(sale) for sale in ordered], dtype=np.int64),
        markets=markets,
        market_bits=market_bits,
        vocabulary=Vocabulary.of(ordered),
        log_price=np.log1p(price),
        discount=1.0 - price / original_price,
        margin=_numbers([sale.margin for sale in ordered]),
        topics=shares,
        topic_length=np.where(length > 0, length, np.nan),
        embeddings=embeddings,
        pictured=np.any(embeddings != 0, axis=1),
        neighbours=Neighbours.among(embeddings),
        counts=SaleCounts.none(len(ordered)),
    )


def closing_us(sale: Sale) -> int:
    """Return when a sale stops being shown: closing or selling out, whichever is first.

    A stock of 0 without a time closes it from its opening on: nobody knows since when.
    """
    if sale.stock == 0 and sale.sold_out_at is None:
        return to_us(sale.opens_at)
    ends = [end for end in (sale.closes_at, sale.sold_out_at) if end is not None]
    return min(map(to_us, ends), default=NEVER_US)


def _scheduled_us(sale: Sale) -> int:
    return NEVER_US if sale.closes_at is None else to_us(sale.closes_at)


def _require_distinct(sales: Sequence[Sale], keys: NDArray[np.uint64]) -> None:
    repeated: list[int] = np.flatnonzero(keys[1:] == keys[:-1]).tolist()
    if repeated:
        first, second = sales[repeated[0]], sales[repeated[0] + 1]
        msg = f"sales {first.sale_id!r} and {second.sale_id!r} share an id or a key"
        raise ValueError(msg)


def _markets(sales: Sequence[Sale]) -> tuple[tuple[str, ...], NDArray[np.uint64]]:
    markets = tuple(sorted({market for sale in sales for market in sale.markets or ()}))
    if len(markets) >= MAX_MARKETS:
        msg = f"at most {MAX_MARKETS - 1} markets are supported, got {len(markets)}"
        raise ValueError(msg)
    bit = {market: 1 << index for index, market in enumerate(markets)}
    everywhere = (1 << MAX_MARKETS) - 1
    bits = [
        everywhere if sale.markets is None else sum(bit[market] for market in set(sale.markets))
        for sale in sales
    ]
    return markets, np.array(bits, dtype=np.uint64)


def _picture_columns(
    sales: Sequence[Sale], pictures: Mapping[str, PictureScores], topics: Topics
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    shares = np.zeros((len(sales), topics.n_topics))
    embeddings = np.zeros((len(sales), EMBEDDING_SIZE), dtype=np.float32)
    rows = [row for row, sale in enumerate(sales) if sale.sale_id in pictures]
    if rows:
        seen = [pictures[sales[row].sale_id] for row in rows]
        embeddings[rows] = np.stack([scores.embedding for scores in seen])
        shares[rows] = topics.shares(np.stack([scores.probabilities for scores in seen]))
    return shares, embeddings


def _numbers(column: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in column], dtype=np.float64)
