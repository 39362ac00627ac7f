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
from app.export import export


def export_events_command(
    *,
    out: Annotated[Path, typer.Option(help="Directory; the same one every time.")],
    redis_url: RedisUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move events and answers from the store into files of the dataset contract."""
    settings = read_settings(redis_url=redis_url)
    with exit_on_user_error(), progress_bars() as bars:
        bars.step("entries", None)
        summary = with_stores(
            settings, lambda stores: export(stores.connection, out, on_part=bars.advance)
        )
    print_summary(asdict(summary), as_json=as_json)
