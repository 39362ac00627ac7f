"""What every command does the same way: settings, the store, and clear errors."""

import json
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Final

import typer
from pydantic import JsonValue, ValidationError

from app.bundles.bundle_repository import BundleRepository
from app.errors import MAX_NAMED, StoreUnavailableError
from app.experiments.plan_editor import PlanEditor
from app.experiments.plan_file import first_plan
from app.settings import Settings, ignored
from app.stores.embedded import embedded_server
from app.stores.store import Stores
from models.domain.errors import UserError
from models.scoring.bundle import BundleError

COMMAND_TIMEOUT_S: Final = 30.0

RedisUrlOption = Annotated[str | None, typer.Option(help="The store; unset: the embedded server.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


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
def store_url(settings: Settings) -> Generator[str]:
    """Yield the URL of the store, with the embedded server running where it is that."""
    if settings.redis_url is not None:
        yield str(settings.redis_url)
        return
    with embedded_server(settings.state_dir) as url:
        yield url


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[Stores]:
    """Open the stores of a URL for one command."""
    stores = Stores.open(url, timeout_s=COMMAND_TIMEOUT_S)
    try:
        yield stores
    finally:
        await stores.server.close()


def editor_of(stores: Stores, settings: Settings) -> PlanEditor:
    """Return what changes the plan, as the service does.

    Raises:
        PlanFileError: If the settings name a plan that cannot be read.
    """
    library = BundleRepository(settings.bundles, settings.bundle)
    return PlanEditor(
        stores.plans, stores.bundles, stores.server, library, first_plan(settings.plan)
    )


async def require_bundle(settings: Settings, url: str) -> None:
    """See that there is a bundle to begin with: what the settings name, or what the store wants.

    Raises:
        BundleError: If neither is whole.
    """
    library = BundleRepository(settings.bundles, settings.bundle)
    try:
        library.require("")
    except BundleError as exc:
        try:
            async with opened(url) as stores:
                wanted = (await stores.bundles.wanted()).active
        except StoreUnavailableError:
            raise exc from None
        library.require(wanted)


def print_summary(summary: dict[str, JsonValue], *, as_json: bool) -> None:
    """Print what a command did."""
    if as_json:
        typer.echo(json.dumps(summary))
        return
    for name, value in summary.items():
        typer.echo(f"{name}: {value}")
