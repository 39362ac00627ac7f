"""The packed form of a customer's list."""

import numpy as np
import pytest

from models.domain.customer_list import CustomerList
from models.domain.event import key


def test_a_list_takes_eight_bytes_a_sale_and_eight_for_its_time() -> None:
    listed = CustomerList.from_sales(1_800_000_000_000_000, ["s1", "s2"])

    packed = listed.pack()

    assert packed[:8] == (1_800_000_000_000_000).to_bytes(8, "big")
    assert packed[8:] == key("s1").to_bytes(8, "big") + key("s2").to_bytes(8, "big")
    again = CustomerList.unpack(packed)
    assert again.at_us == listed.at_us
    assert np.array_equal(again.sale_keys, listed.sale_keys)


def test_nothing_is_no_list() -> None:
    assert len(CustomerList.unpack(b"")) == 0


def test_other_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match="a list of 13 bytes"):
        CustomerList.unpack(bytes(13))
