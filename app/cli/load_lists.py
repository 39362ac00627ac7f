"""``python -m app load-lists``: put the lists of a night into the store."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

from app.cli.console import (
    JsonOption,
    Progress,
    RedisUrlOption,
    exit_on_user_error,
    print_summary,
    progress_bars,
    read_settings,
    with_stores,
)
from app.stores.store import Stores
from models.dataset.list_folder import ListFolder
from models.domain.customer_list import CustomerList

# Chosen: a page of ten, and what closes or is bought until the next night.
DEFAULT_SALES: Final = 30
# Lists of one pipeline of commands; chosen as that of customers in `fill_store`.
LISTS_AT_ONCE: Final = 200


def load_lists_command(
    *,
    lists: Annotated[Path, typer.Option(help="What batch-score wrote.", file_okay=False)],
    top: Annotated[int, typer.Option(min=1, help="Sales of a list at most.")] = DEFAULT_SALES,
    redis_url: RedisUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put lists into the store, for answers without a model. Safe to repeat."""
    settings = read_settings(redis_url=redis_url)
    with exit_on_user_error(), progress_bars() as bars:
        folder = ListFolder.read(lists)
        counted = with_stores(
            settings, lambda stores: load_lists(folder, stores, top=top, progress=bars)
        )
    print_summary({"lists": str(lists), "bundle": folder.bundle_id, **counted}, as_json=as_json)


async def load_lists(
    folder: ListFolder, stores: Stores, *, top: int, progress: Progress
) -> Mapping[str, int]:
    """Put lists into the store, in place of earlier ones.

    Returns:
        The number of customers, and of those among them who were erased since.

    Raises:
        ListFolderError: If a file cannot be read.
        StoreUnavailableError: If the store does not answer; run it again.
    """
    n_lists, n_kept = 0, 0
    progress.step("lists", folder.n_customers)
    for batch in _batches(folder, top=top):
        n_kept += await stores.lists.put(batch)
        n_lists += len(batch)
        progress.advance(len(batch))
    return {"customers": n_lists, "erased": n_lists - n_kept}


def _batches(folder: ListFolder, *, top: int) -> Iterator[dict[str, CustomerList]]:
    for frame in folder.parts(top=top):
        for rows in frame.iter_slices(LISTS_AT_ONCE):
            yield {
                customer_id: CustomerList.from_sales(folder.at_us, sale_ids)
                for customer_id, sale_ids in rows.iter_rows()
            }
