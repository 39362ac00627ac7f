"""The console of the commands: common options, JSON on stdout, progress and errors on stderr."""

import json
import math
import sys
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Annotated, Final, Protocol

import typer
from pydantic import JsonValue
from rich import progress as rich_progress
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from models.domain.errors import UserError

BUNDLES: Final = Path("models/bundles")
CACHE: Final = Path("var")
SCRATCH: Final = "scratch"
"""Folder of the cache for large arrays while they are used."""

Data = Annotated[Path, typer.Option(help="Dataset.", exists=True, file_okay=False)]
Threads = Annotated[
    int, typer.Option(min=1, help="Threads; the bundle is the same for any number.")
]
BundleId = Annotated[str, typer.Option(help="Bundle: a directory, or an id.")]
Bundles = Annotated[Path, typer.Option(help="Directory of bundles.", envvar="VITRINE_BUNDLES")]
Start = Annotated[
    datetime | None,
    typer.Option("--from", help="Judge what was shown from then on, UTC; default: all."),
]
PictureCache = Annotated[Path, typer.Option(help="Picture scores.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def aware(moment: datetime | None) -> datetime | None:
    """Read a time without a zone as UTC."""
    return moment.replace(tzinfo=UTC) if moment and not moment.tzinfo else moment


def print_remarks(remarks: Iterable[object]) -> None:
    """Print remarks about whole files of a dataset on stderr."""
    for remark in remarks:
        typer.echo(f"note: {remark}", err=True)


def print_left_out(n_refused: Mapping[str, int]) -> None:
    """Print on stderr how many rows of a dataset were left out, by file."""
    for file, n in n_refused.items():
        typer.echo(
            f"{file}: {n:,} rows left out; `python -m training validate` names them", err=True
        )


class Progress(Protocol):
    """Receives the progress of long work; `Bars` shows it."""

    def stage(self, name: str, total: int | None = None) -> None:
        """Begin a stage of ``total`` ticks, or of an unknown number."""
        ...

    def tick(self) -> None:
        """Count one more piece of the stage."""
        ...


def print_json(value: JsonValue) -> None:
    """Print one JSON object on stdout; NaN, which JSON does not have, becomes null."""
    typer.echo(json.dumps(_without_nan(value), allow_nan=False))


def _without_nan(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {name: _without_nan(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value


@contextmanager
def exit_on_user_error() -> Generator[None]:
    """End the command with exit status 1 and the message of an error that the user can mend."""
    try:
        yield
    except (UserError, OSError) as exc:
        typer.echo(f"error: {exc}", err=True)
        raise typer.Exit(1) from exc


def with_folder(path: Path | None) -> Path | None:
    """Make the folder of an output file, before the long work whose result goes there.

    A callback of command-line options.

    Raises:
        typer.BadParameter: If it cannot be made.
    """
    if path is not None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            msg = f"{path.parent} cannot be made: {exc.strerror}"
            raise typer.BadParameter(msg) from exc
    return path


class Bars:
    """Progress bars on stderr, one per stage."""

    def __init__(self, bars: rich_progress.Progress) -> None:
        self._bars = bars
        self._task = bars.add_task("reading", total=None)

    def stage(self, name: str, total: int | None = None) -> None:
        """Complete the current bar and open the next; see `Progress`."""
        # A stage of an unknown number of ticks ends as complete too.
        task = self._bars.tasks[self._task]
        done = task.completed or 1
        self._bars.update(self._task, total=task.total or done, completed=task.total or done)
        self._task = self._bars.add_task(name, total=total)

    def tick(self) -> None:
        """Advance the current bar by one."""
        self._bars.advance(self._task)

    def reach(self, step: str, *, done: int, total: int) -> None:
        """Show in the current bar which step begins, and how many of ``total`` are done."""
        self._bars.update(self._task, description=step, completed=done, total=total)


class Lines:
    """Progress as lines on stderr: one where a stage begins, at each tenth, and its end."""

    def __init__(self) -> None:
        """Begin with the stage of reading."""
        self._begin("reading", None)

    def stage(self, name: str, total: int | None = None) -> None:
        """Say that the stage is done and the next begins; see `Progress`."""
        self.end()
        self._begin(name, total)

    def tick(self) -> None:
        """Count a piece."""
        self._done += 1
        total = self._total
        if total and self._done < total and self._done * 10 // total > self._tenths:
            self._tenths = self._done * 10 // total
            left_s = (perf_counter() - self._from_s) * (total / self._done - 1)
            line = f"{self._name}: {self._done:,} of {total:,}, about {left_s:.0f} s left"
            typer.echo(line, err=True)

    def reach(self, step: str, *, done: int, total: int) -> None:
        """Say which step begins, and how many of ``total`` are done; nothing after the last."""
        if done < total:
            typer.echo(f"{step}: step {done + 1} of {total}", err=True)

    def end(self) -> None:
        """Say that the stage is done."""
        counted = f" {self._done:,}," if self._done else ""
        typer.echo(f"{self._name}:{counted} done, {perf_counter() - self._from_s:.1f} s", err=True)

    def _begin(self, name: str, total: int | None) -> None:
        self._name, self._total = name, total
        self._done, self._tenths, self._from_s = 0, 0, perf_counter()
        typer.echo(name if total is None else f"{name}: 0 of {total:,}", err=True)


@contextmanager
def bars() -> Generator[Bars | Lines]:
    """Show bars on stderr while the block runs; lines where it is no terminal."""
    # stdout is for results alone, so that they can be piped.
    if not sys.stderr.isatty():
        lines = Lines()
        yield lines
        lines.end()
        return
    columns = (
        TextColumn("{task.description:>10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with rich_progress.Progress(*columns, console=Console(stderr=True)) as progress:
        yield Bars(progress)
