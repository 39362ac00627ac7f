"""Agreement of two sales of one customer, by hand."""

import numpy as np
import pytest

from tests.logs import Row, catalogue, event_table
from training.recommenders.interactions import Interactions
from training.recommenders.pairs import fit_agreement

SHOP = catalogue("s0", "s1", "s2", "s3")
PLACES = {"s0": (1.0, 1.0), "s1": (1.0, -1.0), "s2": (-1.0, 1.0), "s3": (-1.0, -1.0)}
VECTORS = np.array([PLACES[sale.sale_id] for sale in SHOP.sales])


def test_customers_agree_in_one_dimension_and_disagree_in_the_other() -> None:
    """Two customers have both sales at 1 in the first dimension, one has both at -1.

    On offer both dimensions have variance 1, and the ridge makes it 1.5. The mean of what is
    touched is 1/3, the product of a pair 1, or -1 in the second dimension: eigenvalues of
    (1 - 1/9) / 1.5 and -1 / 1.5, which measures the noise.
    """
    pairs = {"c1": ("s0", "s1"), "c2": ("s0", "s1"), "c3": ("s2", "s3")}
    log = [Row(customer=who, sale=sale) for who, sales in pairs.items() for sale in sales]

    found = fit_agreement(
        Interactions.from_events(event_table(log), SHOP), VECTORS, looks=np.ones(len(SHOP))
    )

    eigenvalue, noise = (8 / 9) / 1.5, (1 / 1.5) ** 2 / 2
    assert found.spread.tolist() == pytest.approx([eigenvalue**3 / (eigenvalue**2 + noise)])
    assert abs(found.mean[0]) == pytest.approx(1 / 3 / 1.5**0.5)
    assert np.abs(found.axes[:, 0]).tolist() == pytest.approx([1 / 1.5**0.5, 0.0])


def test_who_touches_more_weighs_more_but_each_pair_less() -> None:
    """A customer of n sales weighs n: their ordered pairs 1 / (n - 1) each."""
    log = [Row(customer="c1", sale=sale) for sale in ("s0", "s1", "s2")]
    log += [Row(customer="c2", sale=sale) for sale in ("s2", "s3")]

    found = fit_agreement(
        Interactions.from_events(event_table(log), SHOP),
        VECTORS[:, :1],
        looks=np.ones(len(SHOP)),
    )

    # Ordered pairs of c1: 1, 1, -1, -1, -1, -1 at weight 1/2; of c2: 1, 1 at weight 1.
    product = (-2 / 2 + 2) / 5
    eigenvalue = (product - (1 / 5) ** 2) / 1.5
    assert found.spread.tolist() == pytest.approx([eigenvalue])
