"""``python -m app``: everything that touches the store."""

import asyncio
import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
import yaml
from polars import DataFrame
from rich.console import Console
from rich.progress import Progress, TaskID

from app.bundles.bundle_repository import BundleRepository
from app.cli.activation import activate
from app.cli.console import (
    COMMAND_TIMEOUT_S,
    JsonOption,
    RedisUrlOption,
    exit_on_user_error,
    opened,
    print_summary,
    read_settings,
    require_bundle,
    store_url,
)
from app.cli.doctor import Verdict, examine
from app.cli.erasures_command import apply_erasures
from app.cli.load import Extent, LoadSummary
from app.cli.load import Progress as LoadProgress
from app.cli.load import load as load_dataset
from app.cli.load import load_profiles as profiles_into_store
from app.cli.load_report import report
from app.cli.plan_command import plan_commands
from app.cli.promotion_command import promotion_commands
from app.cli.replay import ReplayError, exported, replay_all, replayer_of, stored
from app.experiments.plan_file import first_plan
from app.export import ExportSummary, export
from app.main import create_app
from app.observability import configure_logging, get_logger
from app.resources import Worker
from app.security.key import KeyFile, Scope, entry_of, new_key
from app.security.key_ring import KeyFileError, read_keys, write_keys
from app.settings import Settings
from app.stores.connection import Connection
from app.workers import listen, run
from models.dataset import Dataset, read_dataset
from models.dataset.profile_file import newest_profiles
from models.scoring.bundle import BundleError, resolve_bundle

_log = get_logger(__name__)

commands = typer.Typer(
    help="Serve recommendations, and everything else that touches the store.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


keys_commands = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)
commands.add_typer(keys_commands, name="keys")
commands.add_typer(plan_commands, name="plan")
commands.add_typer(promotion_commands, name="promotion")
commands.command("apply-erasures")(apply_erasures)


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
    settings = read_settings(
        bundle=bundle, redis_url=redis_url, host=host, port=port, workers=workers
    )
    configure_logging(settings.log_level)
    with exit_on_user_error():
        if settings.keys is not None:
            _ = read_keys(settings.keys)
        _ = first_plan(settings.plan)
        with listen(settings) as listener, store_url(settings) as url:
            asyncio.run(require_bundle(settings, url))
            host, port = listener.getsockname()[:2]
            _log.info("listening", url=f"http://{host}:{port}", workers=settings.workers)
            run(settings.model_copy(update={"redis_url": url}), listener)


@commands.command()
def load(
    *,
    data: Annotated[Path, typer.Option(help="Directory of a dataset.", file_okay=False)],
    bundle: Annotated[
        str | None, typer.Option(help="Labels pictures it does not know; unset: the newest.")
    ] = None,
    redis_url: RedisUrlOption = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at faulty rows.")] = False,
    full: Annotated[
        bool, typer.Option("--full", help="It holds every sale: withdraw all others.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="With --full: also if more than half would go.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Fill the store with sales, pictures, the latest windows and counts. Safe to repeat."""
    settings = read_settings(bundle=bundle, redis_url=redis_url)
    with exit_on_user_error(), _bars() as bars, store_url(settings) as url:
        dataset = read_dataset(data, strict=strict, decode_pictures=False)
        for remark in dataset.faults.remarks():
            typer.echo(f"note: {remark}", err=True)
        labeller = _bundle_or_none(settings)
        extent = Extent(is_full=full, is_confirmed=yes)
        summary = asyncio.run(_load(dataset, url, bundle=labeller, extent=extent, bars=bars))
    report(summary, as_json=as_json)


@commands.command("load-profiles")
def load_profiles(
    *,
    profiles: Annotated[
        Path, typer.Option(help="Where nights publish them; the newest one is taken.")
    ],
    redis_url: RedisUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell the store what last night knows of its customers. Safe to repeat."""
    settings = read_settings(redis_url=redis_url)
    with exit_on_user_error(), _bars() as bars, store_url(settings) as url:
        path = newest_profiles(profiles)
        n_customers = asyncio.run(_load_profiles(path, url, bars=bars))
    print_summary({"profiles": str(path), "customers": n_customers}, as_json=as_json)


@commands.command("export-events")
def export_events(
    *,
    out: Annotated[Path, typer.Option(help="Directory; the same one every time.")],
    redis_url: RedisUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move events and answers from the store into files of the dataset contract."""
    settings = read_settings(redis_url=redis_url)
    with exit_on_user_error(), _bars() as bars, store_url(settings) as url:
        bars.step("entries", None)
        summary = asyncio.run(_export(url, out, bars=bars))
    print_summary(asdict(summary), as_json=as_json)


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
    settings = read_settings()
    with exit_on_user_error():
        bundle_id = bundle or BundleRepository(settings.bundles, None).first_id()
        api_key = key_file.read_text(encoding="utf-8").strip() if key_file else None
        activate(url, bundle_id, api_key=api_key)
    print_summary({"active": bundle_id}, as_json=as_json)


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
    settings = read_settings(redis_url=redis_url)
    configure_logging("warning")
    with exit_on_user_error():
        if everything is not None:
            exposures = exported(everything)
        else:
            exposures = _one_answer(recommendation_id or "", data, settings)
        replays = replay_all(exposures, replayer_of(settings))
    print_summary(asdict(replays), as_json=as_json)
    if replays.equal < exposures.height or not exposures.height:
        raise typer.Exit(1)


def _one_answer(recommendation_id: str, directory: Path | None, settings: Settings) -> DataFrame:
    if directory is not None:
        found = exported(directory, recommendation_id)
    else:
        with store_url(settings) as url:
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
    with exit_on_user_error():
        known = read_keys(path).keys if path.exists() else ()
        write_keys(path, KeyFile(keys=(*known, entry)))
    typer.echo(key)


@keys_commands.command("list")
def list_api_keys() -> None:
    """List the keys by their ids; nothing of the keys themselves is known."""
    with exit_on_user_error():
        for entry in read_keys(_key_path()).keys:
            scopes = ",".join(entry.scopes)
            typer.echo(f"{entry.key_id}  {entry.created_at:%Y-%m-%d}  {scopes}  {entry.note}")


@keys_commands.command("revoke")
def revoke_api_key(key_id: Annotated[str, typer.Argument(help="Its id.")]) -> None:
    """Forget a key; running services refuse it a second later."""
    path = _key_path()
    with exit_on_user_error():
        known = read_keys(path).keys
        kept = tuple(entry for entry in known if entry.key_id != key_id)
        if len(kept) == len(known):
            msg = f"no key {key_id!r} in {path}; `python -m app keys list` names them"
            raise KeyFileError(msg)
        write_keys(path, KeyFile(keys=kept))


def _key_path() -> Path:
    path = read_settings().keys
    if path is None:
        typer.echo("error: VITRINE_KEYS is not set: name the file of the keys", err=True)
        raise typer.Exit(2)
    return path


@commands.command()
def doctor(*, redis_url: RedisUrlOption = None, as_json: JsonOption = False) -> None:
    """Look at everything that serving needs, and say what to do; ends with 1 if it cannot serve."""
    settings = read_settings(redis_url=redis_url)
    configure_logging("error")
    with exit_on_user_error(), store_url(settings) as url:
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


async def _load(
    dataset: Dataset, url: str, *, bundle: Path | None, extent: Extent, bars: Bars
) -> LoadSummary:
    async with opened(url) as stores:
        return await load_dataset(dataset, stores, bundle=bundle, progress=bars, extent=extent)


async def _load_profiles(path: Path, url: str, *, bars: Bars) -> int:
    async with opened(url) as stores:
        return await profiles_into_store(path, stores, progress=bars)


async def _export(url: str, out: Path, *, bars: Bars) -> ExportSummary:
    connection = Connection.open(url, timeout_s=COMMAND_TIMEOUT_S)
    try:
        return await export(connection, out, on_part=bars.advance)
    finally:
        await connection.close()


if __name__ == "__main__":
    commands()
