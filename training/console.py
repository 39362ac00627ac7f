"""What every command does the same way: one JSON object, bars on stderr, clear errors."""

import json
import math
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import typer
from pydantic import JsonValue
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from models.domain.errors import UserError


def print_json(value: JsonValue) -> None:
    """Print one JSON object on stdout; NaN becomes null, which JSON can say."""
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
    """Make the folder of a file to write, before the long work that it is to hold.

    A callback of options.

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
    """Progress bars on stderr, one a stage."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._task = bars.add_task("reading", total=None)

    def stage(self, name: str, total: int | None = None) -> None:
        """Close the bar that runs and open one, of ``total`` ticks if that is known."""
        self._finish()
        self._task = self._bars.add_task(name, total=total)

    def tick(self) -> None:
        """Move the bar that runs by one."""
        self._bars.advance(self._task)

    def reach(self, step: str, *, done: int, total: int) -> None:
        """Say in the bar that runs which step begins, and how many of how many are over."""
        self._bars.update(self._task, description=step, completed=done, total=total)

    def _finish(self) -> None:
        task = self._bars.tasks[self._task]
        done = task.completed or 1
        self._bars.update(self._task, total=task.total or done, completed=task.total or done)


@contextmanager
def bars() -> Generator[Bars]:
    """Show bars while the block runs; plain lines where stderr is no terminal."""
    columns = (
        TextColumn("{task.description:>10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True, force_terminal=sys.stderr.isatty())
    with Progress(*columns, console=console) as progress:
        yield Bars(progress)
