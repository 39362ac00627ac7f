"""``python -m app keys``: make, list and revoke API keys."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import exit_on_user_error, read_settings
from app.security.key import KeyFile, Scope, entry_of, new_key
from app.security.key_ring import KeyFileError, changing_keys, read_keys, write_keys

keys_commands = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)


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
    with exit_on_user_error(), changing_keys(path):
        known = read_keys(path).keys if path.exists() else ()
        write_keys(path, KeyFile(keys=(*known, entry)))
    # Printed only once its hash is in the file: a key that is seen works.
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
    with exit_on_user_error(), changing_keys(path):
        known = read_keys(path).keys
        kept = tuple(entry for entry in known if entry.key_id != key_id)
        if len(kept) == len(known):
            msg = f"no key {key_id!r} in {path}; `python -m app keys list` names them"
            raise KeyFileError(msg)
        write_keys(path, KeyFile(keys=kept))
    typer.echo(f"{key_id} is revoked; {len(kept)} keys are left", err=True)


def _key_path() -> Path:
    path = read_settings().keys
    if path is None:
        typer.echo("error: VITRINE_KEYS is not set: name the file of the keys", err=True)
        raise typer.Exit(2)
    return path
