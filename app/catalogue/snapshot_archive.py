"""Snapshot archive: the catalogues of answers as files, so that answers can be replayed."""

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from app.catalogue.catalogue_version import CatalogueVersion, Source
from app.catalogue.known_catalogue import SavedCatalogue
from app.stores.picture import LabelledPicture
from models.arrays.atomic_file import remove_abandoned, write_file
from models.catalogue.snapshot import Snapshot, base_id_from, content_file, counts_file
from models.catalogue.snapshot_folder import SnapshotFolder
from models.domain.units import SECOND_US
from models.pictures.topics import Topics
from models.scoring.scorer import Scorer

# Of snapshots that nothing used: as long as answers can be replayed. Chosen.
RETENTION_S: Final = 30 * 24 * 3600

_LATEST: Final = "latest"
_N_EARLIER: Final = 100  # a generation more each time that the store is emptied and filled
# Above one sale in four that is not in the base, a content is a new base. Chosen: by then a
# difference saves little, and a base stays for as long as one difference from it.
_WHOLE_SHARE: Final = 4


class LastCatalogue(BaseModel):
    """Pointer to the last catalogue of this machine.

    Attributes:
        snapshot_id: Id of its files.
        scene_model: Id of the model that labelled its pictures, empty without.
        generation: Generation of the store that it was read from.
        version: Version of the store up to which it is complete.
        earlier: Generations remembered before, the latest last.
        deleted: Ids of sales deleted and not put again; see `SavedCatalogue`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    snapshot_id: str
    scene_model: str
    generation: str
    version: int
    earlier: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()


STATE_ADVICE: Final = (
    "make room below VITRINE_STATE_DIR, or let the service write there: it keeps its last"
    " catalogue there, and a worker that starts while the store is unreachable shows an older one"
)


class SnapshotArchive:
    """Keeps contents and counts in a directory, a file each, named by their hashes.

    Several workers of a machine may share the directory: equal names have equal bytes, and
    files are written atomically. A content is written as its difference from a base, an earlier
    content that was written in full. Methods block: call them in a thread.
    """

    def __init__(self, directory: Path) -> None:
        """Use a directory, which is made at the first write."""
        self._directory = directory
        self._kept: str | None = None
        self._base: Snapshot | None = None
        # The exposure queue writes snapshots in one thread, the catalogue follower in another.
        self._writing = threading.Lock()

    def keep(self, served: CatalogueVersion) -> None:
        """Write a snapshot, unless it exists.

        Raises:
            OSError: If the directory cannot be written.
        """
        with self._writing:
            self._keep(served)

    def remember(
        self,
        served: CatalogueVersion,
        *,
        generation: str,
        version: int,
        deleted: Sequence[str] = (),
    ) -> None:
        """Write a snapshot as the last catalogue of this machine, complete up to a version.

        If another worker of this machine remembered a later version of the same store, that one
        stays.

        Raises:
            OSError: If the directory cannot be written.
        """
        with self._writing:
            self._keep(served)
            before = self._last_or_none()
            if before and before.generation == generation and before.version > version:
                return
            known = dict.fromkeys((*before.earlier, before.generation) if before else ())
            earlier = tuple(one for one in known if one != generation)
            last = LastCatalogue(
                snapshot_id=served.snapshot_id,
                scene_model=served.scorer.scene_model if served.scorer else "",
                generation=generation,
                version=version,
                earlier=earlier[-_N_EARLIER:],
                deleted=tuple(deleted),
            )
            write_file(self._directory / _LATEST, last.model_dump_json().encode())

    def _last(self) -> LastCatalogue | None:
        """Return the pointer to the last catalogue, None before the first.

        Raises:
            ValueError: If its file is damaged.
            OSError: If its file is unreadable.
        """
        pointer = self._directory / _LATEST
        return LastCatalogue.model_validate_json(pointer.read_bytes()) if pointer.exists() else None

    def last_sales(self) -> SavedCatalogue | None:
        """Return the sales and pictures of the last catalogue, None before the first.

        Raises:
            ValueError: If their file is damaged.
            OSError: If it is missing or unreadable.
        """
        last = self._last()
        if last is None:
            return None
        content = SnapshotFolder(self._directory).content(last.snapshot_id.partition(".")[0])
        pictures = (
            LabelledPicture(sale_id, one, last.scene_model, number=number)
            for sale_id, scores in content.pictures.items()
            for number, one in scores.each.items()
        )
        sales = {sale.sale_id: sale for sale in content.sales}
        return SavedCatalogue(
            last.generation,
            last.version,
            sales,
            tuple(pictures),
            earlier=last.earlier,
            deleted=last.deleted,
        )

    def _keep(self, served: CatalogueVersion) -> None:
        if served.snapshot_id == self._kept:
            return
        content_id, counts_id = served.snapshot_id.split(".")
        content, path = served.content, self._content_path(content_id)
        parts = self._parts(path)
        if not parts:
            base = self._base
            if base is not None and (
                not self._content_path(base.id).exists()
                or len(set(content.digests).difference(base.digests)) * _WHOLE_SHARE
                > len(base.digests)
            ):
                base = None
            write_file(path, content.to_bytes(base=base))
            parts = [self._content_path(base.id)] if base else []
            self._base = base or content
        elif parts == [path] and self._base is None:
            self._base = content
        for part in parts:
            os.utime(part)  # `prune` goes by the time of the last use
        counts = self._counts_path(counts_id)
        if counts.exists():
            os.utime(counts)
        else:
            write_file(counts, served.catalogue.counts.to_bytes())
        self._kept = served.snapshot_id

    def last_version(self, scorer: Scorer | None) -> CatalogueVersion | None:
        """Return the last catalogue as a version for a model, None before the first.

        Pictures that another scene model labelled are replaced by those of the bundle.

        Raises:
            ValueError: If its files are damaged.
            OSError: If they are missing or unreadable.
        """
        last = self._last()
        if last is None:
            return None
        if scorer is None or last.scene_model == scorer.scene_model:
            return self.load(last.snapshot_id, scorer)
        saved = self.load(last.snapshot_id, None)
        sales = {sale.sale_id: sale for sale in saved.content.sales}
        content = Snapshot.from_sales(sales, scorer.pictures)
        catalogue = content.catalogue(scorer.topics).with_counts(saved.catalogue.counts)
        return CatalogueVersion.from_content(content, catalogue, source=Source.SAVED, scorer=scorer)

    def load(self, snapshot_id: str, scorer: Scorer | None) -> CatalogueVersion:
        """Read a snapshot, with the scorer that it was made with.

        Raises:
            ValueError: If its files are damaged.
            OSError: If they are missing or unreadable.
        """
        content_id, _, counts_id = snapshot_id.partition(".")
        folder = SnapshotFolder(self._directory)
        content = folder.content(content_id)
        counts = folder.counts(counts_id, n_sales=len(content.sales))
        topics = scorer.topics if scorer else Topics.none()
        catalogue = content.catalogue(topics).with_counts(counts)
        served = CatalogueVersion.from_content(
            content, catalogue, source=Source.SAVED, scorer=scorer
        )
        if served.snapshot_id != snapshot_id:
            msg = f"snapshot {snapshot_id} in {self._directory} holds {served.snapshot_id}"
            raise ValueError(msg)
        return served

    def prune(self, now_us: int) -> int:
        """Remove files that were not used for 30 days; return their number.

        Raises:
            OSError: If the directory cannot be read, or takes no removal.
        """
        remove_abandoned(self._directory)
        oldest_s = now_us / SECOND_US - RETENTION_S
        last, kept, n_removed = self._last_or_none(), set[Path](), 0
        if last is not None:
            # However old: a worker that starts while the store is unreachable begins with it.
            content_id, counts_id = last.snapshot_id.split(".")
            kept = {*self._parts(self._content_path(content_id)), self._counts_path(counts_id)}
        for path in self._directory.glob("*.npz"):
            # Another worker of this machine may have removed it already.
            with suppress(FileNotFoundError):
                if path not in kept and path.stat().st_mtime < oldest_s:
                    path.unlink()
                    n_removed += 1
        return n_removed

    def _parts(self, path: Path) -> list[Path]:
        """Return the files that a content is read from, none if one of them is missing."""
        try:
            base_id = base_id_from(path.read_bytes())
        except (FileNotFoundError, ValueError):
            return []
        parts = [path, *([self._content_path(base_id)] if base_id else [])]
        return parts if parts[-1].exists() else []

    def _last_or_none(self) -> LastCatalogue | None:
        try:
            return self._last()
        except ValueError:  # written by another version of this software: it is replaced
            return None

    def _content_path(self, content_id: str) -> Path:
        return self._directory / content_file(content_id)

    def _counts_path(self, counts_id: str) -> Path:
        return self._directory / counts_file(counts_id)


@dataclass(frozen=True, slots=True)
class SnapshotPruning:
    """Background task that removes old snapshots.

    Attributes:
        archive: The archive to prune.
        machine_us: This machine's clock, which dates its files; the store's may differ.
    """

    archive: SnapshotArchive
    machine_us: Callable[[], int]

    async def prune(self) -> None:
        """Remove snapshots that are old now.

        Raises:
            OSError: If the directory cannot be read, or takes no removal.
        """
        _ = await asyncio.to_thread(self.archive.prune, self.machine_us())
