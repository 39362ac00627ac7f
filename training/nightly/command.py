"""Command ``python -m training nightly``: one nightly run."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import TypeAdapter

from models.domain.event import to_us
from models.domain.units import HOUR_US
from models.scoring.bundle import bundle_paths, resolve_bundle
from models.scoring.bundle_storage import BundleStorage
from models.scoring.night_record import NIGHTS_FILE, NightVerdict
from training.configuration import RunConfig
from training.console import Threads, bars, exit_on_user_error, print_json
from training.nightly.night import Night, NightOutcome
from training.nightly.recorded_run import run_recorded
from training.parts.options import FewProcesses, Parts, Scheduler, StoredData

BUNDLES: Final = Path("models/bundles")
PROFILES: Final = Path("var/profiles")
STATE: Final = Path("var/nightly")
# Beside 1 for an expected error and 2 for a wrong command line.
EXIT_CODES: Final = {
    NightVerdict.PUBLISHED: 0,
    # The champion is published, refitted, so that jobs that follow go on.
    NightVerdict.NEEDS_TRAFFIC: 0,
    NightVerdict.REJECTED: 3,
    NightVerdict.NOTHING_NEW: 4,
}

_OUTCOME: Final = TypeAdapter(NightOutcome)


def nightly_command(
    data: StoredData,
    bundles: Annotated[Path, typer.Option(help="Where bundles are published.")] = BUNDLES,
    champion: Annotated[
        str | None, typer.Option(help="Bundle to compare with. Default: the one that answers.")
    ] = None,
    profiles: Annotated[
        Path, typer.Option(help="Where profiles are published, below the working directory.")
    ] = PROFILES,
    state: Annotated[Path, typer.Option(help="Unfinished stages, candidates, reports.")] = STATE,
    cache: Annotated[Path, typer.Option(help="Picture features and scene models.")] = Path("var"),
    scenes: Annotated[
        Path | None, typer.Option(help="Labelled pictures; default: scenes/ of the dataset.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML or JSON; see docs.")] = None,
    judge_hours: Annotated[
        float, typer.Option(min=1.0, help="Last part of the data, which judges.")
    ] = 72.0,
    max_fault_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Rows that may be left out at most.")
    ] = 0.01,
    publish_to: Annotated[
        str | None, typer.Option(help="URL of a bundle storage that gets what is published.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random choice.")] = 0,
    threads: Threads = 1,
    scheduler: Scheduler = None,
    processes: FewProcesses = None,
    parts: Parts = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Validate, train, evaluate, decide and publish; exit 3 if worse, 4 if nothing is new."""
    with exit_on_user_error(), bars() as progress:
        storage = None if publish_to is None else BundleStorage.open(publish_to)
        night = Night(
            data=data,
            bundles=bundles,
            profiles=profiles,
            state=state,
            cache=cache,
            scenes=scenes,
            champion=resolve_bundle(champion, bundles) if champion else None,
            config=RunConfig.read(config),
            evaluation_us=round(judge_hours * HOUR_US),
            now_us=to_us(datetime.now(UTC)),
            max_fault_share=max_fault_share,
            seed=seed,
            threads=threads,
            scheduler=scheduler,
            processes=processes,
            n_parts=parts,
        )
        outcome = run_recorded(night, progress=progress)
        if storage is not None:
            progress.stage("copy")
            _copy(outcome, bundles, storage)
    for remark in outcome.remarks:
        typer.echo(f"note: {remark}", err=True)
    if as_json:
        print_json(_OUTCOME.dump_python(outcome, mode="json", exclude={"remarks"}))
    else:
        typer.echo(sentence_for(outcome))
    raise typer.Exit(EXIT_CODES[outcome.verdict])


def sentence_for(outcome: NightOutcome) -> str:
    """Return the verdict of a night, the bundles that it is about by their roles, and why."""
    bundles = {
        "candidate": outcome.candidate,
        "champion": outcome.champion,
        "published": outcome.published,
        "awaits traffic": outcome.awaiting,
    }
    named = ", ".join(f"{role} {bundle}" for role, bundle in bundles.items() if bundle)
    return ": ".join(part for part in (outcome.verdict, named, "; ".join(outcome.reasons)) if part)


def _copy(outcome: NightOutcome, bundles: Path, storage: BundleStorage) -> None:
    # The champion too: a night whose copy failed has nothing new when it is run again.
    of_night = {outcome.champion, outcome.published, outcome.awaiting}
    for bundle_id, path in bundle_paths(bundles).items():
        if bundle_id in of_night:
            storage.publish(path)
    storage.publish_nights((bundles / NIGHTS_FILE).read_bytes())
