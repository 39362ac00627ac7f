"""Check that a bundle and a dataset belong together: sales that one of them does not know."""

import numpy as np

from models.domain.errors import UserError
from models.domain.event import NO_SALE, from_us, key, to_us
from models.scoring.scorer import Scorer
from training.evaluation.evaluate import Question


class UnknownSalesError(UserError):
    """A bundle and a dataset that do not belong together; the message gives numbers and an id."""


def unknown_sales(scorer: Scorer, question: Question) -> list[str]:
    """Return the ids of sales that opened before the end of a bundle's data and are unknown to it.

    Args:
        scorer: The bundle's scorer.
        question: What it is judged on.
    """
    learned = {sale.sale_id for sale in scorer.snapshot.sales}
    return [
        sale.sale_id
        for sale in question.dataset.sales
        if to_us(sale.opens_at) < question.learned_until_us and sale.sale_id not in learned
    ]


def count_known_sales(scorer: Scorer, question: Question) -> dict[str, int]:
    """Count the sales that a bundle knows, and the judged events of sales in the dataset.

    Sales that opened after the bundle's data are new to it: they are counted apart, and judged.

    Args:
        scorer: The bundle's scorer.
        question: What it is judged on.

    Returns:
        ``known``, ``unknown`` and ``opened_later`` sales; ``events`` that are judged, and
        ``events_of_unlisted_sales``, of sales that the dataset does not hold.

    Raises:
        UnknownSalesError: If the bundle does not know more than half of the sales that opened
            before the end of its data, or the dataset does not hold those of more than half of
            the judged events.
    """
    dataset, until_us = question.dataset, question.learned_until_us
    n_earlier = sum(to_us(sale.opens_at) < until_us for sale in dataset.sales)
    unknown = unknown_sales(scorer, question)
    events = dataset.events
    judged = np.flatnonzero((events.at_us >= question.from_us) & (events.sale_keys != NO_SALE))
    listed = np.array([key(sale.sale_id) for sale in dataset.sales], dtype=np.uint64)
    unlisted = judged[~np.isin(events.sale_keys[judged], listed)]
    if 2 * len(unknown) > n_earlier:
        msg = (
            f"bundle {scorer.bundle_id} does not know {len(unknown):,} of {n_earlier:,} sales "
            f"that opened before the end of its data, {from_us(until_us):%Y-%m-%d %H:%M} UTC, "
            f"such as {unknown[0]!r}: judge it on data of the shop that it was trained on, with "
            "the same sale ids"
        )
        raise UnknownSalesError(msg)
    if 2 * len(unlisted) > len(judged):
        sale_id = events.sale_ids.values[int(events.sale_ids.codes[unlisted[0]])]
        msg = (
            f"{dataset.directory}: the sales of {len(unlisted):,} of {len(judged):,} judged events "
            f"are not among its sales, such as {sale_id!r}: add them, or give both the same ids"
        )
        raise UnknownSalesError(msg)
    return {
        "known": n_earlier - len(unknown),
        "unknown": len(unknown),
        "opened_later": len(dataset.sales) - n_earlier,
        "events": len(judged),
        "events_of_unlisted_sales": len(unlisted),
    }
