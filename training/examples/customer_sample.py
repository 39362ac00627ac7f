"""Sample of customers: the share of them whose slates the ranker learns from."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.dataset.event_columns import keys_for
from training.examples.slates import Slates


def in_sample(customer_ids: pl.Series, share: float) -> NDArray[np.bool_]:
    """Mark the customers of a sample, by a hash of the id, shape ``(n_customers,)``.

    A customer is in the sample of every run and dataset, or in none, and a sample is a part of
    each larger one.

    Args:
        customer_ids: Customers.
        share: Of all customers, above 0 and at most 1.
    """
    return keys_for(customer_ids) <= share * 2.0**64


def sampled(slates: Slates, customer_ids: pl.Series, *, share: float) -> Slates:
    """Return the slates of the customers of a sample; see `in_sample`.

    Args:
        slates: Slates of all customers.
        customer_ids: The customer of each code.
        share: Of all customers, above 0 and at most 1.
    """
    if share == 1.0:
        return slates
    return slates.select(np.flatnonzero(in_sample(customer_ids, share)[slates.customers]))
