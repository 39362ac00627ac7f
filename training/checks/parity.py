"""Offline-online parity check: recomputes served answers from exported files, bit for bit."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import polars as pl
import typer

from models.catalogue.catalogue import Catalogue
from models.catalogue.eligible_sales import EligibleSalesCache
from models.catalogue.snapshot_folder import SnapshotFolder
from models.dataset import Dataset, read_dataset
from models.dataset.guest_events import with_guests
from models.domain.customer import Window
from models.domain.errors import UserError
from models.domain.profile import Profile
from models.experiments.exposure import read_exposures
from models.experiments.exposure_record import ExposureRecord, read_records
from models.query.candidates import candidate_query
from models.scoring.bundle import read_bundle
from models.scoring.scorer import Scorer
from models.slate.shortlist import shortlisted
from training.console import Progress, bars, exit_on_user_error, print_json, print_remarks
from training.examples.replay import CountReplay, ProfileReplay, WindowReplay

# Chosen: an error of the code shows in some answers, a history that is missing in almost each.
NEARLY_ALL: Final = 0.9


class ParityError(UserError):
    """Exported files that answers cannot be recomputed from."""


@dataclass(frozen=True)
class Parity:
    """Parity of recomputed and served answers.

    Attributes:
        equal: Ids of answers whose features came out bit for bit.
        differing: Ids of those that did not.
        other_counts: Ids of answers whose counts alone came out differently.
    """

    equal: tuple[str, ...]
    differing: tuple[str, ...]
    other_counts: tuple[str, ...]

    @property
    def remark(self) -> str | None:
        """What to look at where nearly all answers differ; None where they do not."""
        n_differing = len(self.differing)
        if n_differing <= NEARLY_ALL * (n_differing + len(self.equal)):
            return None
        return (
            f"{n_differing:,} answers differ, {len(self.other_counts):,} of them in their counts,"
            " as where DIR lacks events that the service knew: if the store was filled by"
            " `python -m app load`, join the events of that dataset and of all exports in DIR"
        )


def read_answers(data: Path, bundle_id: str) -> list[ExposureRecord]:
    """Read the full answers of a bundle from exported exposures, ordered by time.

    Raises:
        ExposureError: If the directory has none that can be read.
    """
    # A degraded answer was ranked without the model, or without what the files know.
    full = pl.col("degraded").is_null() & (pl.col("bundle_id") == bundle_id)
    return list(read_records(read_exposures(data, where=full).sort("now")))


class OfflineRows:
    """Feature hashes recomputed from a dataset's events, through the replay of training."""

    def __init__(self, dataset: Dataset, scorer: Scorer, snapshots: Path) -> None:
        self._scorer = scorer
        self._snapshots = SnapshotFolder(snapshots)
        self._events = dataset.events
        self._windows = WindowReplay(dataset.events)
        self._profiles = ProfileReplay(dataset.events)
        customers: list[str] = with_guests(dataset.events).customers.values.to_list()
        self._customers = {customer: code for code, customer in enumerate(customers)}

    def compare(self, answers: list[ExposureRecord], progress: Progress) -> Parity:
        """Recompute answers and compare the hashes of their features."""
        equal: list[str] = []
        differing: list[str] = []
        other_counts: list[str] = []
        by_content: defaultdict[str, list[tuple[str, ExposureRecord]]] = defaultdict(list)
        for answer in answers:
            content_id, _, counts_id = answer.snapshot_id.partition(".")
            by_content[content_id].append((counts_id, answer))
        for content_id, of_content in by_content.items():
            try:
                content = self._snapshots.content(content_id)
                grid_us = {
                    one: self._snapshots.counts(one, n_sales=len(content.sales)).at_us
                    for one in {counts_id for counts_id, _ in of_content}
                }
            except OSError as exc:
                kept = "snapshots are kept for 30 days where the service ran"
                msg = f"{exc.filename} is missing: {kept}"
                raise ParityError(msg) from exc
            catalogue = content.catalogue(self._scorer.topics)
            half_lives = self._scorer.counts.half_lives
            replay = CountReplay(self._events, catalogue, half_lives=half_lives)
            # Workers step from one grid time to the next at slightly different moments, and the
            # replay only goes forward.
            for counts_id, answer in sorted(of_content, key=lambda one: grid_us[one[0]]):
                counted = catalogue.with_counts(replay.at(grid_us[counts_id]))
                if counted.counts.id != counts_id:
                    other_counts.append(answer.recommendation_id)
                same = self._hash(answer, counted) == answer.feature_hash
                (equal if same else differing).append(answer.recommendation_id)
                progress.tick()
        return Parity(tuple(equal), tuple(differing), tuple(other_counts))

    def _hash(self, answer: ExposureRecord, catalogue: Catalogue) -> str:
        window, profile = Window.empty(), Profile.empty()
        customer = self._customers.get(answer.customer_id or "")
        if customer is not None:
            window = self._windows.window(customer, answer.now_us)
            profile = self._profiles.profile(customer, answer.now_us)
        offer = EligibleSalesCache(catalogue).at(answer.market, answer.now_us)
        query = candidate_query(
            offer, answer.context, window=window, profile=profile, choice=answer.choice
        )
        rows = [one.row for one in answer.rows]
        query = shortlisted(
            query, self._scorer, policy=answer.policy, limit=answer.limit, rows=rows
        )
        return self._scorer.score(query).feature_hash


def parity_command(
    data: Annotated[
        Path, typer.Option(help="Sales, all events, and exposures.parquet.", exists=True)
    ],
    bundle: Annotated[Path, typer.Option(help="Directory of the bundle.", exists=True)],
    snapshots: Annotated[Path, typer.Option(help="The service's snapshots.", exists=True)],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Recompute logged answers from exported files; exit 1 if a feature differs by a bit."""
    with exit_on_user_error(), bars() as progress:
        scorer = Scorer.load(read_bundle(bundle))
        # Answers knew an event from when it was received, also of what was posted in bulk.
        dataset = read_dataset(data, as_received=True)
        answers = read_answers(data, scorer.bundle_id)
        progress.stage("answers", len(answers))
        parity = OfflineRows(dataset, scorer, snapshots).compare(answers, progress)
    if as_json:
        print_json(
            {
                "equal": len(parity.equal),
                "differing": list(parity.differing),
                "other_counts": list(parity.other_counts),
            }
        )
    else:
        typer.echo(f"{len(parity.equal)} answers equal, {len(parity.differing)} differing")
    print_remarks([parity.remark] if parity.remark else [])
    if parity.differing or not parity.equal:
        raise typer.Exit(1)
