"""Snapshot folder: reads the snapshots and counts that a service archived."""

from functools import lru_cache
from pathlib import Path

from models.catalogue.event_counts import SaleCounts
from models.catalogue.snapshot import Snapshot, content_file, counts_file


class SnapshotFolder:
    """Reader of the directory ``snapshots`` below a service's state directory."""

    def __init__(self, directory: Path) -> None:
        """Read from a directory."""
        self._directory = directory
        # Nearly all contents are differences to the same base.
        self._base = lru_cache(maxsize=1)(self._whole)

    def content(self, content_id: str) -> Snapshot:
        """Read a content, with its base if it is a difference.

        Raises:
            ValueError: If its files are damaged.
            OSError: If one is missing: the service keeps them for 30 days.
        """
        return Snapshot.from_bytes(self._read(content_file(content_id)), base_of=self._base)

    def counts(self, counts_id: str, *, n_sales: int) -> SaleCounts:
        """Read counts of a content of so many sales; see `content`."""
        return SaleCounts.from_bytes(self._read(counts_file(counts_id)), n_sales=n_sales)

    def _whole(self, content_id: str) -> Snapshot:
        return Snapshot.from_bytes(self._read(content_file(content_id)))

    def _read(self, name: str) -> bytes:
        return (self._directory / name).read_bytes()
