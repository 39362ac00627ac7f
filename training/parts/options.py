"""Options of commands that run on workers."""

from typing import Annotated

import typer

from models.dataset.event_split import MAX_PARTS

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
