"""``python -m app export-events``: events and answers as files of the dataset contract."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import (
    JsonOption,
    RedisUrlOption,
    exit_on_user_error,
    print_summary,
    progress_bars,
    read_settings,
    with_stores,
)
from app.errors import MAX_NAMED
from app.export import export


def export_events_command(
    *,
    out: Annotated[Path, typer.Option(help="Directory; the same one every time.")],
    redis_url: RedisUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move events and answers from the store into files of the dataset contract.

    The exit status is 1 if a stream of the store cannot be read; the others are exported.
    """
    settings = read_settings(redis_url=redis_url)
    with exit_on_user_error(), progress_bars() as bars:
        bars.step("entries", None)
        summary = with_stores(
            settings, lambda stores: export(stores.connection, out, on_part=bars.advance)
        )
    print_summary(asdict(summary), as_json=as_json)
    if damaged := summary.damaged_streams:
        typer.echo(
            f"error: {len(damaged)} streams cannot be exported, such as"
            f" {', '.join(damaged[:MAX_NAMED])}: another program wrote to these keys; remove each"
            " (`redis-cli DEL KEY`). The others are exported",
            err=True,
        )
        raise typer.Exit(1)
