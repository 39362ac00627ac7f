"""Remarks on the parity of answers."""

import pytest

from training.checks.parity import Parity


@pytest.mark.parametrize(
    ("n_equal", "n_differing", "is_remarked"),
    [(0, 10, True), (1, 10, True), (1, 9, False), (10, 0, False), (0, 0, False)],
)
def test_a_missing_history_is_suspected_where_more_than_nine_in_ten_answers_differ(
    n_equal: int, n_differing: int, *, is_remarked: bool
) -> None:
    ids = tuple(map(str, range(n_equal + n_differing)))
    parity = Parity(ids[:n_equal], ids[n_equal:], ids[n_equal:])

    assert (parity.remark is not None) == is_remarked
