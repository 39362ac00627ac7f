import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.ranker.objective import expected_value
from models.slate.diversity import Similarity, diversified, relevance
from tests.builders import catalogue, picture, rows, sale


def similarity(topics: list[list[float]], destinations: list[int]) -> Similarity:
    shares = np.array(topics, dtype=np.float64).reshape(len(topics), -1 if topics else 0)
    length = np.linalg.norm(shares, axis=1, keepdims=True)
    return Similarity(shares / np.where(length > 0, length, 1.0), np.array(destinations))


def by_definition(
    order: NDArray[np.float64], alike: Similarity, *, weight: float, limit: int
) -> list[int]:
    """Maximal marginal relevance, written as its formula."""
    worth, left, slate = relevance(order), [*range(len(order))], list[int]()
    left.sort(key=lambda index: -order[index])
    while left and len(slate) < limit:
        values = [
            (1 - weight) * worth[one]
            - weight * max([float(alike.to(s)[one]) for s in slate] or [0])
            for one in left
        ]
        slate.append(left.pop(values.index(max(values))))
    return slate


def test_likeness_is_half_topics_and_half_destination() -> None:
    """The cosine of (1, 0) and (0.6, 0.8) is 0.6; no picture and no destination are like none."""
    alike = similarity([[1, 0], [0.6, 0.8], [0, 0], [1, 0]], [1, 1, 1, 0])

    assert alike.to(0) == pytest.approx([1.0, 0.8, 0.5, 0.5])
    assert alike.to(3) == pytest.approx([0.5, 0.3, 0.0, 0.5])


def test_the_spread_of_a_slate_is_one_minus_its_mean_likeness() -> None:
    """Of the three pairs, similarity 0.8, 0.5 and 0.5."""
    alike = similarity([[1, 0], [0.6, 0.8], [0, 0]], [1, 1, 1])

    assert alike.spread() == pytest.approx(1 - 1.8 / 3)
    assert np.isnan(alike.select(np.array([0])).spread())


def test_sales_of_a_catalogue_are_compared_by_pictures_and_destinations() -> None:
    pictured = picture(1.0, 0.0, embedding={0: 1.0})
    sales = [sale("a", destination="Alps"), sale("b", destination="Alps"), sale("c")]
    shop = catalogue(*sales, pictures={"a": pictured, "c": pictured})

    alike = Similarity.from_catalogue(shop, rows(shop, "a", "b", "c"))

    assert alike.to(0) == pytest.approx([1.0, 0.5, 0.5])


def test_a_slate_trades_score_for_being_unlike_what_stands_above() -> None:
    """At 0.3: of 0.7 * 0.9 - 0.3 and 0.7 * 0.5 the second is higher, then 0.33 against 0."""
    alike = similarity([[1, 0], [1, 0], [0, 1], [0, 1]], [1, 1, 2, 2])
    order = np.array([1.0, 0.9, 0.5, 0.0])

    assert diversified(order, alike, weight=0.3, limit=3).tolist() == [0, 2, 1]
    assert diversified(order, alike, weight=0.1, limit=3).tolist() == [0, 1, 2]


@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=25
    ),
    st.sampled_from([0.05, 0.3, 0.7, 0.95]),
    st.integers(1, 12),
)
def test_the_short_cut_chooses_what_the_definition_chooses(
    sales: list[tuple[int, int, int]], weight: float, limit: int
) -> None:
    order = np.array([score / 6 for score, _, _ in sales])
    alike = similarity([[t == 0, t == 1, t == 2] for _, t, _ in sales], [d for _, _, d in sales])

    chosen = diversified(order, alike, weight=weight, limit=limit)

    assert chosen.tolist() == by_definition(order, alike, weight=weight, limit=limit)


def test_without_weight_the_order_of_the_scores_is_kept() -> None:
    alike = similarity([[1, 0]] * 3, [1, 1, 1])

    assert diversified(np.array([0.1, 0.3, 0.3]), alike, weight=0.0, limit=9).tolist() == [1, 2, 0]


@pytest.mark.parametrize("limit", [0, 3])
def test_nothing_to_choose_from_gives_nothing(limit: int) -> None:
    chosen = diversified(np.empty(0), similarity([], []), weight=0.5, limit=limit)

    assert chosen.tolist() == []


def test_sales_of_unknown_worth_and_without_score_follow_all_others() -> None:
    """However much alike the known ones are."""
    worth = expected_value(np.array([0.2, 0.1, 0.3]), np.array([10.0, 9.0, np.nan]))
    order = np.concatenate([worth, [-np.inf, -np.inf]])
    alike = similarity([[1, 0], [1, 0], [0, 1], [0, 1], [0, 1]], [1, 1, 2, 2, 2])

    assert diversified(order, alike, weight=0.9, limit=5).tolist() == [0, 1, 2, 3, 4]


def test_relevance_reaches_from_nought_to_one() -> None:
    assert relevance(np.array([3.0, 2.0, 6.0])).tolist() == [0.25, 0.0, 1.0]
    assert relevance(np.array([3.0, 3.0])).tolist() == [0.0, 0.0]
