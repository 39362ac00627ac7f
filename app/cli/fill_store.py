"""Store loader: sales, pictures, windows, profiles and counts from the files of a dataset."""

import asyncio
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Final

from app.bundles.bundle_repository import scene_labeller
from app.cli.console import Progress
from app.cli.last_known import Reopening, last_known
from app.cli.withdraw import Absent, absent_from, require_full, withdraw
from app.errors import MAX_NAMED, MergeRefusedError
from app.stores.customer import LoadedCustomer
from app.stores.dataset_loader import customers_without_events, loaded_counts, loaded_customers
from app.stores.picture import ALL_PICTURES, LabelledPicture, StoredPicture
from app.stores.sale import Place
from app.stores.store import Stores
from models.catalogue.snapshot import Snapshot
from models.dataset import Dataset, Effect
from models.dataset.merges import MergeTable
from models.dataset.profile_file import read_profiles
from models.domain.customer import Window
from models.domain.event import from_us
from models.domain.sale import PictureScores
from models.domain.units import DAY_US
from models.pictures.picture import content_hash
from models.pictures.scene_labeller import label_pictures
from models.scoring.bundle import read_bundle
from models.scoring.scorer import SNAPSHOT_FILE

# Customers of one pipeline of commands; chosen, not measured.
CUSTOMERS_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Put:
    """Numbers of customers that were put, and of merges; see `LoadSummary`."""

    customers: int
    erased: int
    merges: int
    refused_merges: int


@dataclass(frozen=True, slots=True)
class LoadSummary:
    """Result of a load.

    Attributes:
        sales: Sales of the dataset.
        pictures: Pictures that were labelled by this load.
        known_pictures: Pictures that were labelled before.
        broken_pictures: Pictures that could not be labelled.
        customers: Customers with events or attributes.
        events: Accepted events.
        newest_event: The last event up to now, ISO 8601 in UTC; None without one.
        days_ago: Days from it to the store's clock.
        erased: Events that were left out because their customers were erased from the store.
        merges: Guests of the dataset who are one with their customer now.
        refused_merges: Those whom the store knows as guests of others, or as customers of guests.
        refused: Rows of the dataset that were left out, by reason.
        absent: Sales of the store, open or still to open, that the dataset does not hold.
        first_absent: The first of them.
        withdrawn: How many of them were closed because the dataset is a full dump.
        reopened: Sales that were over or deleted in the store and are open, or still to open, now.
        first_reopened: The first of them.
        kept_closed: Sales that the dataset would open too, and that stay over, see `Reopening`.
        first_kept_closed: The first of them.
        kept_deleted: Sales of the dataset, or of a restored store, that stay deleted.
        first_kept_deleted: The first of them.
        unknown_loss: Whether the store had lost sales whose last states this machine does not know.
        seconds: Duration of the load.
    """

    sales: int
    pictures: int
    known_pictures: int
    broken_pictures: int
    customers: int
    events: int
    newest_event: str | None
    days_ago: float | None
    erased: int
    merges: int
    refused_merges: int
    refused: dict[str, int]
    absent: int
    first_absent: tuple[str, ...]
    withdrawn: int
    reopened: int
    first_reopened: tuple[str, ...]
    kept_closed: int
    first_kept_closed: tuple[str, ...]
    kept_deleted: int
    first_kept_deleted: tuple[str, ...]
    unknown_loss: bool
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Labelling:
    """Labels of the pictures of a dataset.

    Attributes:
        pictures: Newly labelled pictures: neither the bundle nor the store knew their content.
        adopted: Labels of a bundle without hashes, with the hashes of today's files.
        n_known: Pictures that needed no labelling.
        n_broken: Pictures that could not be labelled.
    """

    pictures: Sequence[LabelledPicture]
    adopted: Sequence[LabelledPicture]
    n_known: int = 0
    n_broken: int = 0


@dataclass(frozen=True, slots=True)
class KnownPictures:
    """Pictures that are labelled already.

    Attributes:
        bundle: Labels of the bundle, by sale id.
        store: Pictures of the store, by sale id and number; they take precedence.
        scene_model: Id of the bundle's scene model.
    """

    bundle: Mapping[str, PictureScores]
    store: Mapping[tuple[str, int], StoredPicture]
    scene_model: str

    def include(self, sale_id: str, number: int, *, content: str) -> bool:
        """Tell whether a picture with a file's content needs no labelling.

        A picture put or removed over HTTP stays while the file is the one of the training.
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
        """Yield the bundle's labels of a sale that have no hash, with the hashes of its files."""
        known = self.bundle.get(sale_id)
        places = {(sale_id, number) for number in (*files, ALL_PICTURES)}
        if known is None or places & self.store.keys():
            return
        for number, scores in known.each.items():
            content = contents.get(files[number], "") if number in files else ""
            if content and not scores.content:
                hashed = replace(scores, content=content)
                yield LabelledPicture(sale_id, hashed, self.scene_model, number=number)


async def fill_from_dataset(
    dataset: Dataset,
    stores: Stores,
    *,
    bundle: Path | None,
    state_dir: Path,
    progress: Progress,
    is_full: bool = False,
    is_confirmed: bool = False,
) -> LoadSummary:
    """Fill a store from a dataset; a second load of the same dataset changes nothing.

    The bundle labels pictures whose content is new to it and to the store; without one they are
    left out. Sales that the store lost stay over or deleted where they were by the last catalogue
    of this machine, below the directory of its state; see `Reopening`. A full dataset holds every
    sale of the shop: others are withdrawn, more than half of them only where that is confirmed.

    Raises:
        BundleError: If the bundle is not sound.
        StoreUnavailableError: If the store does not answer; run it again.
        WithdrawalError: If the dataset does not look like a full dump; nothing was loaded.
    """
    started = time.monotonic()
    absent = await absent_from({sale.sale_id for sale in dataset.sales}, stores)
    if is_full:
        require_full(dataset, absent, confirmed=is_confirmed)
    held = await stores.sales.changes(0)
    labelling = await asyncio.to_thread(_label, dataset, bundle, held.pictures, progress=progress)
    now_us = await stores.server.time_us()
    reopening = Reopening.of(dataset.sales, await last_known(stores, state_dir), now_us=now_us)
    absent = absent.without({*reopening.kept, *reopening.deleted})
    await _put_catalogue(
        replace(dataset, sales=reopening.restored(dataset.sales)),
        labelling,
        stores,
        now_us=now_us,
        withdrawn=absent if is_full else None,
        deleted=reopening.deleted,
        unreadable=held.unreadable_pictures,
    )
    put = await _put_customers(dataset, stores, progress, now_us=now_us)
    summary = _summary(
        dataset,
        labelling,
        reopening=reopening,
        absent=absent,
        is_full=is_full,
        put=put,
        now_us=now_us,
    )
    return replace(summary, seconds=round(time.monotonic() - started, 3))


def _summary(
    dataset: Dataset,
    labelling: Labelling,
    *,
    reopening: Reopening,
    absent: Absent,
    is_full: bool,
    put: Put,
    now_us: int,
) -> LoadSummary:
    at_us = dataset.events.at_us[dataset.events.at_us <= now_us]
    newest_us = int(at_us.max()) if len(at_us) else None
    return LoadSummary(
        sales=len(dataset.sales),
        pictures=len(labelling.pictures),
        known_pictures=labelling.n_known,
        broken_pictures=labelling.n_broken,
        customers=put.customers,
        events=len(dataset.events),
        newest_event=None if newest_us is None else from_us(newest_us).isoformat(),
        days_ago=None if newest_us is None else round((now_us - newest_us) / DAY_US, 1),
        erased=put.erased,
        merges=put.merges,
        refused_merges=put.refused_merges,
        refused={code.value: n for code, n in dataset.faults.having(Effect.ROW).counts().items()},
        absent=len(absent.sales),
        first_absent=absent.first,
        withdrawn=len(absent.sales) if is_full else 0,
        reopened=len(reopening.opened),
        first_reopened=reopening.opened[:MAX_NAMED],
        kept_closed=len(reopening.kept),
        first_kept_closed=tuple(reopening.kept)[:MAX_NAMED],
        kept_deleted=len(reopening.deleted),
        first_kept_deleted=reopening.deleted[:MAX_NAMED],
        unknown_loss=reopening.unknown_loss,
    )


async def _put_catalogue(
    dataset: Dataset,
    labelling: Labelling,
    stores: Stores,
    *,
    now_us: int,
    withdrawn: Absent | None,
    deleted: Sequence[str],
    unreadable: Collection[Place],
) -> None:
    first_live_us = await stores.counts.first_live_us()
    history = loaded_counts(dataset.events, now_us, first_live_us=first_live_us)
    # Counts before sales: a worker that finds a new sale reads the counts, which must be complete.
    await stores.counts.put_history(history.by_hour, now_us=now_us)
    await stores.counts.put_purchases(history.purchases)
    loaded = {sale.sale_id for sale in dataset.sales}
    without = [place for place in unreadable if place[0] in loaded]
    await stores.sales.put(dataset.sales, without=without)
    if withdrawn:
        await withdraw(withdrawn, stores)
    for sale_id in deleted:  # a restored backup still has it
        await stores.sales.delete(sale_id)
    await stores.sales.put_pictures([*labelling.pictures, *labelling.adopted])
    # Last: workers that knew more than the store trust it again from now on.
    await stores.sales.vouch()


async def _put_customers(
    dataset: Dataset, stores: Stores, progress: Progress, *, now_us: int
) -> Put:
    customers = chain(
        loaded_customers(dataset.events, now_us),
        customers_without_events(dataset.customers, dataset.events, now_us=now_us),
    )
    progress.step("customers", len(dataset.events.customers.values))
    found = await _merge(customers, stores, progress)
    return Put(*found, *await _put_merges(dataset.events.merges.known(now_us), stores))


async def _put_merges(merges: MergeTable, stores: Stores) -> tuple[int, int]:
    """Put merges, and return how many there are, and how many the store refused."""
    n_refused = 0
    for guest_id, customer_id in zip(merges.guest_ids, merges.customer_ids, strict=True):
        try:
            await stores.merges.merge(guest_id, customer_id)
        except MergeRefusedError:
            n_refused += 1
    return len(merges) - n_refused, n_refused


async def fill_profiles(path: Path, stores: Stores, *, progress: Progress) -> int:
    """Replace the profiles of a store by those of a night; return the number of customers.

    A profile that begins before its customer's erasure is not kept, nor is one that would
    have expired. A second load of the same night changes nothing.

    Raises:
        ProfileFileError: If the file holds anything else.
        StoreUnavailableError: If the store does not answer; run it again.
    """
    known = list(read_profiles(path))
    progress.step("profiles", len(known))
    customers = (
        LoadedCustomer(one.customer_id, Window.empty(), one.profile, one.last_us, guests=one.guests)
        for one in known
    )
    n_customers, _ = await _merge(customers, stores, progress)
    return n_customers


async def _merge(
    customers: Iterable[LoadedCustomer], stores: Stores, progress: Progress
) -> tuple[int, int]:
    n_customers, n_erased = 0, 0
    remaining = iter(customers)
    while batch := list(islice(remaining, CUSTOMERS_AT_ONCE)):
        n_erased += await stores.customers.merge(batch)
        progress.advance(len(batch))
        n_customers += len(batch)
    return n_customers, n_erased


def _label(
    dataset: Dataset, directory: Path | None, held: Iterable[StoredPicture], *, progress: Progress
) -> Labelling:
    if directory is None:
        return Labelling([], [])
    bundle = read_bundle(directory)
    labeller = scene_labeller(bundle)
    if labeller is None:
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
    # `adopted` is stored too: from then on a changed file is recognised by its hash.
    n_known = sum(map(len, dataset.images.values())) - len(new)
    if not new:
        return Labelling([], adopted, n_known)
    progress.step("pictures", len(new))
    paths = [path for _, _, path in new]
    outcome = label_pictures(paths, labeller, on_picture=lambda: progress.advance(1))
    scores = outcome.scores
    pictures: list[LabelledPicture] = []
    for row, position in enumerate(map(int, outcome.positions)):
        sale_id, number, path = new[position]
        # With the hash of the file, the next load labels it only if the file changed.
        seen = replace(scores.for_picture(row), content=contents[path])
        unlike, model = bool(scores.unlike[row]), known.scene_model
        pictures.append(LabelledPicture(sale_id, seen, model, is_unlike=unlike, number=number))
    return Labelling(pictures, adopted, n_known, len(outcome.faults))
