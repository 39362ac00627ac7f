"""The objective decides which events are outcomes, and what each was worth."""

import numpy as np
import pytest

from models.ranker.objective import TrainingObjective
from tests.logs import Row, catalogue, event_table, sale
from training.configuration import RunConfig
from training.examples.outcomes import amounts_paid, is_outcome, objective_for


@pytest.mark.parametrize(
    ("objective", "expected"),
    [("click", [False, True, False, True]), ("purchase", [False, False, False, True])],
)
def test_a_purchase_is_an_outcome_of_every_objective(
    objective: TrainingObjective, expected: list[bool]
) -> None:
    kinds = ("impression", "click", "cart", "purchase")
    events = event_table([Row(kind=kind, at=at) for at, kind in enumerate(kinds)])

    assert is_outcome(events, TrainingObjective(objective)).tolist() == expected


@pytest.mark.parametrize(
    ("n_purchases", "n_clicks", "expected"),
    [(20, 900, "purchase"), (19, 900, "click"), (19, 19, "purchase"), (0, 0, "purchase")],
)
def test_clicks_are_learned_where_there_are_hardly_any_purchases(
    n_purchases: int, n_clicks: int, expected: str
) -> None:
    kinds = ["purchase"] * n_purchases + ["click"] * n_clicks
    events = event_table([Row(kind=kind, at=at) for at, kind in enumerate(kinds)])

    assert objective_for(RunConfig(), events) == expected
    assert objective_for(RunConfig(objective=TrainingObjective.VALUE), events) == "value"


def test_an_amount_is_revenue_or_else_the_price_of_all_pieces() -> None:
    log = [
        Row(kind="purchase", revenue=70.0, quantity=2),
        Row(kind="purchase", at=1, quantity=3),
        Row(kind="purchase", at=2),
        Row(kind="purchase", at=3, sale="s2", quantity=3),
        Row(kind="purchase", at=4, sale="gone"),
    ]

    paid = amounts_paid(event_table(log), catalogue(sale("s1", price=40.0), "s2"))

    np.testing.assert_allclose(paid, [70.0, 120.0, 40.0, np.nan, np.nan])
