"""``python -m app apply-erasures``: a restored store forgets again who was erased since."""

import asyncio
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from app.cli.console import (
    JsonOption,
    RedisUrlOption,
    exit_on_user_error,
    opened,
    print_summary,
    read_settings,
    store_url,
)
from app.export import ExportError
from app.stores.store import Stores
from models.dataset.erasures import Erasures, read_erasures
from models.dataset.tables import read_table, table_path

AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class ErasureSummary:
    """What erasures took out of a store.

    Attributes:
        customers: Customers that the files say were erased.
        events: Events of windows that went.
        shown: Sales that customers were shown, of those that went.
        profiles: Profiles that went.
    """

    customers: int
    events: int
    shown: int
    profiles: int


def apply_erasures(
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
        erasures = erasures_of(data)
        with store_url(settings) as url:
            summary = asyncio.run(_apply(erasures, url))
    print_summary(asdict(summary), as_json=as_json)


def erasures_of(directory: Path) -> Erasures:
    """Read the erasures of an exported directory.

    Raises:
        ExportError: If there are none, or rows of them cannot be read: nobody may be left out.
    """
    path = table_path(directory, "erasures")
    if path is None:
        msg = f"{directory} has no erasures: nobody was erased, or nothing was exported there"
        raise ExportError(msg)
    erasures, faults = read_erasures(read_table(path))
    if faults.unusable() or faults.n_refused():
        msg = f"{path} cannot be read whole: see `python -m training validate --data {directory}`"
        raise ExportError(msg)
    return erasures


async def apply(erasures: Erasures, stores: Stores) -> ErasureSummary:
    """Erase everybody whom the files name, as of the moment that they name.

    What customers did later stays. To repeat it changes nothing.

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


async def _apply(erasures: Erasures, url: str) -> ErasureSummary:
    async with opened(url) as stores:
        return await apply(erasures, stores)
