"""Assembly run: what workers read and write who assemble the features of parts of the customers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.arrays.atomic_file import write_file
from models.catalogue.catalogue import Catalogue
from models.catalogue.event_counts import HalfLives
from models.catalogue.snapshot import Snapshot
from models.dataset.event_columns import Labels
from models.dataset.events import EventTable
from models.features.attributes import AttributeFeatures
from models.features.schema import FeatureSchema
from models.pictures.topics import Topics
from models.query.query import CandidateCounts
from models.recommenders.registry import RECOMMENDERS
from training.examples.cold_start_mask import ColdStartMask
from training.examples.refit import RefittedSchema
from training.examples.slates import Slates

_ATTRIBUTES: Final = "attributes"


@dataclass(frozen=True, slots=True)
class AssemblyRun:
    """A run; workers get it with each task, and see its files under the same paths.

    Attributes:
        data: The dataset.
        folder: Where the files of the run are.
        until_us: End of the training data, microseconds since the epoch.
        half_lives: Half-lives of the counts.
        starts_us: Start of each fit's period, see `RefittedSchema`.
        recommenders: Names of the recommenders.
        caller_orders: See `PointInTime.queries`.
    """

    data: Path
    folder: Path
    until_us: int
    half_lives: HalfLives
    starts_us: Sequence[int]
    recommenders: Sequence[str]
    caller_orders: bool

    @property
    def split(self) -> Path:
        """Folder of the split dataset."""
        return self.folder / "split"

    def slates(self, part: int) -> Path:
        """Return the file of a part's `PartSlates`."""
        return self.folder / f"slates-{part:05}.npz"

    def matrix(self, part: int) -> Path:
        """Return the file of a part's features."""
        return self.folder / f"features-{part:05}.npy"

    def write_sales(self, snapshot: Snapshot, topics: Topics) -> None:
        """Write what `catalogue` reads."""
        write_file(self.folder / "sales.npz", snapshot.to_bytes())
        write_file(self.folder / "topics.npz", topics.to_bytes())

    def catalogue(self) -> Catalogue:
        """Read the sales, without counts."""
        topics = Topics.from_bytes((self.folder / "topics.npz").read_bytes())
        return Snapshot.from_bytes((self.folder / "sales.npz").read_bytes()).catalogue(topics)

    def write_schema(self, refitted: RefittedSchema) -> None:
        """Write what `schema` reads."""
        for fit, schema in enumerate(refitted.schemas):
            for one in schema.recommenders:
                write_file(self._fit(fit, one.name), Arrays(one.to_arrays()).to_bytes())
        write_file(self._fit(0, _ATTRIBUTES), refitted.schemas[0].attributes.to_bytes())

    def schema(self) -> RefittedSchema:
        """Read the features by every fit."""
        attributes = AttributeFeatures.from_bytes(self._fit(0, _ATTRIBUTES).read_bytes())
        schemas = [
            FeatureSchema(
                tuple(
                    RECOMMENDERS[name].from_arrays(
                        Arrays.from_bytes(self._fit(fit, name).read_bytes())
                    )
                    for name in self.recommenders
                ),
                attributes,
            )
            for fit in range(len(self.starts_us))
        ]
        return RefittedSchema(self.starts_us, schemas)

    def _fit(self, fit: int, name: str) -> Path:
        return self.folder / f"fit-{fit:02}-{name}.npz"


@dataclass(frozen=True, slots=True, eq=False)
class PartSlates:
    """Slates of the customers of a part, and the counts of sales at their moments.

    Attributes:
        mask: The slates, and what is masked of them.
        counts: Of all entries, as of one query.
    """

    mask: ColdStartMask
    counts: CandidateCounts

    def to_bytes(self, events: EventTable) -> bytes:
        """Serialise; see `from_bytes`.

        Args:
            events: The whole log, which has the codes of the slates.
        """
        slates, counts = self.mask.slates, self.counts
        codes, customers = np.unique(slates.customers, return_inverse=True)
        return Arrays(
            {
                "ids": _texts(events.customers.values.gather(codes)),
                "customers": customers,
                "market_names": _texts(events.markets.values),
                "markets": slates.markets,
                "device_names": _texts(events.devices.values),
                "devices": slates.devices,
                "now_us": slates.now_us,
                "starts": slates.starts,
                "rows": slates.rows,
                "positions": slates.positions,
                "prices": slates.prices,
                "new_sales": self.mask.new_sales.astype(np.uint8),
                "new_customers": self.mask.new_customers.astype(np.uint8),
                "decayed": counts.decayed,
                "totals": counts.totals,
                "look_alikes": counts.look_alikes,
            }
        ).to_bytes()

    @classmethod
    def from_bytes(cls, content: bytes, events: EventTable) -> Self:
        """Read what `to_bytes` wrote, without outcomes.

        Args:
            content: The file.
            events: The events of the part, whose codes the slates get.
        """
        arrays = Arrays.from_bytes(content)
        customers, markets, devices = (
            _coded(labels, arrays.strings(names), arrays.integers(codes))
            for labels, names, codes in (
                (events.customers, "ids", "customers"),
                (events.markets, "market_names", "markets"),
                (events.devices, "device_names", "devices"),
            )
        )
        unknown, rows = np.full(len(customers), -1), arrays.integers("rows")
        without = np.zeros(len(rows), dtype=np.bool_)
        slates = Slates(
            customers=customers,
            sessions=unknown,
            exposures=unknown,
            now_us=arrays.integers("now_us"),
            markets=markets,
            devices=devices,
            starts=arrays.integers("starts"),
            rows=rows,
            positions=arrays.integers("positions"),
            prices=arrays.floats("prices"),
            clicked=without,
            bought=without,
            weights=np.ones(len(rows)),
        )
        masked = (arrays.integers(name) > 0 for name in ("new_sales", "new_customers"))
        counted = (arrays.floats(name) for name in ("decayed", "totals", "look_alikes"))
        return cls(ColdStartMask(slates, *masked), CandidateCounts(*counted))


def _texts(values: pl.Series) -> NDArray[np.str_]:
    return np.array(values.to_list(), dtype=np.str_)


def _coded(labels: Labels, names: Sequence[str], codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return codes of ``names`` as codes of labels; -1, unknown, stays."""
    place = {name: code for code, name in enumerate(labels.values)}
    return np.array([*(place.get(name, -1) for name in names), -1], dtype=np.int64)[codes]
