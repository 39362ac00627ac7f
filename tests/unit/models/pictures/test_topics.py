"""Topic shares: known mixtures, independence of the company, and bytes."""

import numpy as np
import pytest

from models.arrays.array_file import Arrays
from models.pictures.topics import Topics

# Labels: slope, chalet, sea, palm.
COMPONENTS = np.array([[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.75, 0.25]])
TOPICS = Topics(COMPONENTS, ("slope, chalet", "sea, palm"))


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_a_mixture_of_topics_gets_its_shares_back(share: float) -> None:
    mixture = share * COMPONENTS[0] + (1 - share) * COMPONENTS[1]

    shares = TOPICS.shares(mixture[None].astype(np.float32))

    np.testing.assert_allclose(shares, [[share, 1 - share]], atol=1e-6)


def test_shares_are_those_of_least_squares() -> None:
    """Where the least-squares solution is positive, non-negativity changes nothing."""
    overlapping = np.array([[0.6, 0.3, 0.1], [0.1, 0.3, 0.6]])
    seen = np.array([0.5, 0.2, 0.3])
    exact = np.linalg.lstsq(overlapping.T, seen, rcond=None)[0]

    shares = Topics(overlapping, ("a", "b")).shares(seen[None].astype(np.float32))

    np.testing.assert_allclose(shares[0], exact / exact.sum(), atol=1e-5)


def test_only_a_topic_whose_labels_avoid_each_other_is_not_shown() -> None:
    """One label has no coherence, and topics of an earlier fit may not have it measured."""
    measured = Topics(np.eye(3), ("a", "b", "c"), coherence=(-0.01, 0.0, np.nan))

    assert measured.is_shown.tolist() == [False, True, True]
    assert TOPICS.is_shown.tolist() == [True, True]
    assert Topics.none().is_shown.tolist() == []


def test_shares_sum_to_one(rng: np.random.Generator) -> None:
    shares = TOPICS.shares(rng.dirichlet(np.ones(4), size=50).astype(np.float32))

    np.testing.assert_allclose(shares.sum(axis=1), 1.0, atol=1e-6)


def test_a_row_does_not_depend_on_the_rows_beside_it(rng: np.random.Generator) -> None:
    topics = Topics(rng.dirichlet(np.ones(26), size=9), tuple("abcdefghi"))
    probabilities = rng.dirichlet(np.ones(26), size=64).astype(np.float32)
    together = topics.shares(probabilities)

    alone = np.concatenate([topics.shares(row[None]) for row in probabilities])
    reversed_order = topics.shares(probabilities[::-1])[::-1]

    assert alone.tobytes() == together.tobytes() == reversed_order.tobytes()


def test_a_picture_without_any_known_label_has_no_topic() -> None:
    assert TOPICS.shares(np.zeros((1, 4), dtype=np.float32)).tolist() == [[0.0, 0.0]]


def test_without_topics_every_picture_has_no_shares() -> None:
    """A service without a bundle reads snapshots whose pictures were labelled by one."""
    assert Topics.none().shares(np.ones((3, 26), dtype=np.float32)).shape == (3, 0)


@pytest.mark.parametrize("topics", [TOPICS, Topics.none()])
def test_bytes_round_trip(topics: Topics) -> None:
    restored = Topics.from_bytes(topics.to_bytes())

    assert restored.names == topics.names
    assert restored.components.tolist() == topics.components.tolist()


def test_topics_without_a_name_each_are_refused() -> None:
    content = Arrays({"components": COMPONENTS, "names": np.array(["one"])}).to_bytes()

    with pytest.raises(ValueError, match="1 names for 2 topics"):
        Topics.from_bytes(content)
