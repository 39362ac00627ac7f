"""Fills the store from files: sales, pictures, the latest windows, profiles, counts."""

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

from app.cli.withdrawal import absent_from, reopened_by, require_full, withdraw
from app.errors import MAX_NAMED
from app.stores.customer import LoadedCustomer
from app.stores.dataset_loader import loaded_counts, loaded_customers
from app.stores.picture import ALL_PICTURES, LabelledPicture, StoredPicture
from app.stores.store import Stores
from models.catalogue.snapshot import Snapshot
from models.dataset import Dataset, Effect
from models.dataset.profile_file import read_profiles
from models.domain.customer import Window
from models.domain.sale import PictureScores
from models.pictures.picture import content_hash
from models.pictures.scene_labeller import SceneLabeller, label_pictures
from models.scoring.bundle import Bundle, read_bundle
from models.scoring.scorer import LABELS_FILE, SCENES_FILE, SNAPSHOT_FILE

CUSTOMERS_AT_ONCE: Final = 200

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LoadSummary:
    """What was loaded.

    Attributes:
        sales: Sales of the dataset.
        pictures: Pictures that were labelled here.
        known_pictures: Pictures that were labelled before.
        broken_pictures: Pictures that could not be.
        customers: Customers with events.
        events: Accepted events.
        erased: Events that were left out because the store's erasures say so.
        refused: Rows of the dataset that were left out, by reason.
        absent: Sales of the store, open or still to open, that the dataset does not hold.
        first_absent: The first of them.
        withdrawn: How many of them were closed, as they are with a full dump.
        reopened: Sales that were over in the store and are not by the dataset.
        first_reopened: The first of them.
        seconds: How long it took.
    """

    sales: int
    pictures: int
    known_pictures: int
    broken_pictures: int
    customers: int
    events: int
    erased: int
    refused: dict[str, int]
    absent: int
    first_absent: tuple[str, ...]
    withdrawn: int
    reopened: int
    first_reopened: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Labelling:
    """What files show.

    Attributes:
        pictures: Those whose content neither the bundle nor the store knew.
        adopted: Those of a bundle without hashes: its labels, as of the files of today.
        n_known: Those that needed no labelling.
        n_broken: Those that could not be labelled.
    """

    pictures: Sequence[LabelledPicture]
    adopted: Sequence[LabelledPicture]
    n_known: int = 0
    n_broken: int = 0


@dataclass(frozen=True, slots=True)
class KnownPictures:
    """Pictures that are labelled already.

    Attributes:
        bundle: What the bundle knows, by sale id.
        store: What the store holds, by sale id and number; it goes before the bundle.
        scene_model: Id of the bundle's scene model.
    """

    bundle: Mapping[str, PictureScores]
    store: Mapping[tuple[str, int], StoredPicture]
    scene_model: str

    def include(self, sale_id: str, number: int, *, content: str) -> bool:
        """Tell whether a picture of a file's content needs no labelling.

        What was put or removed over HTTP stays while the file is the one of the training.

        Args:
            sale_id: The sale.
            number: Which picture of it.
            content: Hash of the file.
        """
        stored, known = self.store.get((sale_id, number)), self.bundle.get(sale_id)
        trained = known.each[number].content if known and number in known.each else None
        if isinstance(stored, LabelledPicture) and stored.scores.content:
            if stored.scores.content != content or stored.scene_model == self.scene_model:
                return stored.scores.content == content
        elif stored is not None:
            return trained in {content, ""}
        return trained in {content, ""} and (sale_id, ALL_PICTURES) not in self.store

    def adopted(
        self, sale_id: str, files: Mapping[int, Path], *, contents: Mapping[Path, str]
    ) -> Iterator[LabelledPicture]:
        """Yield the bundle's labels of a sale that have no hash yet, with those of its files.

        Args:
            sale_id: The sale.
            files: Its pictures by number.
            contents: Hashes of files.
        """
        known = self.bundle.get(sale_id)
        places = {(sale_id, number) for number in (*files, ALL_PICTURES)}
        if known is None or places & self.store.keys():
            return
        for number, scores in known.each.items():
            content = contents.get(files[number], "") if number in files else ""
            if content and not scores.content:
                hashed = replace(scores, content=content)
                yield LabelledPicture(sale_id, hashed, self.scene_model, number=number)


class Progress:
    """Is told of every step; the base class says nothing."""

    def step(self, name: str, total: int) -> None:
        """Take note that a step of so many parts begins."""

    def advance(self, n: int) -> None:
        """Take note that parts of the step are done."""


@dataclass(frozen=True, slots=True)
class Extent:
    """What a dataset stands for.

    Attributes:
        is_full: Whether it holds every sale that there is: others are withdrawn.
        is_confirmed: Whether more than half of the sales may go.
    """

    is_full: bool = False
    is_confirmed: bool = False


PARTIAL: Final = Extent()


async def load(
    dataset: Dataset,
    stores: Stores,
    *,
    bundle: Path | None,
    progress: Progress,
    extent: Extent = PARTIAL,
) -> LoadSummary:
    """Fill a store. To load the same dataset again changes nothing.

    Sales and pictures are put under their ids; windows are merged, which is idempotent;
    profiles and the counts of history are replaced.

    Args:
        dataset: What to load.
        stores: Where to.
        bundle: Labels pictures whose content is new to it and to the store; None leaves them out.
        progress: Is told how far it is.
        extent: Whether sales that it does not hold are withdrawn.

    Raises:
        BundleError: If the bundle is not sound.
        StoreUnavailableError: If the store does not answer; run it again.
        WithdrawalError: If it is no full dump, by all appearances; nothing was loaded.
    """
    started = time.monotonic()
    absent = await absent_from({sale.sale_id for sale in dataset.sales}, stores)
    if extent.is_full:
        require_full(dataset, absent, confirmed=extent.is_confirmed)
    held = (await stores.sales.changes(0)).pictures
    labelling = await asyncio.to_thread(_label, dataset, bundle, held, progress=progress)
    now_us = await stores.server.time_us()
    first_live_us = await stores.counts.first_live_us()
    history = loaded_counts(dataset.events, now_us, first_live_us=first_live_us)
    # Before the sales: a worker that sees a new one reads the counts, and would find only a part.
    await stores.counts.put_history(history, now_us=now_us)
    reopened = await reopened_by(dataset.sales, stores)
    await stores.sales.put(dataset.sales)
    if extent.is_full:
        await withdraw(absent, stores)
    await stores.sales.put_pictures([*labelling.pictures, *labelling.adopted])
    await stores.sales.vouch()
    progress.step("customers", len(dataset.events.customers.values))
    customers = loaded_customers(dataset.events, now_us)
    n_customers, n_erased = await _merge(customers, stores, progress)
    return LoadSummary(
        sales=len(dataset.sales),
        pictures=len(labelling.pictures),
        known_pictures=labelling.n_known,
        broken_pictures=labelling.n_broken,
        customers=n_customers,
        events=len(dataset.events),
        erased=n_erased,
        refused=_refused(dataset),
        absent=len(absent.sales),
        first_absent=absent.first,
        withdrawn=len(absent.sales) if extent.is_full else 0,
        reopened=len(reopened),
        first_reopened=reopened[:MAX_NAMED],
        seconds=round(time.monotonic() - started, 3),
    )


async def load_profiles(path: Path, stores: Stores, *, progress: Progress) -> int:
    """Replace the profiles of a store by those of a night; return of how many customers.

    A profile that begins before its customer's erasure is not kept, nor is one that would
    have expired. To load the same night again changes nothing.

    Args:
        path: What the night wrote.
        stores: Where to.
        progress: Is told how far it is.

    Raises:
        ProfileFileError: If the file holds anything else.
        StoreUnavailableError: If the store does not answer; run it again.
    """
    known = list(read_profiles(path))
    progress.step("profiles", len(known))
    customers = (
        LoadedCustomer(one.customer_id, Window.empty(), one.profile, one.last_us) for one in known
    )
    n_customers, _ = await _merge(customers, stores, progress)
    return n_customers


async def _merge(
    customers: Iterable[LoadedCustomer], stores: Stores, progress: Progress
) -> tuple[int, int]:
    n_customers, n_erased = 0, 0
    for batch in _batches(customers, CUSTOMERS_AT_ONCE):
        n_erased += await stores.customers.merge(batch)
        progress.advance(len(batch))
        n_customers += len(batch)
    return n_customers, n_erased


def _batches(values: Iterable[T], size: int) -> Iterator[list[T]]:
    remaining = iter(values)
    while batch := list(islice(remaining, size)):
        yield batch


def _label(
    dataset: Dataset, directory: Path | None, held: Iterable[StoredPicture], *, progress: Progress
) -> Labelling:
    if directory is None:
        return Labelling([], [])
    bundle = read_bundle(directory)
    if not _labels_pictures(bundle):
        return Labelling([], [])
    known = KnownPictures(
        Snapshot.from_bytes(bundle.content(SNAPSHOT_FILE)).pictures,
        {(one.sale_id, one.number): one for one in held},
        bundle.manifest.scene_model,
    )
    contents = {path: content_hash(path) for path in dataset.pictures}
    adopted = [
        picture
        for sale_id, each in dataset.images.items()
        for picture in known.adopted(sale_id, each, contents=contents)
    ]
    new = [
        (sale_id, number, path)
        for sale_id, each in dataset.images.items()
        for number, path in each.items()
        if not known.include(sale_id, number, content=contents[path])
    ]
    n_known = sum(map(len, dataset.images.values())) - len(new)
    if not new:
        return Labelling([], adopted, n_known)
    progress.step("pictures", len(new))
    outcome = label_pictures(
        [path for _, _, path in new],
        SceneLabeller.open(directory),
        on_picture=lambda: progress.advance(1),
    )
    scores = outcome.scores
    pictures: list[LabelledPicture] = []
    for row, position in enumerate(map(int, outcome.positions)):
        sale_id, number, path = new[position]
        seen, is_unlike = replace(scores.of(row), content=contents[path]), bool(scores.unlike[row])
        model = known.scene_model
        pictures.append(LabelledPicture(sale_id, seen, model, is_unlike=is_unlike, number=number))
    return Labelling(pictures, adopted, n_known, len(outcome.faults))


def _labels_pictures(bundle: Bundle) -> bool:
    return SCENES_FILE in bundle.files and LABELS_FILE in bundle.files


def _refused(dataset: Dataset) -> dict[str, int]:
    return {code.value: n for code, n in dataset.faults.having(Effect.ROW).counts().items()}
