"""What serving needs from a store, without knowing which.

Every method may raise `app.errors.StoreUnavailableError`, and nothing else for a store
that is down, slow or refuses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from app.stores.exposure_record import PackedExposure
from app.stores.plan_port import PlanStore
from app.stores.promotion_port import PromotionStore
from app.stores.server_port import StoreServer
from models.domain.customer import Window
from models.domain.event import Event
from models.domain.profile import Profile
from models.domain.sale import COVER, PictureScores, Sale


@dataclass(frozen=True, slots=True, eq=False)
class CustomerState:
    """What one read of the store says about a customer.

    Attributes:
        now_us: The store's clock in the same round trip, microseconds since the epoch:
            an acknowledged event is never later than it.
        window: His latest events, and what he was shown; empty for an unknown customer.
        profile: What lies further back; empty for an unknown customer.
    """

    now_us: int
    window: Window
    profile: Profile


@dataclass(frozen=True, slots=True, eq=False)
class KnownCustomer:
    """All that is kept of a customer.

    Attributes:
        now_us: The store's clock, microseconds since the epoch.
        window: His latest events, and what he was shown.
        profile: What lies further back.
        n_remembered: Events of the last days that are remembered by key, to count none twice.
        expires_us: When window and profile are forgotten if he does nothing more; None if
            neither is there.
    """

    now_us: int
    window: Window
    profile: Profile
    n_remembered: int
    expires_us: int | None


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was erased.

    Attributes:
        erased_us: When, by the store's clock, microseconds since the epoch.
        n_events: Events of the window.
        n_shown: Sales that he was shown last.
        n_profiles: 1 if there was a profile, else 0.
        n_remembered: Events of the last days that were remembered by key.
    """

    erased_us: int
    n_events: int
    n_shown: int
    n_profiles: int
    n_remembered: int


class EventStatus(StrEnum):
    """What became of an event."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class EventOutcome:
    """The store's answer to one event.

    Attributes:
        status: What became of it.
        reason: A stable word for a rejection (see `models.domain.event.Refusal`), else None.
    """

    status: EventStatus
    reason: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class LabelledPicture:
    """What one picture of a sale shows, and who says so.

    Attributes:
        sale_id: The sale.
        scores: Label probabilities and embedding of this picture.
        scene_model: Id of the scene model; scores of different models do not compare.
        is_unlike: Whether it is like no scene that the model knows; None if nobody looked.
        number: Which picture of the sale, from `models.domain.sale.COVER` to `MAX_PICTURES`.
    """

    sale_id: str
    scores: PictureScores
    scene_model: str
    is_unlike: bool | None = None
    number: int = COVER


ALL_PICTURES: Final = 0
"""Number of a removed picture that stands for all that bundles know of a sale's id."""


@dataclass(frozen=True, slots=True)
class RemovedPicture:
    """A picture that a sale no longer has, even where a bundle was trained with it.

    Attributes:
        sale_id: The sale.
        number: Which picture of it; `ALL_PICTURES` where a sale of this id was deleted.
    """

    sale_id: str
    number: int


StoredPicture = LabelledPicture | RemovedPicture


@dataclass(frozen=True, slots=True, eq=False)
class StoredSale:
    """What the store holds of one sale.

    Attributes:
        sale: The sale as last put.
        pictures: What is said of its pictures, by number.
    """

    sale: Sale
    pictures: tuple[StoredPicture, ...]


@dataclass(frozen=True, slots=True, eq=False)
class SaleChanges:
    """What changed in the catalogue after a version.

    Attributes:
        generation: Another one once the store was emptied; empty without, or if it lacks something.
        version: Pass it to the next call; the same if nothing changed, less if changes were lost.
        vouched: Version at which the catalogue was last said to be whole, 0 if never.
        n_sales: Sales in the store now.
        server: Which server answered, by its run and its replication.
        sales: Sales put since, each in its latest form.
        pictures: Pictures labelled or removed since, each in its latest form.
        deleted: Ids deleted since, and not put again.
        unpictured: Id and number of pictures that went with their sale, and were not put again.
    """

    generation: str
    version: int
    vouched: int
    n_sales: int
    server: str
    sales: tuple[Sale, ...]
    pictures: tuple[StoredPicture, ...]
    deleted: tuple[str, ...]
    unpictured: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class EventCounts:
    """Events per (sale, type, hour of ``received_at``), in any order, entries may repeat.

    Attributes:
        sale_keys: Keys of the sales, shape ``(n,)``.
        kinds: Type codes, shape ``(n,)``.
        hours: Hours since the epoch, shape ``(n,)``.
        counts: Positive numbers of events, shape ``(n,)``.
    """

    sale_keys: NDArray[np.uint64]
    kinds: NDArray[np.int64]
    hours: NDArray[np.int64]
    counts: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which bundles all workers shall serve; an empty id stands for none.

    Attributes:
        active: Answers; empty before the first activation, when each worker's settings decide.
        previous: Answered before, and is kept ready.
        shadow: Scores, and nobody sees it.
    """

    active: str
    previous: str
    shadow: str


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """What a worker says of itself.

    Attributes:
        worker: Its name: machine and process.
        active: The bundle that answers, empty without.
        previous: The bundle that is kept ready, empty without.
        shadow: The bundle that nobody sees, empty without.
        failure: Why it does not serve what is wanted; None if it does.
        n_unread_pictures: Pictures that another scene model labelled.
    """

    worker: str
    active: str
    previous: str
    shadow: str
    failure: str | None
    n_unread_pictures: int


class CustomerStore(Protocol):
    """Keeps each customer's window and profile."""

    async def read(self, customer_id: str) -> CustomerState:
        """Read a customer in one round trip; an unknown one is empty, not an error."""
        ...

    async def append(self, events: Sequence[Event]) -> list[EventOutcome]:
        """Accept or refuse each event, atomically per event, in the order given.

        When this returns, every later `read` of any worker sees the accepted events.
        A failure half-way may leave earlier events accepted: to repeat the batch is safe.
        """
        ...

    async def describe(self, customer_id: str) -> KnownCustomer:
        """Return all that is kept of a customer; nothing of an unknown one."""
        ...

    async def erase(self, customer_id: str) -> Erasure:
        """Erase a customer, atomically, and log that he was.

        Events with ``at`` up to that moment are answered `EventStatus.ERASED` from then on,
        later ones start a new customer. To repeat it is safe.
        """
        ...


class SaleStore(Protocol):
    """The source of truth of the catalogue."""

    async def put(self, sales: Sequence[Sale]) -> int:
        """Insert or replace sales; return the new version; see also `CatalogueFullError`."""
        ...

    async def read(self, sale_id: str) -> StoredSale | None:
        """Return one sale as it stands now, whatever `changes` said last; None if unknown."""
        ...

    async def read_many(self, sale_ids: Sequence[str]) -> dict[str, Sale]:
        """Return those of the sales that are known, as they stand now, by id."""
        ...

    async def put_pictures(self, pictures: Sequence[StoredPicture]) -> frozenset[str]:
        """Keep what sales' pictures show, or that they are removed.

        Nothing is kept of a sale that is not there at that moment: the ids of such sales are
        returned.
        """
        ...

    async def delete(self, sale_id: str) -> bool:
        """Delete a sale and its pictures; return whether it was known."""
        ...

    async def changes(self, since: int) -> SaleChanges:
        """Return what changed after a version; 0 returns everything."""
        ...

    async def vouch(self) -> None:
        """Say that the catalogue is whole: workers trust it instead of what they know."""
        ...

    async def distrust(self, generation: str, version: int) -> None:
        """Say that the catalogue lacks something that a worker knows, until it is vouched for.

        Nothing but the version changes where the store has another generation by now. Later
        changes get versions above the given one.
        """
        ...


class CountStore(Protocol):
    """Counts events per sale, type and time of reception."""

    async def since(self, hour: int, *, until_us: int) -> EventCounts:
        """Return the counts of events received from an hour on and before a grid time.

        Args:
            hour: First hour wanted, since the epoch.
            until_us: A time on the grid of `models.catalogue.event_counts.GRID_US`, not after the
                store's clock. The hour that it cuts is counted up to it.
        """
        ...


class ExposureLog(Protocol):
    """Keeps the records of answers."""

    async def append(self, exposures: Sequence[PackedExposure]) -> None:
        """Keep the records, in one round trip per partition at most."""
        ...


class BundleStore(Protocol):
    """Tells all workers which bundles to serve."""

    async def wanted(self) -> Wanted:
        """Return what all workers shall serve."""
        ...

    async def activate(self, bundle_id: str, *, instead_of: str) -> Wanted:
        """Want a bundle to answer; the one that was wanted is the previous one then.

        Where nothing was wanted so far that is ``instead_of``, empty for nothing.
        """
        ...

    async def shadow(self, bundle_id: str) -> None:
        """Want a bundle to score unseen; with an empty id, none."""
        ...

    async def restore(self, wanted: Wanted) -> None:
        """Want this where nothing is wanted."""
        ...

    async def report(self, report: WorkerReport) -> None:
        """Keep what a worker says of itself, for ten seconds."""
        ...

    async def reports(self) -> list[WorkerReport]:
        """Return what living workers said last, by name."""
        ...


class Stores(Protocol):
    """All ports of one store."""

    @property
    def customers(self) -> CustomerStore:
        """Windows and profiles."""
        ...

    @property
    def sales(self) -> SaleStore:
        """The catalogue."""
        ...

    @property
    def counts(self) -> CountStore:
        """Event counters."""
        ...

    @property
    def exposures(self) -> ExposureLog:
        """Records of answers."""
        ...

    @property
    def bundles(self) -> BundleStore:
        """Which bundles to serve."""
        ...

    @property
    def plans(self) -> PlanStore:
        """The plan of experiments."""
        ...

    @property
    def promotions(self) -> PromotionStore:
        """The way of bundles to customers."""
        ...

    @property
    def server(self) -> StoreServer:
        """The store as a whole."""
        ...
