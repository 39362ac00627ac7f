"""``python -m app``: everything that touches the store."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated

import typer
import yaml
from pydantic import AnyUrl, ValidationError

from app.main import create_app
from app.observability import configure_logging, get_logger
from app.resources import Worker
from app.settings import Settings, misspelt
from app.stores.embedded import EmbeddedServerError, embedded_server
from app.workers import listen, run
from models.bundle import BundleError, read_bundle, resolve_bundle

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
    redis_url: Annotated[
        str | None, typer.Option(help="The store; unset: the embedded server.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks one.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that share the port.")] = None,
) -> None:
    """Answer the website. Options come before VITRINE_ variables, see docs/settings.md."""
    given = {
        "bundle": bundle,
        "redis_url": redis_url,
        "host": host,
        "port": port,
        "workers": workers,
    }
    settings = _read_settings({name: value for name, value in given.items() if value is not None})
    configure_logging(settings.log_level)
    try:
        _ = read_bundle(resolve_bundle(settings.bundle, settings.bundles))
        listener = listen(settings)
        with listener, _store_url(settings) as url:
            host, port = listener.getsockname()[:2]
            _log.info("listening", url=f"http://{host}:{port}", workers=settings.workers)
            run(settings.model_copy(update={"redis_url": AnyUrl(url)}), listener)
    except (BundleError, EmbeddedServerError, OSError) as exc:
        _fail(str(exc))


@commands.command()
def openapi() -> None:
    """Print openapi.yaml, which `make openapi` writes and a test compares."""
    document = create_app(Settings(), Worker()).openapi()
    sys.stdout.write(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100))


def _read_settings(given: dict[str, str | int]) -> Settings:
    for name in misspelt():
        typer.echo(f"warning: {name} is no setting; docs/settings.md lists them", err=True)
    try:
        return Settings.model_validate(given)
    except ValidationError as exc:
        for error in exc.errors(include_url=False):
            where = ".".join(map(str, error["loc"]))
            typer.echo(
                f"setting {where}: {error['msg']}".replace("setting :", "settings:"), err=True
            )
        raise typer.Exit(2) from exc


@contextmanager
def _store_url(settings: Settings) -> Generator[str]:
    if settings.redis_url is not None:
        yield str(settings.redis_url)
        return
    with embedded_server(settings.state_dir) as url:
        yield url


def _fail(reason: str) -> None:
    typer.echo(f"error: {reason}", err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    commands()
