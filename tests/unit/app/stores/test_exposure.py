"""Packing of exposure records: types that JSON does not have."""

from dataclasses import replace
from typing import cast

import numpy as np
import pytest

from app.stores.exposure import PackedExposure
from models.experiments.exposure_record import ShownItem
from tests.records import RECORD


def test_a_number_of_numpy_is_refused_and_not_logged_as_its_bytes() -> None:
    """It offers its memory like bytes do, so that base64 would take it without an error."""
    odd = ShownItem("s1", 1, 1.0, cast("float", np.float32(0.0125)))

    with pytest.raises(TypeError, match=r"not JSON serializable: numpy\.float32") as refused:
        _ = PackedExposure.from_record(replace(RECORD, slate=(odd,)))

    assert str(refused.value.__cause__) == "a record holds a float32, which has no JSON"
