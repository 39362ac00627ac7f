"""``python -m app``: everything that touches the store."""

import asyncio
import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
import yaml
from polars import DataFrame
from pydantic import AnyUrl, JsonValue, ValidationError
from rich.console import Console
from rich.progress import Progress, TaskID

from app.activation import ActivationError, activate
from app.doctor import Verdict, examine
from app.errors import ServiceError
from app.export import ExportError, ExportSummary, export
from app.load import LoadSummary
from app.load import Progress as LoadProgress
from app.load import load as load_dataset
from app.main import create_app
from app.observability import configure_logging, get_logger
from app.replay import ReplayError, exported, replay_all, replayer_of, stored
from app.resources import Worker
from app.security.key import KeyFile, Scope, entry_of, new_key
from app.security.key_ring import KeyFileError, read_keys, write_keys
from app.settings import Settings, misspelt
from app.stores.connection import Connection
from app.stores.embedded import EmbeddedServerError, embedded_server
from app.stores.store import RedisStores
from app.workers import listen, run
from models.bundle import BundleError, read_bundle, resolve_bundle
from models.dataset import Dataset, DatasetError, read_dataset
from models.experiments.exposure import ExposureError

COMMAND_TIMEOUT_S: Final = 30.0

RedisUrlOption = Annotated[str | None, typer.Option(help="The store; unset: the embedded server.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

_log = get_logger(__name__)

commands = typer.Typer(
    help="Serve recommendations, and everything else that touches the store.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


keys_commands = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)
commands.add_typer(keys_commands, name="keys")


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
) -> None:
    """Answer the website. Options come before VITRINE_ variables, see docs/settings.md."""
    settings = _read_settings(
        bundle=bundle, redis_url=redis_url, host=host, port=port, workers=workers
    )
    configure_logging(settings.log_level)
    with _failures():
        _ = read_bundle(resolve_bundle(settings.bundle, settings.bundles))
        if settings.keys is not None:
            _ = read_keys(settings.keys)
        with listen(settings) as listener, _store_url(settings) as url:
            host, port = listener.getsockname()[:2]
            _log.info("listening", url=f"http://{host}:{port}", workers=settings.workers)
            run(settings.model_copy(update={"redis_url": AnyUrl(url)}), listener)


@commands.command()
def load(
    *,
    data: Annotated[Path, typer.Option(help="Directory of a dataset.", file_okay=False)],
    bundle: Annotated[
        str | None, typer.Option(help="Labels pictures it does not know; unset: the newest.")
    ] = None,
    redis_url: RedisUrlOption = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at faulty rows.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Fill the store with sales, pictures, the latest windows and counts. Safe to repeat."""
    settings = _read_settings(bundle=bundle, redis_url=redis_url)
    with _failures(), _bars() as bars, _store_url(settings) as url:
        dataset = read_dataset(data, strict=strict, decode_pictures=False)
        labeller = _bundle_or_none(settings)
        summary = asyncio.run(_load(dataset, url, bundle=labeller, bars=bars))
    _print(asdict(summary), as_json=as_json)


@commands.command("export-events")
def export_events(
    *,
    out: Annotated[Path, typer.Option(help="Directory; the same one every time.")],
    redis_url: RedisUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move events and answers from the store into files of the dataset contract."""
    settings = _read_settings(redis_url=redis_url)
    with _failures(), _bars() as bars, _store_url(settings) as url:
        bars.step("entries", None)
        summary = asyncio.run(_export(url, out, bars=bars))
    _print(asdict(summary), as_json=as_json)


@commands.command("activate")
def activate_bundle(
    bundle: Annotated[
        str | None, typer.Argument(help="Its id; unset: the newest.", show_default=False)
    ] = None,
    *,
    url: Annotated[str, typer.Option(help="Where the service listens.")] = "http://127.0.0.1:8000",
    key_file: Annotated[
        Path | None, typer.Option(help="Holds a key of the scope admin.", dir_okay=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Have a running service answer with a bundle; it verifies it first, and may refuse."""
    settings = _read_settings()
    with _failures():
        bundle_id = bundle or resolve_bundle(None, settings.bundles).name
        api_key = key_file.read_text(encoding="utf-8").strip() if key_file else None
        activate(url, bundle_id, api_key=api_key)
    _print({"active": bundle_id}, as_json=as_json)


@commands.command()
def replay(
    recommendation_id: Annotated[
        str | None, typer.Argument(help="Id of an answer.", show_default=False)
    ] = None,
    *,
    data: Annotated[
        Path | None, typer.Option("--exported", help="Look there, and not in the store.")
    ] = None,
    everything: Annotated[
        Path | None, typer.Option("--all", help="Replay all answers exported to a directory.")
    ] = None,
    redis_url: RedisUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make answers again from their records; exit 1 if one differs by a bit or cannot be made."""
    if (recommendation_id is None) == (everything is None):
        typer.echo("error: name one answer, or a directory by --all", err=True)
        raise typer.Exit(2)
    settings = _read_settings(redis_url=redis_url)
    configure_logging("warning")
    with _failures():
        if everything is not None:
            exposures = exported(everything)
        else:
            exposures = _one_answer(recommendation_id or "", data, settings)
        replays = replay_all(exposures, replayer_of(settings))
    _print(asdict(replays), as_json=as_json)
    if replays.equal < exposures.height or not exposures.height:
        raise typer.Exit(1)


def _one_answer(recommendation_id: str, directory: Path | None, settings: Settings) -> DataFrame:
    if directory is not None:
        found = exported(directory, recommendation_id)
    else:
        with _store_url(settings) as url:
            found = asyncio.run(_stored(url, recommendation_id))
    if not found.height:
        where = directory or "the store: what was exported is no longer there, see --exported"
        msg = f"no answer {recommendation_id!r} in {where}"
        raise ReplayError(msg)
    return found


async def _stored(url: str, recommendation_id: str) -> DataFrame:
    connection = Connection.open(url, timeout_s=COMMAND_TIMEOUT_S)
    try:
        return await stored(connection, recommendation_id)
    finally:
        await connection.close()


@keys_commands.command("new")
def new_api_key(
    *,
    scope: Annotated[list[Scope], typer.Option(help="What it opens; repeat for more than one.")],
    note: Annotated[str, typer.Option(help="Who will use it.")] = "",
    per_second: Annotated[
        int | None, typer.Option(min=1, help="Its own limit of requests.")
    ] = None,
) -> None:
    """Print a new key, this once, and keep its hash; running services know it a second later."""
    path = _key_path()
    key_id, key = new_key()
    entry = entry_of(
        key,
        key_id,
        scopes=scope,
        created_at=datetime.now(UTC).replace(microsecond=0),
        per_second=per_second,
        note=note,
    )
    with _failures():
        known = read_keys(path).keys if path.exists() else ()
        write_keys(path, KeyFile(keys=(*known, entry)))
    typer.echo(key)


@keys_commands.command("list")
def list_api_keys() -> None:
    """List the keys by their ids; nothing of the keys themselves is known."""
    with _failures():
        for entry in read_keys(_key_path()).keys:
            scopes = ",".join(entry.scopes)
            typer.echo(f"{entry.key_id}  {entry.created_at:%Y-%m-%d}  {scopes}  {entry.note}")


@keys_commands.command("revoke")
def revoke_api_key(key_id: Annotated[str, typer.Argument(help="Its id.")]) -> None:
    """Forget a key; running services refuse it a second later."""
    path = _key_path()
    with _failures():
        known = read_keys(path).keys
        kept = tuple(entry for entry in known if entry.key_id != key_id)
        if len(kept) == len(known):
            msg = f"no key {key_id!r} in {path}; `python -m app keys list` names them"
            raise KeyFileError(msg)
        write_keys(path, KeyFile(keys=kept))


def _key_path() -> Path:
    path = _read_settings().keys
    if path is None:
        typer.echo("error: VITRINE_KEYS is not set: name the file of the keys", err=True)
        raise typer.Exit(2)
    return path


@commands.command()
def doctor(*, redis_url: RedisUrlOption = None, as_json: JsonOption = False) -> None:
    """Look at everything that serving needs, and say what to do; ends with 1 if it cannot serve."""
    settings = _read_settings(redis_url=redis_url)
    with _failures(), _store_url(settings) as url:
        findings = examine(settings, url)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        for one in findings:
            advice = f": {one.advice}" if one.advice else ""
            typer.echo(f"{one.verdict:8} {one.subject}: {one.seen}{advice}")
    if any(finding.verdict is Verdict.FAILURE for finding in findings):
        raise typer.Exit(1)


@commands.command()
def openapi() -> None:
    """Print openapi.yaml, which `make openapi` writes and a test compares."""
    document = create_app(Settings(), Worker()).openapi()
    sys.stdout.write(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100))


def _read_settings(**given: str | int | None) -> Settings:
    for name in misspelt():
        typer.echo(f"warning: {name} is no setting; docs/settings.md lists them", err=True)
    try:
        return Settings.model_validate({k: v for k, v in given.items() if v is not None})
    except ValidationError as exc:
        for error in exc.errors(include_url=False):
            where = " ".join(["setting", *map(str, error["loc"])])
            typer.echo(f"{where}: {error['msg']}", err=True)
        raise typer.Exit(2) from exc


class Bars(LoadProgress):
    """Progress bars on stderr, one a step."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def step(self, name: str, total: int | None) -> None:
        """Open the bar of a step, of so many parts if that is known."""
        self._task = self._bars.add_task(name, total=total)

    def advance(self, n: int) -> None:
        """Move the bar that runs."""
        if self._task is not None:
            self._bars.advance(self._task, n)


@contextmanager
def _bars() -> Generator[Bars]:
    with Progress(console=Console(stderr=True)) as bars:
        yield Bars(bars)


def _bundle_or_none(settings: Settings) -> Path | None:
    try:
        return resolve_bundle(settings.bundle, settings.bundles)
    except BundleError:
        if settings.bundle is not None:
            raise
        typer.echo("warning: no bundle yet, so pictures are left out: load again", err=True)
        return None


async def _load(dataset: Dataset, url: str, *, bundle: Path | None, bars: Bars) -> LoadSummary:
    stores = RedisStores.open(url, timeout_s=COMMAND_TIMEOUT_S)
    try:
        return await load_dataset(dataset, stores, bundle=bundle, progress=bars)
    finally:
        await stores.server.close()


async def _export(url: str, out: Path, *, bars: Bars) -> ExportSummary:
    connection = Connection.open(url, timeout_s=COMMAND_TIMEOUT_S)
    try:
        return await export(connection, out, on_part=bars.advance)
    finally:
        await connection.close()


def _print(summary: dict[str, JsonValue], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(summary))
        return
    for name, value in summary.items():
        typer.echo(f"{name}: {value}")


@contextmanager
def _failures() -> Generator[None]:
    """End a command with exit status 1 and the message of an expected error."""
    try:
        yield
    except (
        *(ActivationError, BundleError, DatasetError, EmbeddedServerError, ExportError),
        *(ExposureError, KeyFileError, ReplayError, ServiceError, OSError),
    ) as exc:
        typer.echo(f"error: {exc}", err=True)
        raise typer.Exit(1) from exc


@contextmanager
def _store_url(settings: Settings) -> Generator[str]:
    if settings.redis_url is not None:
        yield str(settings.redis_url)
        return
    with embedded_server(settings.state_dir) as url:
        yield url


if __name__ == "__main__":
    commands()
