"""Options of commands that read large datasets, and that run on workers."""

from pathlib import Path
from typing import Annotated

import typer

from models.dataset.event_split import MAX_PARTS
from models.scoring.bundle_storage import StorageError
from training.console import CACHE
from training.parts.remote_dataset import local_dataset


def copied(address: str) -> Path:
    """Return a path, or the folder of the copy of a dataset in an object store.

    A parser of command-line options.

    Raises:
        typer.BadParameter: If it cannot be copied.
    """
    try:
        return local_dataset(address, cache=CACHE / "datasets")
    except (StorageError, OSError) as exc:
        raise typer.BadParameter(str(exc)) from exc


def dataset_folder(address: str) -> Path:
    """Return the folder of a dataset; see `copied`.

    Raises:
        typer.BadParameter: If it is no folder, or cannot be copied.
    """
    folder = copied(address)
    if not folder.is_dir():
        msg = f"Directory {str(folder)!r} does not exist."
        raise typer.BadParameter(msg)
    return folder


StoredData = Annotated[
    Path,
    typer.Option(
        help="Dataset: a folder, or a URL as s3://bucket/shop.",
        parser=dataset_folder,
        metavar="DIRECTORY",
    ),
]
Scheduler = Annotated[
    str | None, typer.Option(help="Dask scheduler; default: processes of this machine.")
]
Parts = Annotated[
    int | None,
    typer.Option(min=1, max=MAX_PARTS, help="Parts of the customers; default: by size."),
]
FewProcesses = Annotated[
    int | None, typer.Option(min=1, help="Processes for features; default: the command alone.")
]
