"""List run: what one run of ``batch-score`` computes, and where its files are."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict, JsonValue

from models.dataset.list_folder import FORMAT, PARTS, part_file
from models.kernel.library import library_path
from models.slate.slate_policy import SlatePolicy

STRANGERS: Final = -1
"""Number of the part without customers: one list for each market and device."""


class Shop(BaseModel):
    """What the events of all parts say.

    Attributes:
        devices: The devices that strangers get lists for.
        n_refused: Events that were left out for a fault.
    """

    model_config = ConfigDict(frozen=True)

    devices: list[str]
    n_refused: int


@dataclass(frozen=True, slots=True)
class ListRun:
    """A run: all that its files depend on. Workers get it with each task.

    Attributes:
        data: The dataset.
        fingerprint: Its fingerprint.
        bundle: Directory of the bundle.
        bundle_id: Its id.
        out: Directory of the results; work in progress is below it.
        at_us: The moment of all lists, microseconds since the epoch.
        top: Sales of a list at most.
        policy: How lists are made; draws nothing.
        hide_disliked_days: For so long a list does not have what its customer disliked.
        n_explained: Sales of each list with a reason.
        n_parts: Number of parts that customers are split into by a hash of their ids.
        sale_id: The sale whose customers are looked for; None for the sales of customers.
    """

    data: Path
    fingerprint: str
    bundle: Path
    bundle_id: str
    out: Path
    at_us: int
    top: int
    policy: SlatePolicy
    hide_disliked_days: int
    n_explained: int
    n_parts: int
    sale_id: str | None = None

    @property
    def identity(self) -> dict[str, JsonValue]:
        """Return what the results depend on, as JSON: a run that is continued has the same."""
        return {
            "format": FORMAT,
            "data_fingerprint": self.fingerprint,
            "bundle": self.bundle_id,
            "at_us": self.at_us,
            "top": self.top,
            "policy": self.policy.model_dump(mode="json"),
            "hide_disliked_days": self.hide_disliked_days,
            "explained": self.n_explained,
            "parts": self.n_parts,
            "sale": self.sale_id,
            # Another kernel or NumPy may have other bits.
            "kernel": library_path().stem,
            "numpy": np.__version__,
        }

    @property
    def work(self) -> Path:
        """Directory of what is removed at the end."""
        return self.out / "work"

    @property
    def split(self) -> Path:
        """Directory of the split dataset: there whole, or not at all."""
        return self.work / "split"

    @property
    def content(self) -> Path:
        """File of the sales with the scores of their pictures."""
        return self.work / "content.npz"

    @property
    def counts(self) -> Path:
        """File of the counts of all sales."""
        return self.work / "counts.npz"

    @property
    def shop(self) -> Path:
        """File of a `Shop`."""
        return self.work / "shop.json"

    def known(self, part: int) -> Path:
        """Return the file of a part's customers; see `training.lists.customers.packed`."""
        return self.work / "known" / part_file(part)

    def part_counts(self, part: int) -> Path:
        """Return the file of what one part adds to the counts."""
        return self.work / "counts" / f"{part:05}.npz"

    def result(self, part: int) -> Path:
        """Return the file of a part's results."""
        if part == STRANGERS:
            return self.out / "strangers.parquet"
        return self.out / PARTS / part_file(part)

    @property
    def parts(self) -> list[int]:
        """All parts; strangers are no customers of a sale."""
        return [*([STRANGERS] if self.sale_id is None else []), *range(self.n_parts)]
