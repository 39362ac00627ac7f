"""Parts of a split dataset, as workers read them."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from models.dataset.customers import CustomerTable
from models.dataset.event_split import Split
from models.dataset.events import EventTable
from models.dataset.faults import DatasetError
from models.dataset.reading import erasures_in, merges_in, read_event_part
from models.domain.errors import UserError


class PartError(UserError):
    """A part that cannot be read."""


def read_part(
    split: Split, part: int, *, data: Path, without: Collection[str] = ()
) -> tuple[EventTable, CustomerTable, int]:
    """Read and validate the events of a part.

    Args:
        split: The split dataset.
        part: Number of the part.
        data: The dataset, for its erasures and merges.
        without: Columns of texts that are left empty, see `read_event_part`.

    Returns:
        The accepted events, with the attributes of their customers; all customers of the part that
        have attributes; and the number of events that were left out for a fault.

    Raises:
        PartError: If they cannot be used as a whole.
    """
    erasures, _ = erasures_in(data)
    merges, _ = merges_in(data, erasures)
    try:
        events, faults = read_event_part(
            split.events(part), erasures=erasures, imported=split.imported, without=without
        )
    except DatasetError as exc:  # a report of faults does not travel between processes
        raise PartError(str(exc)) from exc
    customers = split.customers(part)
    attributes = customers.aligned(events.customers.values)
    events = replace(events, attributes=attributes, merges=merges)
    return events, customers, sum(faults.n_refused().values())
