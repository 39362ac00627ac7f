"""The linear offset of the trees: how far its weights go on the same evidence."""

import numpy as np
import pytest

from models.features.schema import FeatureSchema
from models.ranker.position_effect import PositionEffect
from training.ranker.fit_offset import fit_offset
from training.ranker.training_rows import TrainingRows


def test_what_is_known_of_a_customer_has_to_say_more_than_what_is_known_of_a_sale() -> None:
    """4,000 even chances are information of 1,000 (p (1 - p) each) about a feature of -1 and 1.

    By hand: log-odds of the log of 0.55 / 0.45 a unit, shrunk by 1,000 / 1,030 and,
    as features of the customer are the same in all rows of a list, by 1,000 / 2,000.
    """
    schema = FeatureSchema(())
    sign = np.tile(np.repeat([-1.0, 1.0], 20), 100)
    # Of 20 rows 11 are bought with the higher value, and 9 with the lower one.
    bought = np.tile(np.repeat([1.0, 0.0, 1.0, 0.0], [9, 11, 11, 9]), 100)
    weights = {}
    for name in ("sale_price", "customer_views"):
        column = schema.names.index(name)
        matrix = np.zeros((len(sign), len(schema.names)), dtype=np.float32)
        matrix[:, column] = sign
        rows = TrainingRows(matrix, bought, np.ones(len(sign)))

        offset = fit_offset(rows, PositionEffect.none(), schema=schema, seed=0)

        weights[name] = offset.regression.weights[column]
    full = np.log(0.55 / 0.45)
    assert weights["sale_price"] == pytest.approx(full * 1_000 / 1_030, rel=0.01)
    assert weights["customer_views"] == pytest.approx(full * 1_000 / 2_000, rel=0.01)
