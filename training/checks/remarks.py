"""Remarks on a dataset: what is wrong with most of its events."""

from models.dataset import Dataset, FaultCode
from training.configuration import RunConfig
from training.examples.closed_sales import if_mostly_outside
from training.examples.credit import if_few_credited


def remarks_on(dataset: Dataset) -> list[str]:
    """Return what more than half of the events share, and what to do about it."""
    counts, n_events = dataset.faults.counts(), len(dataset.events)
    repeated = counts.get(FaultCode.CONFLICTING_EVENT, 0)
    outside = sum(counts.get(code, 0) for code in (FaultCode.BEFORE_OPENING, FaultCode.AFTER_CLOSE))
    found: list[str] = []
    if repeated > n_events:
        found.append(
            f"{repeated:,} of {repeated + n_events:,} events have the `event_id` of another one"
            " of their customer, and are left out: give each event an id of its own, such as the"
            " number of its row, which `import table` takes where the mapping has no `event_id`"
        )
    if closed := if_mostly_outside(outside, n_events):
        found.append(closed)
    if few := if_few_credited(dataset.events, outcome_us=RunConfig().outcome_us):
        found.append(few)
    return found
