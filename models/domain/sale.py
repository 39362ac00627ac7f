"""Sale of the dataset contract, and the scores of its pictures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from models.domain.event import PRINTABLE, WHOLE, Amount, Balance, Identifier, Market, Moment

# Chosen, as that of titles: longer texts are descriptions. A sale then takes at most 100,000
# characters of attributes.
MAX_ATTRIBUTE_CHARS: Final = 1_000

AttributeValue = (
    Annotated[str, Field(max_length=MAX_ATTRIBUTE_CHARS)]
    | Annotated[float, Field(allow_inf_nan=False)]
    | bool
    | None
)

AttributeValues = Mapping[str, AttributeValue]
"""Attributes of one sale or customer by name, without null values."""

# A catalogue has a bit of a 64-bit word for each market of all its sales, and one for those that no
# sale names (`models.catalogue.columns`): a sale cannot have more than all sales together.
MAX_MARKETS: Final = 63

# Files and many clients store numbers as floats, which are exact integers up to here.
MAX_STOCK: Final = 2**53


class Sale(BaseModel):
    """A sale: only its id and its opening are required.

    Without ``markets`` it may be shown in all. ``attributes`` are the further columns of a user's
    export by name, without null values. Every valid sale can be written to a file of the contract
    and read again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sale_id: Identifier
    title: str | None = Field(default=None, max_length=1_000)
    description: str | None = Field(default=None, max_length=20_000)
    destination: Identifier | None = None
    country: Identifier | None = None
    category: Identifier | None = None
    price: Amount | None = None
    original_price: Amount | None = None
    currency: str | None = Field(default=None, min_length=3, max_length=3)
    margin: Balance | None = None
    markets: tuple[Market, ...] | None = Field(default=None, min_length=1, max_length=MAX_MARKETS)
    opens_at: Moment
    closes_at: Moment | None = None
    sold_out_at: Moment | None = None
    stock: Annotated[int, Field(ge=0, le=MAX_STOCK), WHOLE] | None = Field(
        default=None, description="As last said; 0 closes the sale."
    )
    image: str | None = Field(
        default=None,
        min_length=1,
        max_length=1_000,
        pattern=PRINTABLE,
        description="Path below images/.",
    )
    attributes: dict[Identifier, AttributeValue] = Field(
        default_factory=dict,
        max_length=100,
        description="Under names that no other field has: in files they are further columns.",
    )

    @field_validator("title")
    @classmethod
    def _seen(cls, title: str | None) -> str | None:
        if title is not None and not title.strip():
            msg = "a title must not be blank; leave it out"
            raise ValueError(msg)
        return title

    @field_validator("attributes")
    @classmethod
    def _under_names_of_their_own(
        cls, attributes: dict[str, AttributeValue]
    ) -> dict[str, AttributeValue]:
        taken = sorted(attributes.keys() & (cls.model_fields.keys() - {"attributes"}))
        if taken:
            msg = f"attributes cannot have the names of fields: rename {', '.join(taken)}"
            raise ValueError(msg)
        return {name: value for name, value in sorted(attributes.items()) if value is not None}

    @model_validator(mode="after")
    def _opens_before_it_closes(self) -> Self:
        if self.closes_at is not None and self.closes_at <= self.opens_at:
            msg = f"closes_at {self.closes_at} is not after opens_at {self.opens_at}"
            raise ValueError(msg)
        return self

    @property
    def discount(self) -> float | None:
        """Share by which the price is below the original one; None if either is unknown."""
        if self.price is None or not self.original_price:
            return None
        return 1.0 - self.price / self.original_price


# Chosen, the cover included: the scores of each are stored and averaged.
MAX_PICTURES: Final = 9

COVER: Final = 1
"""Number of the first picture."""


@dataclass(frozen=True, slots=True, eq=False)
class PictureScores:
    """Scores of a sale's pictures; the pictures themselves are not needed afterwards.

    Attributes:
        probabilities: Label probabilities, shape ``(n_labels,)``, float32.
        embedding: Unit vector, shape ``(128,)``, float32.
        statistics: See `models.pictures.image_statistics`, shape ``(4,)``, float32.
        parts: Scores of the single pictures by number; empty for the cover alone.
        content: SHA-256 of the single picture's file, hexadecimal; empty if unknown.
    """

    probabilities: NDArray[np.float32]
    embedding: NDArray[np.float32]
    statistics: NDArray[np.float32]
    parts: Mapping[int, "PictureScores"] = field(default_factory=dict[int, "PictureScores"])
    content: str = ""

    @classmethod
    def combine(cls, each: Mapping[int, "PictureScores"]) -> "PictureScores":
        """Average the scores of one sale's pictures.

        In the order of the numbers; the vector is scaled to unit length again, and is 0 if the
        vectors cancel out.

        Args:
            each: Single pictures by number, at least one.

        Raises:
            ValueError: If there is no picture.
        """
        if not each:
            msg = "no picture to combine"
            raise ValueError(msg)
        if [*each] == [COVER]:
            return each[COVER]
        parts = {number: each[number] for number in sorted(each)}
        mean = _mean([one.embedding for one in parts.values()])
        length = np.sqrt(np.square(mean).sum())
        embedding = mean / length if length > _CANCELLED else np.zeros_like(mean)
        probabilities = _mean([one.probabilities for one in parts.values()])
        statistics = _mean([one.statistics for one in parts.values()])
        return cls(
            probabilities.astype(np.float32),
            embedding.astype(np.float32),
            statistics.astype(np.float32),
            parts,
        )

    @property
    def each(self) -> Mapping[int, "PictureScores"]:
        """The single pictures by number, in ascending order."""
        return self.parts or {COVER: self}


# A mean of unit float32 vectors below this length is rounding error.
_CANCELLED: Final = 1e-6


def _mean(vectors: list[NDArray[np.float32]]) -> NDArray[np.float64]:
    return np.stack(vectors).astype(np.float64).mean(axis=0)
