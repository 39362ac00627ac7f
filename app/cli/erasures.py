"""``python -m app apply-erasures``: repeat the erasures since the backup in a restored store."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from app.cli.console import (
    JsonOption,
    RedisUrlOption,
    exit_on_user_error,
    print_summary,
    read_settings,
    with_stores,
)
from app.export import ExportError
from app.stores.store import Stores
from models.dataset.erasures import Erasures, read_erasures
from models.dataset.tables import read_table, table_path

# Erasures of one pipeline of commands; chosen, not measured.
AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class ErasureSummary:
    """Summary of the data that erasures removed from a store.

    Attributes:
        customers: Customers that the files say were erased.
        events: Events removed from windows.
        shown: Sales removed from the impressions of customers.
        profiles: Profiles removed.
    """

    customers: int
    events: int
    shown: int
    profiles: int


def apply_erasures_command(
    *,
    data: Annotated[
        Path, typer.Option(help="Where events are exported to.", file_okay=False, exists=True)
    ],
    redis_url: RedisUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase in a restored store whom an export's erasures name. Safe to repeat."""
    settings = read_settings(redis_url=redis_url)
    with exit_on_user_error():
        erasures = exported_erasures(data)
        summary = with_stores(settings, lambda stores: apply_erasures(erasures, stores))
    print_summary(asdict(summary), as_json=as_json)


def exported_erasures(directory: Path) -> Erasures:
    """Read the erasures of an exported directory.

    Raises:
        ExportError: If there are none, or rows of them cannot be read: no customer may be left
            out.
    """
    path = table_path(directory, "erasures")
    if path is None:
        msg = f"{directory} has no erasures: no customer was erased, or this is no export"
        raise ExportError(msg)
    erasures, faults = read_erasures(read_table(path))
    if faults.unusable() or faults.n_refused():
        msg = f"{path} cannot be read whole: see `python -m training validate --data {directory}`"
        raise ExportError(msg)
    return erasures


async def apply_erasures(erasures: Erasures, stores: Stores) -> ErasureSummary:
    """Erase every customer of the files, as of the time that they name.

    Later events stay. A repetition changes nothing.

    Raises:
        StoreUnavailableError: If the store does not answer; run it again.
    """
    rows = [*erasures.moments()]
    events, shown, profiles = 0, 0, 0
    for start in range(0, len(rows), AT_ONCE):
        for erased in await stores.customers.erase_again(rows[start : start + AT_ONCE]):
            events += erased[0]
            shown += erased[1]
            profiles += erased[2]
    return ErasureSummary(len(rows), events, shown, profiles)
