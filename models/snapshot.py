"""The content behind a catalogue, kept as one immutable file so that answers can be replayed."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Self

import numpy as np

from models.arrays import Arrays
from models.catalogue import Catalogue, build_catalogue
from models.events import key
from models.sale import PictureScores, Sale
from models.topics import Topics


@dataclass(frozen=True)
class Snapshot:
    """Sales and what their pictures show; equal content has an equal id.

    Attributes:
        sales: The sales, ordered by key.
        pictures: Picture scores by sale id; ids without a sale are left out.
    """

    sales: tuple[Sale, ...]
    pictures: Mapping[str, PictureScores]

    @classmethod
    def of(cls, sales: Mapping[str, Sale], pictures: Mapping[str, PictureScores]) -> Self:
        """Take the content of a store in canonical order."""
        ordered = tuple(sorted(sales.values(), key=lambda sale: key(sale.sale_id)))
        seen = {s.sale_id: pictures[s.sale_id] for s in ordered if s.sale_id in pictures}
        return cls(ordered, seen)

    @cached_property
    def id(self) -> str:
        """Hash of the content, 32 hexadecimal digits."""
        return blake2b(self.to_bytes(), digest_size=16).hexdigest()

    def catalogue(self, topics: Topics) -> Catalogue:
        """Build the columns; see `models.catalogue.build_catalogue`."""
        return build_catalogue(self.sales, self.pictures, topics=topics)

    def to_bytes(self) -> bytes:
        """Serialise: JSON lines of the sales, then float32 arrays, nothing pickled."""
        lines = "\n".join(sale.model_dump_json(exclude_defaults=True) for sale in self.sales)
        rows = [row for row, sale in enumerate(self.sales) if sale.sale_id in self.pictures]
        seen = [self.pictures[self.sales[row].sale_id] for row in rows]
        arrays = {
            "sales": np.frombuffer(lines.encode(), dtype=np.uint8),
            "pictured": np.array(rows, dtype=np.int64),
            "probabilities": np.array([s.probabilities for s in seen], dtype=np.float32),
            "embeddings": np.array([s.embedding for s in seen], dtype=np.float32),
        }
        return Arrays(arrays).to_bytes()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: If the content is not such a file.
        """
        arrays = Arrays.from_bytes(content)
        lines = arrays.octets("sales").decode().split("\n")
        sales = tuple(Sale.model_validate_json(line) for line in lines if line)
        probabilities, embeddings = arrays.vectors("probabilities"), arrays.vectors("embeddings")
        rows: list[int] = arrays.integers("pictured").tolist()
        if not (len(rows) == len(probabilities) == len(embeddings)) or not all(
            0 <= row < len(sales) for row in rows
        ):
            msg = f"not a snapshot: {len(rows)} pictures of {len(sales)} sales do not match"
            raise ValueError(msg)
        pictures = {
            sales[row].sale_id: PictureScores(probabilities[index], embeddings[index])
            for index, row in enumerate(rows)
        }
        return cls(sales, pictures)


def content_file(content_id: str) -> str:
    """Return the name under which a service keeps a snapshot's content."""
    return f"content-{content_id}.npz"


def counts_file(counts_id: str) -> str:
    """Return the name under which a service keeps the counts of an answer."""
    return f"counts-{counts_id}.npz"
