"""Proves that offline rows equal online rows: answers recomputed from exported files."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import polars as pl
import typer
from numpy.typing import NDArray

from models.arrays.parquet import read_parquet
from models.catalogue.catalogue import Catalogue
from models.catalogue.snapshot_folder import SnapshotFolder
from models.dataset import Dataset, read_dataset
from models.domain.customer import Window
from models.domain.errors import UserError
from models.domain.event import key, to_us
from models.domain.profile import Profile
from models.query.caller_candidates import CallerCandidates
from models.query.query import Context, Query
from models.scoring.bundle import read_bundle
from models.scoring.scorer import Scorer
from training.console import Progress, bars, exit_on_user_error, print_json
from training.examples.replay import CountReplay, ProfileReplay, WindowReplay

EXPOSURES: Final = "exposures.parquet"


class ParityError(UserError):
    """Exported files that answers cannot be recomputed from."""


@dataclass(frozen=True)
class Answer:
    """What an exposure record says an answer was computed from.

    Attributes:
        recommendation_id: Its id.
        customer_id: Who was answered.
        now_us: Its moment by the store's clock.
        market: As asked.
        device: As asked.
        exclude: Sales that the caller excluded.
        candidates: Sales that the caller wanted to have ranked; None for all sales.
        is_ordered: Whether their order says something.
        content_id: Content of the catalogue.
        counts_id: Hash of its counts.
        feature_hash: Hash of the feature matrix that was scored.
    """

    recommendation_id: str
    customer_id: str
    now_us: int
    market: str | None
    device: str | None
    exclude: frozenset[str]
    candidates: tuple[str, ...] | None
    is_ordered: bool
    content_id: str
    counts_id: str
    feature_hash: str


@dataclass(frozen=True)
class Parity:
    """How recomputed answers compare.

    Attributes:
        equal: Ids of answers whose features came out bit for bit.
        differing: Ids of those that did not.
        other_counts: Ids of answers whose counts alone came out differently.
    """

    equal: tuple[str, ...]
    differing: tuple[str, ...]
    other_counts: tuple[str, ...]


def read_answers(path: Path, bundle_id: str) -> list[Answer]:
    """Read the full answers of a bundle from exported exposures, ordered by time."""
    frame = read_parquet(path).filter(
        pl.col("degraded").is_null() & (pl.col("bundle_id") == bundle_id)
    )
    return [
        Answer(
            recommendation_id=row["recommendation_id"],
            customer_id=row["customer_id"],
            now_us=to_us(row["now"]),
            market=row["market"],
            device=row["device"],
            exclude=frozenset(row["exclude"]),
            candidates=None if row["candidates"] is None else tuple(row["candidates"]),
            is_ordered=row["candidates_ordered"],
            content_id=row["snapshot_id"].partition(".")[0],
            counts_id=row["snapshot_id"].partition(".")[2],
            feature_hash=row["feature_hash"],
        )
        for row in frame.sort("now").iter_rows(named=True)
    ]


class OfflineRows:
    """Feature hashes recomputed from a dataset's events, through the replay of training."""

    def __init__(self, dataset: Dataset, scorer: Scorer, snapshots: Path) -> None:
        self._scorer = scorer
        self._snapshots = SnapshotFolder(snapshots)
        self._events = dataset.events
        self._windows = WindowReplay(dataset.events)
        self._profiles = ProfileReplay(dataset.events)
        customers: list[str] = dataset.events.customers.values.to_list()
        self._customers = {customer: code for code, customer in enumerate(customers)}

    def compare(self, answers: list[Answer], progress: Progress) -> Parity:
        """Recompute answers and compare the hashes of their features."""
        equal: list[str] = []
        differing: list[str] = []
        other_counts: list[str] = []
        for content_id in dict.fromkeys(answer.content_id for answer in answers):
            catalogue = self._catalogue(content_id)
            of_content = [answer for answer in answers if answer.content_id == content_id]
            for answer, counted in self._counted(of_content, catalogue):
                if counted.counts.id != answer.counts_id:
                    other_counts.append(answer.recommendation_id)
                same = self._hash(answer, counted) == answer.feature_hash
                (equal if same else differing).append(answer.recommendation_id)
                progress.tick()
        return Parity(tuple(equal), tuple(differing), tuple(other_counts))

    def _catalogue(self, content_id: str) -> Catalogue:
        try:
            content = self._snapshots.content(content_id)
        except OSError as exc:
            raise ParityError(_missing(exc)) from exc
        return content.catalogue(self._scorer.topics)

    def _counted(
        self, answers: list[Answer], catalogue: Catalogue
    ) -> Iterator[tuple[Answer, Catalogue]]:
        """Pair each answer with the counts of its grid time, recomputed from the events."""
        replay = CountReplay(self._events, catalogue)
        grid_us = {
            counts_id: self._grid_us(counts_id, len(catalogue))
            for counts_id in {answer.counts_id for answer in answers}
        }
        # Workers step from one grid time to the next at slightly different moments.
        for answer in sorted(answers, key=lambda answer: grid_us[answer.counts_id]):
            yield answer, catalogue.with_counts(replay.at(grid_us[answer.counts_id]))

    def _grid_us(self, counts_id: str, n_sales: int) -> int:
        try:
            return self._snapshots.counts(counts_id, n_sales=n_sales).at_us
        except OSError as exc:
            raise ParityError(_missing(exc)) from exc

    def _state(self, answer: Answer) -> tuple[Window, Profile]:
        customer = self._customers.get(answer.customer_id)
        if customer is None:
            return Window.empty(), Profile.empty()
        return (
            self._windows.window(customer, answer.now_us),
            self._profiles.profile(customer, answer.now_us),
        )

    def _hash(self, answer: Answer, catalogue: Catalogue) -> str:
        window, profile = self._state(answer)
        rows = _rows(answer, catalogue)
        query = Query(
            window=window,
            profile=profile,
            catalogue=catalogue,
            context=Context(answer.now_us, answer.market, answer.device),
            rows=rows,
            listing=CallerCandidates.of(catalogue, rows) if answer.is_ordered else None,
        )
        return self._scorer.score(query).feature_hash


def _rows(answer: Answer, catalogue: Catalogue) -> NDArray[np.int64]:
    """Return the candidates of an answer, in the caller's order where that says something."""
    rows = catalogue.eligible(answer.market, answer.now_us)
    rows = rows[~np.isin(catalogue.keys[rows], _keys(answer.exclude))]
    if answer.candidates is None:
        return rows
    asked = catalogue.rows_of(_keys(answer.candidates))
    kept = asked[np.isin(asked, rows)]
    return kept if answer.is_ordered else np.sort(kept)


def _keys(sale_ids: Iterable[str]) -> NDArray[np.uint64]:
    return np.array([key(sale_id) for sale_id in sale_ids], dtype=np.uint64)


def _missing(exc: OSError) -> str:
    return f"{exc.filename} is missing: snapshots are kept for 30 days where the service ran"


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
        answers = read_answers(data / EXPOSURES, scorer.bundle_id)
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
    if parity.differing or not parity.equal:
        raise typer.Exit(1)
