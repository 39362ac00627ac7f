"""Command line ``python -m app``: the service, and the commands that use the store."""

import asyncio
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer
import yaml

from app.bundles.bundle_repository import BundleRepository
from app.cli.activate import activate_command
from app.cli.console import (
    RedisUrlOption,
    exit_on_user_error,
    opened,
    read_settings,
    store_url,
)
from app.cli.doctor import doctor_command
from app.cli.erasures import apply_erasures_command
from app.cli.export_events import export_events_command
from app.cli.keys import keys_commands
from app.cli.load import load_command, load_profiles_command
from app.cli.load_lists import load_lists_command
from app.cli.plan import plan_commands
from app.cli.promotion import promotion_commands
from app.cli.replay import replay_command
from app.errors import StoreUnavailableError
from app.experiments.plan_file import first_plan
from app.main import create_app
from app.observability import configure_logging, get_logger
from app.resources import Worker
from app.security.key_ring import read_keys
from app.settings import Settings
from app.stores.embedded import server_folder
from app.stores.past_clock import PastClockError, require_present
from app.workers import listen, run
from models.scoring.bundle import BundleError
from models.scoring.bundle_storage import StorageError

_log = get_logger(__name__)

commands = typer.Typer(
    help="Serve recommendations, and everything else that touches the store.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@commands.callback()
def main() -> None:
    """Serve recommendations, and everything else that touches the store."""


@commands.command()
def serve(
    bundle: Annotated[
        str | None, typer.Option(help="Id or directory of a bundle; unset: the newest.")
    ] = None,
    redis_url: RedisUrlOption = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks one.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that share the port.")] = None,
    as_of: Annotated[
        datetime | None,
        typer.Option(help="Replay a past for a try: the store's clock starts at this time, UTC."),
    ] = None,
) -> None:
    """Answer the website. Options come before VITRINE_ variables, see docs/settings.md."""
    settings = read_settings(
        bundle=bundle, redis_url=redis_url, host=host, port=port, workers=workers
    )
    configure_logging(settings.log_level)
    with exit_on_user_error():
        moment = _clock_start(settings, as_of)
        if settings.keys is not None:
            _ = read_keys(settings.keys)
        _ = first_plan(settings.plan)
        # The port first: a second start of the service must not wait for a bundle to learn that.
        with listen(settings) as listener, store_url(settings, as_of=moment) as url:
            asyncio.run(_require_bundle(settings, url))
            host, port = listener.getsockname()[:2]
            _log.info("listening", url=f"http://{host}:{port}", workers=settings.workers)
            run(settings.model_copy(update={"redis_url": url}), listener)


def _clock_start(settings: Settings, as_of: datetime | None) -> datetime | None:
    """Return the time at which the store's clock is to start; None for the present."""
    if as_of is None:
        # Other commands follow the store's clock, but a website must not be in the past unasked.
        if settings.redis_url is None:
            require_present(server_folder(settings.state_dir))
        return None
    if settings.redis_url is not None or not settings.is_on_loopback:
        msg = "--as-of is for a try: it needs the embedded store, and a host on loopback"
        raise PastClockError(msg)
    moment = as_of if as_of.tzinfo else as_of.replace(tzinfo=UTC)
    _log.warning("the store lives in the past, for a try", as_of=moment.isoformat())
    return moment


async def _require_bundle(settings: Settings, url: str) -> None:
    """Verify the bundle to begin with: what the settings name, or what the store wants.

    Raises:
        BundleError: If neither is whole.
        StorageError: If one is to be fetched, and the storage does not answer.
    """
    # The settings first: their bundle is enough, also while the store is unreachable.
    repository = BundleRepository.from_settings(settings)
    try:
        repository.require("")
    except (BundleError, StorageError) as exc:
        try:
            async with opened(url) as stores:
                wanted = (await stores.bundles.wanted()).active
        except StoreUnavailableError:
            raise exc from None
        repository.require(wanted)
        _log.warning(
            "the bundle of the settings cannot be served: the one that the store wants is",
            active=wanted,
            reason=str(exc),
        )


@commands.command()
def openapi() -> None:
    """Print openapi.yaml, which `make openapi` writes and a test compares."""
    document = create_app(Settings(), Worker()).openapi()
    sys.stdout.write(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100))


commands.command("load")(load_command)
commands.command("load-profiles")(load_profiles_command)
commands.command("load-lists")(load_lists_command)
commands.command("export-events")(export_events_command)
commands.command("apply-erasures")(apply_erasures_command)
commands.command("activate")(activate_command)
commands.command("replay")(replay_command)
commands.command("doctor")(doctor_command)
commands.add_typer(keys_commands, name="keys")
commands.add_typer(plan_commands, name="plan")
commands.add_typer(promotion_commands, name="promotion")

if __name__ == "__main__":
    commands()
