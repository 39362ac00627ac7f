"""The head learns what there is to learn, and its graph computes the same."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from training.scenes.head import Head, Recipe, fit_head, softmax

QUICK = Recipe(epochs=20, dropout=0.2, least_steps=60)


def clusters(
    rng: np.random.Generator, n: int = 90
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Draw three clusters of features on very different scales, two views each."""
    labels = np.arange(n) % 3
    centres = 4 * rng.standard_normal((3, 12))
    views = centres[labels][:, None] + rng.standard_normal((n, 2, 12))
    return (views * np.logspace(-3, 3, 12) + 5).astype(np.float32), labels


def test_separate_clusters_are_told_apart(rng: np.random.Generator) -> None:
    views, labels = clusters(rng)

    head = fit_head(views[:60], labels[:60], n_labels=3, recipe=QUICK, seed=0)

    assert head.logits(views[60:, 0]).argmax(axis=1).tolist() == labels[60:].tolist()


def test_the_seed_decides_the_head(rng: np.random.Generator) -> None:
    views, labels = clusters(rng)
    one, again, other = (
        fit_head(views, labels, n_labels=3, recipe=QUICK, seed=seed) for seed in (4, 4, 5)
    )

    assert np.array_equal(one.w1, again.w1)
    assert np.array_equal(one.w2, again.w2)
    assert not np.array_equal(one.w1, other.w1)


def test_embeddings_are_unit_vectors_close_to_their_label(rng: np.random.Generator) -> None:
    views, labels = clusters(rng)
    head = fit_head(views, labels, n_labels=3, recipe=QUICK, seed=0)

    embeddings = head.embeddings(views[:, 0])

    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-5)
    assert (embeddings @ head.centres).argmax(axis=1).tolist() == labels.tolist()


def test_what_no_cluster_explains_is_more_unlike(rng: np.random.Generator) -> None:
    views, labels = clusters(rng)
    head = fit_head(views, labels, n_labels=3, recipe=QUICK, seed=0)
    between = views[:, 0].reshape(-1, 3, 12).mean(axis=1)

    assert np.median(head.unlikeness(between)) > np.max(head.unlikeness(views[:, 0]))


def tiny() -> Head:
    """Return a head on two features: the embedding is the direction of the features."""
    eye = np.eye(2, dtype=np.float32)
    return Head(eye, np.zeros(2, np.float32), 2 * eye, np.array([0, 1], np.float32), eye)


def test_logits_by_hand() -> None:
    features = np.array([[3, 4]], dtype=np.float32)

    np.testing.assert_allclose(tiny().logits(features), [[1.2, 2.6]], rtol=1e-6)
    np.testing.assert_allclose(tiny().at_temperature(2).logits(features), [[0.6, 1.3]], rtol=1e-6)
    np.testing.assert_allclose(tiny().unlikeness(features), [-0.8], rtol=1e-6)


def test_softmax_does_not_overflow() -> None:
    logits = np.array([[1_000, 1_000], [0, np.log(3)]], dtype=np.float32)

    np.testing.assert_allclose(softmax(logits), [[0.5, 0.5], [0.25, 0.75]], rtol=1e-6)


@pytest.mark.parametrize(("n_pictures", "n_epochs"), [(128, 300), (1_280, 40), (130, 150)])
def test_few_pictures_are_passed_over_more_often(n_pictures: int, n_epochs: int) -> None:
    assert replace(Recipe(), epochs=40, least_steps=300).n_epochs(n_pictures) == n_epochs
