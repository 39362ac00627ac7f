"""Features of slates by parts of the customers, on workers.

Customers do not know of each other: windows and profiles are replayed part by part. Counts of sales
are of all customers: they are replayed once, and go to the workers with the slates.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.arrays.atomic_file import write_file
from models.arrays.mapped_array import mapped_array, rows_of
from models.catalogue.catalogue import Catalogue
from models.catalogue.event_counts import N_KINDS
from models.dataset.event_split import (
    Split,
    events_path,
    part_numbers,
    parts_for,
    split_dataset,
)
from models.dataset.reading import Dataset
from models.domain.customer import Window
from models.domain.profile import Profile
from models.domain.sale import PictureScores
from models.pictures.topics import Topics
from models.query.query import CandidateCounts, Context, Query
from training.configuration import TrainingOptions
from training.console import Progress
from training.examples.assembly_run import AssemblyRun, PartSlates
from training.examples.cold_start_mask import ColdStartMask
from training.examples.point_in_time import PointInTime, assemble_slates, sales_as_known
from training.examples.refit import RefittedSchema
from training.parts.part import read_part
from training.parts.workers import workers

# Chosen: parts have to be many enough for workers, and each takes a pass of its own over the sales.
_PART_EVENTS: Final = 250_000


@dataclass(frozen=True, eq=False)
class PartedLog:
    """A dataset whose customers workers take part by part.

    Attributes:
        dataset: The dataset, cut at ``until_us``.
        until_us: End of the training data, microseconds since the epoch.
        pictures: Scores of the sales' pictures, by sale id.
        topics: Topics of pictures.
    """

    dataset: Dataset
    until_us: int
    pictures: Mapping[str, PictureScores]
    topics: Topics


def assemble_by_parts(
    log: PartedLog,
    past: PointInTime,
    *,
    mask: ColdStartMask,
    schema: RefittedSchema,
    options: TrainingOptions,
    progress: Progress,
) -> NDArray[np.float32]:
    """Assemble the features of all entries of slates, to the bit those of `assemble_slates`.

    Args:
        log: The dataset.
        past: The state at every moment.
        mask: The slates, ordered by time, and what is masked of them.
        schema: The features, of one fit a period.
        options: Who the workers are; they see the dataset and `scratch` under the same paths.
        progress: Counts parts.

    Returns:
        Shape ``(n_entries, n_features)``.

    Raises:
        WorkersError: If the workers were lost.
        OSError: If a file cannot be written.
    """
    directory, merges = log.dataset.directory.absolute(), log.dataset.events.merges
    n_parts, scratch = options.n_parts, options.scratch or Path(gettempdir())
    n_parts = n_parts or parts_for(events_path(directory), n_events=_PART_EVENTS)
    scratch.mkdir(parents=True, exist_ok=True)
    progress.stage("splitting")
    with TemporaryDirectory(dir=scratch, prefix="parts-") as folder:
        run = AssemblyRun(
            data=directory,
            folder=Path(folder).absolute(),
            until_us=log.until_us,
            half_lives=past.half_lives,
            starts_us=tuple(schema.starts_us),
            recommenders=tuple(one.name for one in schema.schemas[0].recommenders),
            caller_orders=options.config.caller_orders,
        )
        split_dataset(
            directory,
            log.dataset.customers,
            merges=merges,
            folder=run.split,
            n_parts=n_parts,
        )
        run.write_sales(sales_as_known(log.dataset, log.pictures), log.topics)
        run.write_schema(schema)
        ids = past.events.customers.values
        parts = part_numbers(ids, n_parts=n_parts, merges=merges)[mask.slates.customers]
        places = {part: np.flatnonzero(parts == part) for part in np.unique(parts).tolist()}
        progress.stage("counts", len(mask.slates))
        _write_slates(run, past, mask, places=places, scratch=scratch, progress=progress)
        progress.stage("features", len(places))
        # Only now: workers that wait take memory and time.
        with workers(options.scheduler, n_processes=options.n_processes or 1) as started:
            started.run(assemble_part, run, parts=places, progress=progress)
        shape = len(mask.slates.rows), len(schema.names)
        matrix = mapped_array(shape, np.float32, folder=options.scratch)
        for part, chosen in places.items():
            matrix[mask.slates.entries_of(chosen)] = np.load(run.matrix(part), mmap_mode="r")
    return matrix


def assemble_part(run: AssemblyRun, part: int) -> None:
    """Write the features of the slates of a part's customers.

    Raises:
        PartError: If the part cannot be read.
        OSError: If the file cannot be written.
    """
    events, _, _ = read_part(Split.read(run.split), part, data=run.data)
    events = events.select(events.received_us < run.until_us)
    found = PartSlates.from_bytes(run.slates(part).read_bytes(), events)
    catalogue, schema = _model(run)
    # Counts come with the slates: those of the part's own events would be too few.
    nothing = events.select(np.zeros(len(events), dtype=np.bool_))
    past = PointInTime(events, catalogue, run.half_lives, counted=nothing)

    def counted(slate: int, _query: Query) -> CandidateCounts:
        entries, counts = found.mask.slates.entries(slate), found.counts
        return CandidateCounts(
            counts.decayed[:, :, entries], counts.totals[:, entries], counts.look_alikes[:, entries]
        )

    matrix = assemble_slates(
        past,
        found.mask.slates,
        schema=schema,
        caller_orders=run.caller_orders,
        masked=found.mask.apply,
        counted=counted,
    )
    buffer = io.BytesIO()
    np.save(buffer, matrix, allow_pickle=False)
    write_file(run.matrix(part), buffer.getvalue())


def _write_slates(
    run: AssemblyRun,
    past: PointInTime,
    mask: ColdStartMask,
    *,
    places: Mapping[int, NDArray[np.intp]],
    scratch: Path,
    progress: Progress,
) -> None:
    """Write the slates of each part, with the counts of all customers at their moments."""
    slates, n_lives = mask.slates, len(past.half_lives)
    # Of each entry: by half-life, the totals, and those of look-alikes.
    shape = len(slates.rows), n_lives + 2, N_KINDS
    counts = mapped_array(shape, np.float64, folder=scratch)
    for slate, catalogue in enumerate(past.catalogues(slates)):
        entries = slates.entries(slate)
        unknown = Query(
            window=Window.empty(),
            profile=Profile.empty(),
            catalogue=catalogue,
            context=Context(int(slates.now_us[slate]) - 1),
            rows=slates.rows[entries],
        )
        found = CandidateCounts.from_query(mask.apply(slate, unknown))
        counts[entries, :n_lives] = np.moveaxis(found.decayed[:, 0], 0, 1)
        counts[entries, n_lives], counts[entries, n_lives + 1] = found.totals, found.look_alikes
        progress.tick()
    for part, chosen in places.items():
        own = rows_of(counts, slates.entries_of(chosen))
        counted = CandidateCounts(
            np.moveaxis(own[:, :n_lives], 1, 0)[:, None],
            own[:, n_lives][None],
            own[:, n_lives + 1][None],
        )
        content = PartSlates(mask.select(chosen), counted).to_bytes(past.events)
        write_file(run.slates(part), content)


# A worker process reads sales and recommenders once for all parts of a run.
@lru_cache(maxsize=1)
def _model(run: AssemblyRun) -> tuple[Catalogue, RefittedSchema]:
    return run.catalogue(), run.schema()
