"""Labels that are seen together become one topic."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from models.pictures.topics import percentages
from training.scenes.topics import coherence, fit_topics, quality, topic_name

LABELS = ("golf_course", "fairway", "hotel", "inn", "sea", "beach")


def pairs(rng: np.random.Generator, n: int = 240) -> NDArray[np.float32]:
    """Draw pictures that each waver between the two labels of one of three pairs."""
    probabilities = np.full((n, 6), 0.005)
    split = rng.uniform(0.2, 0.8, n)
    first = 2 * (np.arange(n) % 3)
    probabilities[np.arange(n), first] += split
    probabilities[np.arange(n), first + 1] += 1 - split
    return (probabilities / probabilities.sum(axis=1, keepdims=True)).astype(np.float32)


def overlapping(
    rng: np.random.Generator, sizes: Sequence[int], chances: Sequence[float], n: int = 300
) -> NDArray[np.float32]:
    """Draw pictures of groups of labels; a picture's labels compete within its group."""
    ends: list[int] = np.cumsum(np.array(sizes)).tolist()
    probabilities = np.full((n, ends[-1]), 0.005)
    drawn: list[int] = rng.choice(len(sizes), size=n, p=chances).tolist()
    for row, group in enumerate(drawn):
        columns = slice(ends[group] - sizes[group], ends[group])
        probabilities[row, columns] += rng.dirichlet(np.full(sizes[group], 2.0))
    return (probabilities / probabilities.sum(axis=1, keepdims=True)).astype(np.float32)


def groups(names: Sequence[str]) -> set[frozenset[str]]:
    return {frozenset(name.lower().split(" – ")) for name in names}


@pytest.mark.parametrize("max_topics", [3, 6])
def test_overlapping_labels_become_one_topic(rng: np.random.Generator, max_topics: int) -> None:
    """Six topics would be as well reproduced, one a label; three say the same with less."""
    topics = fit_topics(pairs(rng), LABELS, max_topics=max_topics, seed=0)

    assert groups(topics.names) == {
        frozenset({"golf course", "fairway"}),
        frozenset({"hotel", "inn"}),
        frozenset({"sea", "beach"}),
    }


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("sizes", "chances"),
    [
        ((2, 2, 2), (0.6, 0.3, 0.1)),
        ((3, 3, 3, 3), (0.4, 0.3, 0.2, 0.1)),
        ((3, 2, 3), (0.5, 0.25, 0.25)),
    ],
)
def test_as_many_topics_are_found_as_were_planted(
    sizes: tuple[int, ...], chances: tuple[float, ...], seed: int
) -> None:
    """Groups of any size and frequency: neither a split of the common nor a loss of the rare."""
    labels = [f"{group}{label}" for group, size in enumerate(sizes) for label in range(size)]
    seen = overlapping(np.random.default_rng([7, seed]), sizes, chances)

    topics = fit_topics(seen, labels, max_topics=10, seed=seed)

    assert groups(topics.names) == {
        frozenset(name for name in labels if name.startswith(str(group)))
        for group in range(len(sizes))
    }


def test_labels_that_never_compete_stay_apart(rng: np.random.Generator) -> None:
    alone = np.full((120, 4), 0.01) + 0.96 * np.eye(4)[rng.integers(4, size=120)]

    topics = fit_topics(alone.astype(np.float32), LABELS[:4], max_topics=9, seed=0)

    assert sorted(topics.names) == ["Fairway", "Golf course", "Hotel", "Inn"]
    assert np.isnan(topics.coherence).all()


def test_the_same_seed_gives_the_same_topics(rng: np.random.Generator) -> None:
    probabilities = pairs(rng)
    one, again = (fit_topics(probabilities, LABELS, max_topics=5, seed=3) for _ in range(2))

    assert one.names == again.names
    assert np.array_equal(one.components, again.components)


def test_the_planted_number_of_topics_is_the_best(rng: np.random.Generator) -> None:
    """It is reproduced (1), coherent (1) and explains which of the three pairs it is."""
    seen = pairs(rng)
    means = {n: quality(seen, n, rng=np.random.default_rng(1)).mean() for n in range(2, 7)}

    assert 2.5 < means[3] < 3
    assert max(means[n] for n in (2, 4, 5, 6)) < means[3] - 0.3


@pytest.mark.parametrize("shape", [(3, 6), (50, 1)])
def test_too_little_to_see_gives_no_topics(shape: tuple[int, int]) -> None:
    labels = LABELS[: shape[1]]

    assert fit_topics(np.ones(shape, np.float32), labels, max_topics=5, seed=0).n_topics == 0


def test_coherence_is_normalised_mutual_information() -> None:
    """Of 4 pictures, a and b are in the first two, c in the first and third, d in the last."""
    seen = np.array(
        [[0.4, 0.4, 0.2, 0.0], [0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]],
        dtype=np.float32,
    )

    assert coherence(seen, [0, 1]) == pytest.approx(1)  # p_ab = p_a = p_b
    assert coherence(seen, [0, 2]) == pytest.approx(0)  # 1/4 = 1/2 · 1/2
    assert coherence(seen, [0, 3]) == -1
    assert coherence(seen, [0, 1, 2]) == pytest.approx(1 / 3)
    assert coherence(seen[:2], [0, 1]) == 1
    assert np.isnan(coherence(seen, [0]))


def test_a_topic_is_named_by_its_strong_labels() -> None:
    weights = np.array([0.5, 0.4, 0.0, 0.05, 0.3, 0.2])

    assert topic_name(weights, LABELS) == "Golf course – Fairway – Sea"
    assert topic_name(np.array([0.1, 0, 0, 0, 0, 1.0]), LABELS) == "Beach"


def test_percentages_sum_to_100_by_largest_remainder() -> None:
    shares = np.array([[1 / 3, 1 / 3, 1 / 3], [0.506, 0.494, 0.0], [0.0, 1.0, 0.0]], np.float32)

    assert percentages(shares).tolist() == [[34, 33, 33], [51, 49, 0], [0, 100, 0]]
