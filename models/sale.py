"""One sale of the dataset contract, and what its pictures were found to show."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from models.events import Identifier

AttributeValue = str | float | bool | None


class Sale(BaseModel):
    """A sale: only its id and its opening are required.

    ``markets`` unset means every market; ``attributes`` holds the further columns of a
    user's own export.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sale_id: Identifier
    title: str | None = Field(default=None, max_length=1_000)
    description: str | None = Field(default=None, max_length=20_000)
    destination: Identifier | None = None
    country: Identifier | None = None
    category: Identifier | None = None
    price: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    original_price: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    currency: str | None = Field(default=None, min_length=3, max_length=3)
    margin: float | None = Field(default=None, allow_inf_nan=False)
    markets: tuple[Identifier, ...] | None = Field(default=None, max_length=64)
    opens_at: AwareDatetime
    closes_at: AwareDatetime | None = None
    sold_out_at: AwareDatetime | None = None
    stock: int | None = Field(default=None, ge=0, description="As last said; 0 closes the sale.")
    image: str | None = Field(default=None, max_length=1_000, description="Path below images/.")
    attributes: dict[str, AttributeValue] = Field(default_factory=dict, max_length=100)

    @model_validator(mode="after")
    def _opens_before_it_closes(self) -> Self:
        if self.closes_at is not None and self.closes_at <= self.opens_at:
            msg = f"closes_at {self.closes_at} is not after opens_at {self.opens_at}"
            raise ValueError(msg)
        return self


@dataclass(frozen=True, slots=True, eq=False)
class PictureScores:
    """What a sale's pictures show; the pictures themselves are not needed afterwards.

    Attributes:
        probabilities: Label probabilities, shape ``(n_labels,)``, float32.
        embedding: Unit vector, shape ``(128,)``, float32.
    """

    probabilities: NDArray[np.float32]
    embedding: NDArray[np.float32]
