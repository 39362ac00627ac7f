"""Catalogue: all known sales as columns, and which of them are eligible at a given time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.catalogue.catalogue_cache import CatalogueCache
from models.catalogue.columns import Markets, RowReuse, Vocabulary, numbers, times
from models.catalogue.event_counts import SaleCounts
from models.domain.event import key, to_us
from models.domain.sale import PictureScores, Sale
from models.neighbours.search import EMBEDDING_SIZE, Neighbours
from models.pictures.image_statistics import STATISTICS
from models.pictures.topics import Topics

NEVER_US: Final = np.iinfo(np.int64).max
# Later closings count as none: shops write 2999-12-31 or 9999-12-31 for no end.
_OPEN_END: Final = datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """Catalogue: all known sales as contiguous columns, in the order of their keys.

    A row is an index into every column. Closed sales stay: they are part of customer histories,
    and their conversion rates inform those of similar sales.

    Attributes:
        sales: The sales as given, row by row.
        pictures: Picture scores as given, None without a picture.
        keys: Sale keys, ascending, shape ``(n,)``.
        opens_us: Opening, microseconds since the epoch, shape ``(n,)``.
        closes_us: The earlier of closing and selling out, `NEVER_US` if neither is known.
        scheduled_us: The announced closing, `NEVER_US` without one. Features use this column:
            selling out is not known in advance, and using it would leak the future.
        markets: Markets in which each row may be shown.
        vocabulary: Category, country and destination per row.
        log_price: ``log(1 + price)``, shape ``(n,)``.
        discount: Share by which the price is below the original one, NaN if either is
            unknown, shape ``(n,)``.
        margin: Margin, NaN if unknown, shape ``(n,)``.
        topics: Topic shares, zero rows for sales without a picture, shape ``(n, n_topics)``.
        topic_length: Euclidean length of each row of ``topics``, NaN instead of 0.
        embeddings: Unit picture vectors, zero rows without a picture, shape ``(n, 128)``.
        image_statistics: See `models.pictures.image_statistics`, zero rows without a picture, shape
            ``(n, 4)``.
        pictured: Whether the row has a picture vector, shape ``(n,)``.
        neighbours: Most similar other pictures of each row.
        counts: Events per sale at a grid time.
        cache: What is derived from the sales; shared by catalogues that differ in counts alone.
    """

    sales: tuple[Sale, ...]
    pictures: tuple[PictureScores | None, ...]
    keys: NDArray[np.uint64]
    opens_us: NDArray[np.int64]
    closes_us: NDArray[np.int64]
    scheduled_us: NDArray[np.int64]
    markets: Markets
    vocabulary: Vocabulary
    log_price: NDArray[np.float64]
    discount: NDArray[np.float64]
    margin: NDArray[np.float64]
    topics: NDArray[np.float64]
    topic_length: NDArray[np.float64]
    embeddings: NDArray[np.float32]
    image_statistics: NDArray[np.float32]
    pictured: NDArray[np.bool_]
    neighbours: Neighbours
    counts: SaleCounts
    cache: CatalogueCache = field(default_factory=CatalogueCache)

    @classmethod
    def none(cls, topics: Topics) -> Self:
        """Return the catalogue of no sales."""
        no_time, no_number = np.empty(0, dtype=np.int64), np.empty(0)
        no_vectors = np.empty((0, EMBEDDING_SIZE), dtype=np.float32)
        return cls(
            sales=(),
            pictures=(),
            keys=np.empty(0, dtype=np.uint64),
            opens_us=no_time,
            closes_us=no_time,
            scheduled_us=no_time,
            markets=Markets.none(),
            vocabulary=Vocabulary.none(),
            log_price=no_number,
            discount=no_number,
            margin=no_number,
            topics=np.empty((0, topics.n_topics)),
            topic_length=no_number,
            embeddings=no_vectors,
            image_statistics=np.empty((0, len(STATISTICS)), dtype=np.float32),
            pictured=np.empty(0, dtype=np.bool_),
            neighbours=Neighbours.from_embeddings(no_vectors, opens_us=no_time),
            counts=SaleCounts.none(0),
        )

    def __len__(self) -> int:
        """Return the number of sales."""
        return len(self.sales)

    @property
    def content(self) -> "SaleContent":
        """Its sales and pictures, without what was derived from them."""
        return SaleContent(self.keys, self.sales, self.pictures)

    def with_counts(self, counts: SaleCounts) -> Self:
        """Return the same sales with other counts.

        Raises:
            ValueError: If the counts are of another number of sales.
        """
        if len(counts.totals) != len(self):
            msg = f"counts of {len(counts.totals)} sales for a catalogue of {len(self)}"
            raise ValueError(msg)
        return replace(self, counts=counts)

    def rows_for(self, sale_keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the rows of sale keys, -1 for unknown ones; same shape."""
        return rows_for(sale_keys, self.keys)

    def row_for(self, sale_id: str) -> int | None:
        """Return the row of a sale id, None for an unknown one."""
        # Keys are hashes: an unknown id may have the key of another sale.
        row = int(self.rows_for(np.array([key(sale_id)], dtype=np.uint64))[0])
        return row if row >= 0 and self.sales[row].sale_id == sale_id else None

    def eligible(self, market: str | None, now_us: int) -> NDArray[np.int64]:
        """Return the eligible rows: open, not sold out, in this market.

        Args:
            market: The customer's market; None for any. A market that no sale names gets the
                sales without markets.
            now_us: Microseconds since the epoch; a sale is open in the half-open interval from
                opening to closing.

        Returns:
            Rows in ascending order, shape ``(n_eligible,)``.
        """
        shown = (self.opens_us <= now_us) & (now_us < self.closes_us)
        if market is not None:
            shown &= (self.markets.bits & self.markets.bit(market)) != 0
        return np.flatnonzero(shown)


@dataclass(frozen=True, slots=True, eq=False)
class SaleContent:
    """Sales and pictures of a catalogue, by which columns of their content are reused.

    Attributes:
        keys: Sale keys, ascending, shape ``(n,)``.
        sales: The sales, row by row.
        pictures: Their picture scores, None without a picture.
    """

    keys: NDArray[np.uint64]
    sales: tuple[Sale, ...]
    pictures: tuple[PictureScores | None, ...]

    def reused_by(self, later: Catalogue) -> RowReuse:
        """Return which rows of a later catalogue have the same sale and picture, as objects."""
        rows = rows_for(later.keys, self.keys)
        same = _same(self.sales, later.sales, rows) & _same(self.pictures, later.pictures, rows)
        return RowReuse.from_rows(rows, is_same=same)


def rows_for(sale_keys: NDArray[np.uint64], keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return where sale keys are among ascending ones, -1 for unknown ones; shape of the first."""
    if not len(keys):
        return np.full(len(sale_keys), -1, dtype=np.int64)
    # A key above all others would be found behind the last row.
    found = np.minimum(keys.searchsorted(sale_keys), len(keys) - 1)
    return np.where(keys[found] == sale_keys, found, -1)


def build_catalogue(
    sales: Iterable[Sale],
    pictures: Mapping[str, PictureScores],
    *,
    topics: Topics,
    before: Catalogue | None = None,
) -> Catalogue:
    """Build a catalogue with zero counts.

    Args:
        sales: Sales with distinct ids, in any order.
        pictures: Picture scores of some of them, by sale id.
        topics: Maps label probabilities to topic shares.
        before: An earlier catalogue with the same topics. Columns of sales and pictures that are
            the same objects are copied from it; the result is bit-identical without it.

    Raises:
        ValueError: If two sales share an id or a key, or there are too many markets.
    """
    before = before or Catalogue.none(topics)
    keys, ordered = _ordered(sales)
    seen = tuple(pictures.get(sale.sale_id) for sale in ordered)
    rows = before.rows_for(keys)
    described = RowReuse.from_rows(rows, is_same=_same(before.sales, ordered, rows))
    new = described.new_of(ordered)
    of_sale = described.column
    opens_us = of_sale(before.opens_us, times(new, lambda sale: to_us(sale.opens_at)))
    shares, embeddings, statistics = _picture_columns(before, seen, rows, topics=topics)
    length = np.sqrt(np.square(shares).sum(axis=1))
    near = before.neighbours.updated(before.embeddings, embeddings, rows=rows, opens_us=opens_us)
    return Catalogue(
        sales=ordered,
        pictures=seen,
        keys=keys,
        opens_us=opens_us,
        closes_us=of_sale(before.closes_us, times(new, closing_us)),
        scheduled_us=of_sale(before.scheduled_us, times(new, lambda sale: _end_us(sale.closes_at))),
        markets=before.markets.updated(new, described),
        vocabulary=before.vocabulary.updated(new, described),
        log_price=of_sale(before.log_price, np.log1p(numbers(new, lambda sale: sale.price))),
        discount=of_sale(before.discount, numbers(new, lambda sale: sale.discount)),
        margin=of_sale(before.margin, numbers(new, lambda sale: sale.margin)),
        topics=shares,
        topic_length=np.where(length > 0, length, np.nan),
        embeddings=embeddings,
        image_statistics=statistics,
        pictured=np.any(embeddings != 0, axis=1),
        neighbours=near,
        counts=SaleCounts.none(len(ordered)),
    )


def _ordered(sales: Iterable[Sale]) -> tuple[NDArray[np.uint64], tuple[Sale, ...]]:
    # By key, so that the order of the rows depends on the sales alone.
    given = tuple(sales)
    keys = np.array([key(sale.sale_id) for sale in given], dtype=np.uint64)
    order: list[int] = np.argsort(keys, kind="stable").tolist()
    keys, ordered = keys[order], tuple(given[place] for place in order)
    repeated: list[int] = np.flatnonzero(keys[1:] == keys[:-1]).tolist()
    if repeated:
        first, second = ordered[repeated[0]], ordered[repeated[0] + 1]
        msg = f"sales {first.sale_id!r} and {second.sale_id!r} share an id or a key"
        raise ValueError(msg)
    return keys, ordered


def _same(
    before: Sequence[object], now: Sequence[object], rows: NDArray[np.int64]
) -> NDArray[np.bool_]:
    at: list[int] = rows.tolist()
    same = [row >= 0 and before[row] is one for row, one in zip(at, now, strict=True)]
    return np.array(same, dtype=np.bool_)


def closing_us(sale: Sale) -> int:
    """Return when a sale stops being shown: closing or selling out, whichever is first.

    A stock of 0 closes it from its opening on, at any `sold_out_at`: what is sold out stays so
    where the clock that timed it is set back. Where a sale's past counts, its stock does not.
    """
    opens_us = to_us(sale.opens_at) if sale.stock == 0 else NEVER_US
    return min(opens_us, _end_us(sale.closes_at), _end_us(sale.sold_out_at))


def _end_us(moment: datetime | None) -> int:
    return NEVER_US if moment is None or moment >= _OPEN_END else to_us(moment)


def _picture_columns(
    before: Catalogue,
    pictures: Sequence[PictureScores | None],
    rows: NDArray[np.int64],
    *,
    topics: Topics,
) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.float32]]:
    # Topic shares (n, n_topics), picture vectors (n, 128), image statistics (n, 4).
    shown = RowReuse.from_rows(rows, is_same=_same(before.pictures, pictures, rows))
    seen = [(place, scores) for place, scores in enumerate(shown.new_of(pictures)) if scores]
    shares = np.zeros((len(shown.new), topics.n_topics))
    embeddings = np.zeros((len(shown.new), EMBEDDING_SIZE), dtype=np.float32)
    statistics = np.zeros((len(shown.new), len(STATISTICS)), dtype=np.float32)
    if seen:
        places = [place for place, _ in seen]
        embeddings[places] = np.stack([scores.embedding for _, scores in seen])
        statistics[places] = np.stack([scores.statistics for _, scores in seen])
        shares[places] = topics.shares(np.stack([scores.probabilities for _, scores in seen]))
    return (
        shown.column(before.topics, shares),
        shown.column(before.embeddings, embeddings),
        shown.column(before.image_statistics, statistics),
    )
