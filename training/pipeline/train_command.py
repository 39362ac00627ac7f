"""``python -m training train`` and ``evaluate``."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue

from models.dataset.faults import FaultReport
from models.dataset.reading import Dataset
from models.domain.event import to_us
from models.scoring.bundle import read_bundle
from models.scoring.scorer import Scorer
from training.configuration import RunConfig
from training.console import bars, exit_on_user_error, print_json
from training.pipeline.prepare import (
    Prepared,
    prepare,
    require_happened,
)
from training.pipeline.train import train

BUNDLES = Path("models/bundles")
CACHE = Path("var")


Data = Annotated[Path, typer.Option(help="Dataset.", exists=True, file_okay=False)]
Threads = Annotated[
    int, typer.Option(min=1, help="Threads; the bundle is the same for any number.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def train_command(
    data: Data,
    out: Annotated[Path, typer.Option(help="Directory of bundles.")] = BUNDLES,
    config: Annotated[Path | None, typer.Option(help="TOML or JSON; see docs.")] = None,
    until: Annotated[
        datetime | None, typer.Option(help="Learn only from what was received before, UTC.")
    ] = None,
    scenes: Annotated[
        Path | None, typer.Option(help="Labelled pictures; default: scenes/ of the dataset.")
    ] = None,
    cache: Annotated[Path, typer.Option(help="Picture features and scene models.")] = CACHE,
    seed: Annotated[int, typer.Option(min=0, help="Same data, config, seed: same bundle.")] = 0,
    threads: Threads = 1,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at faulty rows.")] = False,
    as_json: Json = False,
) -> None:
    """Train on a dataset and write a bundle."""
    with exit_on_user_error(), bars() as progress:
        run = RunConfig.read(config)
        prepared = prepare(
            data,
            until=aware(until),
            scenes=scenes,
            cache=cache,
            seed=seed,
            strict=strict,
            progress=progress,
            threads=threads,
        )
        if until is None:
            require_happened(prepared.material.dataset, to_us(datetime.now(UTC)))
        bundle = train(
            prepared.material,
            config=run,
            seed=seed,
            root=out,
            progress=progress,
            threads=threads,
        )
    _tell(bundle, prepared, as_json=as_json)


def _tell(directory: Path, prepared: Prepared, *, as_json: bool) -> None:
    # Verified as the service will verify it: what cannot be served fails here.
    bundle = read_bundle(directory)
    Scorer.load(bundle)
    metrics = bundle.manifest.metrics
    tell_remarks(prepared.material.dataset.faults)
    faults = prepared.material.dataset.faults.counts()
    report: dict[str, JsonValue] = {
        "bundle": bundle.id,
        "directory": str(directory),
        "metrics": metrics,
        "faults": {code.value: n for code, n in faults.items()},
        "broken_pictures": len(prepared.faults),
    }
    if as_json:
        print_json(report)
        return
    typer.echo(f"bundle {directory}")
    for name, value in metrics.items():
        typer.echo(f"  {name}: {value:.6g}")
    for code, n in faults.items():
        typer.echo(f"  {n} × {code}", err=True)


def tell_remarks(faults: FaultReport) -> None:
    """Say on stderr what is odd about whole files: learned or not, received late, currencies."""
    for remark in faults.remarks():
        typer.echo(f"note: {remark}", err=True)


def tell_left_out(dataset: Dataset) -> None:
    """Say on stderr how many rows of each file were left out, if any."""
    for file, n in dataset.faults.n_refused().items():
        typer.echo(
            f"{file}: {n:,} rows left out; `python -m training validate` names them", err=True
        )


def aware(moment: datetime | None) -> datetime | None:
    """Read a time without a zone as UTC."""
    return moment.replace(tzinfo=UTC) if moment and not moment.tzinfo else moment
