"""Shared parts of commands: settings, the store, progress bars, and reports of user errors."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Annotated, Final, TypeVar

import typer
from pydantic import JsonValue, ValidationError
from rich.console import Console
from rich.progress import Progress as RichProgress
from rich.progress import TaskID

from app.errors import MAX_NAMED
from app.observability import configure_logging
from app.settings import Settings, ignored
from app.stores.embedded import embedded_server
from app.stores.store import Stores
from models.domain.errors import UserError

# A command may wait longer than a customer; chosen, not measured.
COMMAND_TIMEOUT_S: Final = 30.0

RedisUrlOption = Annotated[str | None, typer.Option(help="The store; unset: the embedded server.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

T = TypeVar("T")


def read_settings(**given: str | int | None) -> Settings:
    """Read the settings, with options before variables; exit 2 where one is malformed."""
    unused = ignored()
    for name in unused.misspelt:
        typer.echo(f"warning: {name} is no setting; docs/settings.md lists them", err=True)
    if unused.links:
        note = f"note: {len(unused.links)} variables of Kubernetes service links are ignored"
        typer.echo(f"{note} ({', '.join(unused.links[:MAX_NAMED])})", err=True)
    try:
        return Settings.model_validate({k: v for k, v in given.items() if v is not None})
    except ValidationError as exc:
        for error in exc.errors(include_url=False):
            where = " ".join(["setting", *map(str, error["loc"])])
            typer.echo(f"{where}: {error['msg']}", err=True)
        raise typer.Exit(2) from exc


@contextmanager
def exit_on_user_error() -> Generator[None]:
    """End the command with exit status 1 and the message of an error that the user can mend."""
    try:
        yield
    except (UserError, OSError) as exc:
        typer.echo(f"error: {exc}", err=True)
        raise typer.Exit(1) from exc


@contextmanager
def store_url(settings: Settings, *, as_of: datetime | None = None) -> Generator[str]:
    """Yield the URL of the store; without a setting, of the embedded server, which runs here.

    Args:
        settings: The settings.
        as_of: See `embedded_server`; None with another store.
    """
    if settings.redis_url is not None:
        yield str(settings.redis_url)
        return
    with embedded_server(settings.state_dir, as_of=as_of) as url:
        yield url


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[Stores]:
    """Open the stores of a URL for one command."""
    stores = Stores.open(url, timeout_s=COMMAND_TIMEOUT_S)
    try:
        yield stores
    finally:
        await stores.server.close()


def with_stores(settings: Settings, command: Callable[[Stores], Awaitable[T]]) -> T:
    """Run a command over the stores of the settings, and return its result."""
    # Otherwise lines of the log would be on stdout, in front of the JSON object.
    configure_logging("warning")

    async def run(url: str) -> T:
        async with opened(url) as stores:
            return await command(stores)

    with store_url(settings) as url:
        return asyncio.run(run(url))


def print_summary(summary: dict[str, JsonValue], *, as_json: bool) -> None:
    """Print the result of a command: one JSON object, or a line a field."""
    if as_json:
        typer.echo(json.dumps(summary))
        return
    for name, value in summary.items():
        typer.echo(f"{name}: {_in_words(value)}")


def _in_words(value: JsonValue | tuple[JsonValue, ...]) -> str:
    """Return a value as a person reads it: the parts of a collection, or ``none``."""
    if isinstance(value, dict):
        value = [f"{name}: {one}" for name, one in value.items()]
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)


class Progress:
    """Receives the steps of a command; this base class ignores them."""

    def step(self, name: str, total: int | None) -> None:
        """Begin a step of so many parts, None if unknown."""

    def advance(self, n: int) -> None:
        """Add parts that are done to the current step."""


class Bars(Progress):
    """Progress bars on stderr, one a step."""

    def __init__(self, bars: RichProgress) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def step(self, name: str, total: int | None) -> None:
        """Add the bar of a step."""
        self._task = self._bars.add_task(name, total=total)

    def advance(self, n: int) -> None:
        """Move the current bar."""
        if self._task is not None:
            self._bars.advance(self._task, n)


@contextmanager
def progress_bars() -> Generator[Bars]:
    """Show progress bars while the block runs."""
    with RichProgress(console=Console(stderr=True)) as bars:
        yield Bars(bars)
