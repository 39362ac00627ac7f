"""Snapshot: sales and picture scores as one immutable file, to replay answers from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

import numpy as np

from models.arrays.array_file import Arrays
from models.catalogue.catalogue import Catalogue, build_catalogue
from models.domain.event import key
from models.domain.sale import PictureScores, Sale
from models.pictures.topics import Topics


@dataclass(frozen=True)
class Snapshot:
    """Snapshot of sales and their picture scores; equal content has an equal id.

    Attributes:
        sales: The sales, ordered by key.
        pictures: Picture scores by sale id; ids without a sale are left out.
        digests: Hash of each sale with its pictures.
    """

    sales: tuple[Sale, ...]
    pictures: Mapping[str, PictureScores]
    digests: tuple[bytes, ...]

    @classmethod
    def from_sales(
        cls,
        sales: Mapping[str, Sale],
        pictures: Mapping[str, PictureScores],
        *,
        before: "Snapshot | None" = None,
    ) -> Self:
        """Put sales and pictures into canonical order.

        Args:
            sales: Sales by id.
            pictures: Picture scores by sale id.
            before: An earlier snapshot; hashes of objects that are the same there are reused.
        """
        ordered = tuple(sorted(sales.values(), key=lambda sale: key(sale.sale_id)))
        seen = {s.sale_id: pictures[s.sale_id] for s in ordered if s.sale_id in pictures}
        # Numbers, not tuples: the garbage collector would visit a hundred thousand of them.
        places = {sale.sale_id: place for place, sale in enumerate(before.sales if before else ())}
        digests: list[bytes] = []
        for sale in ordered:
            scores, place = seen.get(sale.sale_id), places.get(sale.sale_id)
            # By identity: hashing all sales anew at each change would take longer than the change.
            if before and place is not None and before.has(place, sale, scores=scores):
                digests.append(before.digests[place])
                continue
            digest = blake2b(_json(sale).encode(), digest_size=16)
            for number, one in scores.each.items() if scores else ():
                digest.update(f"\n{number} {len(one.probabilities)}\n".encode())
                digest.update(one.probabilities.tobytes())
                digest.update(one.embedding.tobytes())
                digest.update(one.statistics.tobytes())
            digests.append(digest.digest())
        return cls(ordered, seen, tuple(digests))

    @property
    def id(self) -> str:
        """Hash of the content, 32 hexadecimal digits."""
        return blake2b(b"".join(self.digests), digest_size=16).hexdigest()

    def catalogue(self, topics: Topics, *, before: Catalogue | None = None) -> Catalogue:
        """Build the columns; see `models.catalogue.catalogue.build_catalogue`."""
        return build_catalogue(self.sales, self.pictures, topics=topics, before=before)

    def has(self, place: int, sale: Sale, *, scores: PictureScores | None) -> bool:
        """Return whether a place holds these very objects."""
        return self.sales[place] is sale and self.pictures.get(sale.sale_id) is scores

    def to_bytes(self, *, base: "Snapshot | None" = None) -> bytes:
        """Serialise: JSON lines of the sales, then float32 arrays, without pickle.

        Args:
            base: Write only the difference to this snapshot, which reading needs again.
        """
        there, here = frozenset(base.digests if base else ()), frozenset(self.digests)
        own = [s for s, digest in zip(self.sales, self.digests, strict=True) if digest not in there]
        gone = [
            row for row, digest in enumerate(base.digests if base else ()) if digest not in here
        ]
        seen = [
            (row, number, scores)
            for row, sale in enumerate(own)
            if sale.sale_id in self.pictures
            for number, scores in self.pictures[sale.sale_id].each.items()
        ]
        # Pictures have one row each, all of a sale after the other; `pictured` is the sale's row.
        arrays = {
            "base": np.array([base.id] if base else [], dtype=np.str_),
            "gone": np.array(gone, dtype=np.int64),
            "sales": np.frombuffer("\n".join(map(_json, own)).encode(), dtype=np.uint8),
            "pictured": np.array([row for row, _, _ in seen], dtype=np.int64),
            "numbers": np.array([number for _, number, _ in seen], dtype=np.int64),
            "probabilities": np.array([s.probabilities for _, _, s in seen], dtype=np.float32),
            "embeddings": np.array([s.embedding for _, _, s in seen], dtype=np.float32),
            "looks": np.array([s.statistics for _, _, s in seen], dtype=np.float32),
            "contents": np.array([s.content for _, _, s in seen], dtype=np.str_),
        }
        return Arrays(arrays).to_bytes()

    @classmethod
    def from_bytes(
        cls, content: bytes, *, base_of: "Callable[[str], Snapshot] | None" = None
    ) -> Self:
        """Read what `to_bytes` wrote.

        Args:
            content: What it wrote.
            base_of: Returns the base snapshot of a difference by its id.

        Raises:
            ValueError: If the content is malformed, or its base is not found.
        """
        arrays = Arrays.from_bytes(content)
        sales, pictures = _read(arrays)
        base_id = _base_id(arrays)
        if base_id is None:
            return cls.from_sales(sales, pictures)
        base = base_of(base_id) if base_of else None
        if base is None or base.id != base_id:
            msg = f"the snapshot is a difference to {base_id}, which was not found"
            raise ValueError(msg)
        gone: set[int] = set(arrays.integers("gone").tolist())
        same = {sale.sale_id: sale for row, sale in enumerate(base.sales) if row not in gone}
        shown = {sale_id: base.pictures[sale_id] for sale_id in same if sale_id in base.pictures}
        return cls.from_sales(same | sales, shown | pictures)


def base_id_from(content: bytes) -> str | None:
    """Return the id of the base of a content; None if it is complete.

    Raises:
        ValueError: If the content is malformed.
    """
    return _base_id(Arrays.from_bytes(content))


def _base_id(arrays: Arrays) -> str | None:
    return next(iter(arrays.strings("base")), None)


def _read(arrays: Arrays) -> tuple[dict[str, Sale], dict[str, PictureScores]]:
    lines = arrays.octets("sales").decode().split("\n")
    sales = tuple(Sale.model_validate_json(line) for line in lines if line)
    probabilities, embeddings = arrays.vectors("probabilities"), arrays.vectors("embeddings")
    statistics = arrays.vectors("looks")
    rows: list[int] = arrays.integers("pictured").tolist()
    numbers: list[int] = arrays.integers("numbers").tolist()
    contents = arrays.strings("contents") if "contents" in arrays.arrays else [""] * len(rows)
    lengths = {
        len(part) for part in (rows, numbers, probabilities, embeddings, statistics, contents)
    }
    if len(lengths) > 1 or not all(0 <= row < len(sales) for row in rows):
        msg = f"not a snapshot: {len(rows)} pictures of {len(sales)} sales do not match"
        raise ValueError(msg)
    each: dict[str, dict[int, PictureScores]] = {}
    for index, (row, number) in enumerate(zip(rows, numbers, strict=True)):
        scores = PictureScores(
            probabilities[index], embeddings[index], statistics[index], content=contents[index]
        )
        each.setdefault(sales[row].sale_id, {})[number] = scores
    pictures = {sale_id: PictureScores.combine(seen) for sale_id, seen in each.items()}
    return {sale.sale_id: sale for sale in sales}, pictures


def _json(sale: Sale) -> str:
    return sale.model_dump_json(exclude_defaults=True)


def content_file(content_id: str) -> str:
    """Return the file name of a snapshot's content."""
    return f"content-{content_id}.npz"


def counts_file(counts_id: str) -> str:
    """Return the file name of the counts of an answer."""
    return f"counts-{counts_id}.npz"
