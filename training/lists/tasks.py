"""Tasks of a list run: each makes the file of one part, anywhere, any number of times.

A file is there whole or not at all, and the same task makes the same bytes.
"""

import io
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product
from typing import Final

import polars as pl

from models.arrays.atomic_file import write_file
from models.arrays.parquet import read_parquet
from models.catalogue.catalogue import Catalogue
from models.catalogue.event_counts import SaleCounts
from models.catalogue.snapshot import Snapshot
from models.dataset.event_split import Split
from models.domain.customer import Window
from models.domain.errors import UserError
from models.domain.profile import Profile
from models.scoring.bundle import read_bundle
from models.scoring.scorer import Scorer
from training.lists.counts import PartCounts, counts_of
from training.lists.customers import (
    KnownCustomer,
    customers_by_device,
    known_customers,
    packed,
    unpacked,
)
from training.lists.list_run import STRANGERS, ListRun, Shop
from training.lists.scoring import ListScorer
from training.parts.part import read_part

# Chosen: devices are texts of the caller, of which a shop has a handful.
MAX_DEVICES: Final = 20
_UNUSED: Final = ("session_id", "exposure_id", "variant")


class ListsError(UserError):
    """Lists that cannot be made."""


@dataclass(frozen=True, slots=True, eq=False)
class _Model:
    """A bundle, and the sales of the run as its catalogue, without counts."""

    scorer: Scorer
    catalogue: Catalogue


def prepare_part(run: ListRun, part: int) -> None:
    """Read the events of a part: write its customers, and what they add to the counts of sales.

    Raises:
        ListsError: If another bundle is at the path of the run's.
        PartError: If the part cannot be read.
        OSError: If a file cannot be written.
    """
    path = run.part_counts(part)
    if path.exists():
        return
    events, customers, n_refused = read_part(
        Split.read(run.split), part, data=run.data, without=_UNUSED
    )
    known = known_customers(events, customers, at_us=run.at_us)
    write_file(run.known(part), parquet_bytes(packed(known)))
    rows = _model(run).catalogue.rows_for(events.sale_keys)
    hourly = counts_of(events, rows, at_us=run.at_us)
    counted = PartCounts(hourly, customers_by_device(events, at_us=run.at_us), n_refused)
    write_file(path, counted.to_bytes())  # last: a part with counts is prepared


def score_part(run: ListRun, part: int) -> None:
    """Write the lists of a prepared part's customers, or their probabilities of one sale.

    Raises:
        ListsError: If another bundle is at the path of the run's.
        OSError: If the file cannot be written.
    """
    path = run.result(part)
    if path.exists():
        return
    scorer, row = _list_scorer(run), None
    customers = _strangers(run) if part == STRANGERS else unpacked(read_parquet(run.known(part)))
    if run.sale_id is not None:
        row = _model(run).catalogue.row_for(run.sale_id)
    if row is not None:
        found = scorer.audience(customers, row=row)
    else:
        found = scorer.lists(customers, limit=run.top, n_explained=run.n_explained)
    write_file(path, parquet_bytes(found))


def parquet_bytes(frame: pl.DataFrame) -> bytes:
    """Serialise a table: the same rows are the same bytes."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd")
    return buffer.getvalue()


def _strangers(run: ListRun) -> list[KnownCustomer]:
    markets = _model(run).catalogue.markets.names
    devices = Shop.model_validate_json(run.shop.read_bytes()).devices
    unknown = partial(KnownCustomer, None, Window.empty(), Profile.empty())
    return [unknown(*one) for one in product((None, *markets), (None, *devices))]


# A worker process loads bundle and catalogue once for all parts of a run.
@lru_cache(maxsize=1)
def _model(run: ListRun) -> _Model:
    scorer = Scorer.load(read_bundle(run.bundle))
    if scorer.bundle_id != run.bundle_id:
        msg = f"{run.bundle} holds {scorer.bundle_id} here, and the lists are of {run.bundle_id}"
        raise ListsError(msg)
    content = Snapshot.from_bytes(run.content.read_bytes())
    return _Model(scorer, content.catalogue(scorer.topics))


@lru_cache(maxsize=1)
def _list_scorer(run: ListRun) -> ListScorer:
    model = _model(run)
    counts = SaleCounts.from_bytes(run.counts.read_bytes(), n_sales=len(model.catalogue))
    catalogue = model.catalogue.with_counts(counts)
    return ListScorer(
        model.scorer,
        catalogue,
        at_us=run.at_us,
        policy=run.policy,
        hide_disliked_days=run.hide_disliked_days,
    )
