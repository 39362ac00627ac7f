"""``python -m app replay``: recompute recorded answers, and compare them bit for bit."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Final

import polars as pl
import typer

from app.bundles.bundle_repository import BundleRepository
from app.catalogue.catalogue_version import CatalogueVersion
from app.catalogue.snapshot_archive import SnapshotArchive
from app.cli.console import (
    JsonOption,
    RedisUrlOption,
    exit_on_user_error,
    print_summary,
    read_settings,
    with_stores,
)
from app.errors import BundleRefusedError, UnknownBundleError
from app.export import exposure_table
from app.observability import Metrics, configure_logging
from app.recommend.degradation_level import CAUSES, DegradationLevel
from app.recommend.ranking import SlateRanker
from app.recommend.request import RankingRequest, RecommendationRequest, Rival
from app.resources import SNAPSHOTS, scoring_versions
from app.stores.connection import Connection
from app.stores.customer_state import CustomerState
from app.stores.exposure import unpacked
from app.stores.keys import exposures_stream
from app.stores.stream import Cursors, Streams
from models.domain.customer import Window
from models.domain.customer_list import CustomerList
from models.domain.errors import UserError
from models.domain.profile import Profile
from models.experiments.exposure import read_exposures
from models.experiments.exposure_record import ExposureRecord, read_records
from models.scoring.scorer import Scorer

# Entries of each partition in one read; chosen, not measured.
ENTRIES_AT_ONCE: Final = 200

_ID: Final = "recommendation_id"


def replay_command(
    recommendation_id: Annotated[
        str | None, typer.Argument(help="Id of an answer.", show_default=False)
    ] = None,
    *,
    data: Annotated[
        Path | None, typer.Option("--exported", help="Look there, and not in the store.")
    ] = None,
    everything: Annotated[
        Path | None, typer.Option("--all", help="Replay all answers exported to a directory.")
    ] = None,
    redis_url: RedisUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make answers again from their records; exit 1 if one differs by a bit or cannot be made."""
    if (recommendation_id is None) == (everything is None):
        typer.echo("error: name one answer, or a directory by --all", err=True)
        raise typer.Exit(2)
    settings = read_settings(redis_url=redis_url)
    configure_logging("warning")
    with exit_on_user_error():
        if everything is not None:
            exposures = read_exposures(everything)
        elif data is not None:
            exposures = read_exposures(data, where=pl.col(_ID) == recommendation_id)
        else:
            wanted = recommendation_id or ""
            exposures = with_stores(settings, lambda stores: stored(stores.connection, wanted))
        if recommendation_id is not None and not exposures.height:
            where = data or "the store: what was exported is no longer there, see --exported"
            msg = f"no answer {recommendation_id!r} in {where}"
            raise ReplayError(msg)
        repository = BundleRepository.from_settings(settings)
        archive = SnapshotArchive(settings.state_dir / SNAPSHOTS)
        replays = replay_all(exposures, Replayer(repository, archive))
    print_summary(asdict(replays), as_json=as_json)
    if replays.equal < exposures.height or not exposures.height:
        raise typer.Exit(1)


class ReplayError(UserError):
    """An answer that cannot be computed again: its record, bundle or snapshot is not here."""


@dataclass(slots=True)
class Replayer:
    """Ranks recorded requests again, with bundles and snapshots of this machine."""

    repository: BundleRepository
    archive: SnapshotArchive
    _ranker: SlateRanker = field(default_factory=lambda: SlateRanker(Metrics()))
    _scorers: dict[str, Scorer | None] = field(default_factory=dict[str, Scorer | None])
    _served: dict[tuple[str, str], CatalogueVersion] = field(
        default_factory=dict[tuple[str, str], CatalogueVersion]
    )

    def difference(self, recorded: ExposureRecord) -> str | None:
        """Compute an answer again and describe its first difference, None if it is the same.

        Raises:
            ReplayError: If its bundle or its snapshot is not here.
        """
        try:
            asked = self._asked(recorded)
        except ValueError as exc:
            msg = f"its level or its exploration is none of this software: {exc}"
            raise ReplayError(msg) from exc
        again = self._ranker.rank(asked)
        pairs: list[tuple[str, object, object]] = [
            ("degraded", recorded.degraded, again.degraded),
            ("feature hash", recorded.feature_hash, again.feature_hash),
            ("length of the slate", len(recorded.slate), len(again.slate)),
        ]
        ranks = zip(recorded.slate, again.slate, strict=False)
        pairs.append(("interleaving", recorded.interleaving, again.interleaving))
        pairs.append(("rows", recorded.rows, again.rows))
        pairs.append(("covers", recorded.covers, again.covers))
        pairs += ((f"rank {then.rank}", then, now) for then, now in ranks)
        differences = (
            f"{what}: recorded {then}, made again {now}" for what, then, now in pairs if then != now
        )
        return next(differences, None)

    def _asked(self, recorded: ExposureRecord) -> RankingRequest:
        if not recorded.snapshot_id:
            return _asked(recorded, None)
        # Only what a model scored has features; without them no model may score again.
        bundle_id = recorded.bundle_id if recorded.feature_hash else ""
        wanted, shared = [(bundle_id, recorded.snapshot_id)], recorded.interleaving
        if shared is not None:
            wanted.append((shared.bundle_id, shared.snapshot_id))
        # No others: each may be of a hundred thousand sales.
        self._served = {one: self._served.get(one) or self._loaded(*one) for one in wanted}
        asked = _asked(recorded, self._served[wanted[0]])
        if shared is None:
            return asked
        names = shared.experiment, shared.first, shared.second
        return replace(asked, rival=Rival(*names, self._served[wanted[1]], shared.policy))

    def _loaded(self, bundle_id: str, snapshot_id: str) -> CatalogueVersion:
        if bundle_id and bundle_id not in self._scorers:
            try:
                self._scorers[bundle_id] = self.repository.load(bundle_id).scorer
            except (UnknownBundleError, BundleRefusedError) as exc:
                raise ReplayError(str(exc)) from exc
        try:
            return self.archive.load(snapshot_id, self._scorers.get(bundle_id))
        except (OSError, ValueError) as exc:
            msg = (
                f"snapshot {snapshot_id} is not here: {exc}; snapshots are kept for 30"
                " days where the service ran, below VITRINE_STATE_DIR"
            )
            raise ReplayError(msg) from exc


@dataclass(frozen=True, slots=True)
class Replays:
    """Result of a replay.

    Attributes:
        equal: Answers that are equal bit for bit.
        differing: The first difference of every other answer, by id.
        impossible: What was missing, by id of the answer.
        other_versions: Libraries that scored in another version than is here: bits may differ.
    """

    equal: int
    differing: dict[str, str]
    impossible: dict[str, str]
    other_versions: tuple[str, ...]


def replay_all(exposures: pl.DataFrame, replayer: Replayer) -> Replays:
    """Compute many answers again.

    Raises:
        ExposureError: If they are not recorded as this software does.
    """
    equal, differing, impossible = 0, dict[str, str](), dict[str, str]()
    others, here = set[str](), dict(scoring_versions())
    # Those of one bundle and snapshot together: each is loaded once.
    together = exposures.sort("bundle_id", "snapshot_id", "now", _ID)
    for recorded in read_records(together):
        others.update(
            f"{name} was {then}, is {here.get(name, 'missing')}"
            for name, then in recorded.versions
            if here.get(name) != then
        )
        try:
            difference = replayer.difference(recorded)
        except ReplayError as exc:
            impossible[recorded.recommendation_id] = str(exc)
            continue
        if difference is None:
            equal += 1
        else:
            differing[recorded.recommendation_id] = difference
    return Replays(equal, differing, impossible, tuple(sorted(others)))


async def stored(connection: Connection, recommendation_id: str) -> pl.DataFrame:
    """Find an answer in the store, which has it until it is exported.

    Returns:
        One row, or none.
    """
    streams = Streams(connection, exposures_stream)
    cursors: Cursors = {}
    wanted = f'"{recommendation_id}"'.encode()
    while (batch := await streams.read(cursors, n_each=ENTRIES_AT_ONCE)).fields:
        # In bytes first: only records that hold the id are parsed.
        found = [fields for fields in batch.fields if _holds(fields, wanted)]
        table = exposure_table(found)
        one = table.filter(pl.col(_ID) == recommendation_id)
        if one.height:
            return one
        cursors = batch.cursors
    return exposure_table([])


def _holds(fields: Mapping[bytes, bytes], wanted: bytes) -> bool:
    try:
        return wanted in unpacked(fields[b"x"])
    except (KeyError, ValueError):  # another program's entry; an export counts and names it
        return False


def _asked(recorded: ExposureRecord, served: CatalogueVersion | None) -> RankingRequest:
    """Return the ranking request that a record says was answered."""
    request = RecommendationRequest(
        market=recorded.market,
        device=recorded.device,
        limit=recorded.limit,
        choice=recorded.choice,
        rows=tuple(one.row for one in recorded.rows),
    )
    state = CustomerState(
        recorded.now_us,
        Window.unpack(recorded.window),
        Profile.unpack(recorded.profile),
        CustomerList.from_sales(recorded.now_us, recorded.listed),
    )
    level = None if recorded.degraded is None else DegradationLevel(recorded.degraded)
    # The level as it was known before anything was ranked: `rank` finds these three by itself.
    if level is DegradationLevel.EMPTY:
        level = DegradationLevel.SNAPSHOT
    elif level in {DegradationLevel.LIST, DegradationLevel.POPULARITY}:
        level = None
    return RankingRequest(
        request,
        state,
        served,
        recorded.policy,
        CAUSES[level] if level else None,
        recorded.recommendation_id,
    )
