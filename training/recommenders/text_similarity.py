"""Fits text similarity: text vectors, and the dimensions in which one customer's sales agree."""

from typing import Final

import numpy as np

from models.recommenders.text_similarity import TextSimilarity, title_and_description
from training.recommenders.interactions import Interactions
from training.recommenders.pairs import fit_agreement
from training.recommenders.tfidf import fit_text_space

MAX_AXES: Final = 32  # chosen, not measured
"""Most dimensions kept, those with the largest spread over customers."""


def fit_text_similarity(interactions: Interactions) -> TextSimilarity:
    """Fit the text space on exposed sales, and find the dimensions in which customers agree.

    Sales without a text are at the centre, where they agree with none.
    """
    looks = interactions.looks_by_sale()
    words = [title_and_description(sale) for sale in interactions.catalogue.sales]
    # The space learns from what was on offer: future sales would leak their words.
    offered: list[int] = np.flatnonzero(looks > 0).tolist()
    texts = ["\n".join(words[row]) for row in offered]
    space = fit_text_space(texts)
    vectors = np.zeros((len(words), space.n_dimensions))
    vectors[offered] = space.embed(texts)
    says = np.any(vectors != 0, axis=1)
    weights = looks * says
    centre = weights @ vectors / max(float(weights.sum()), 1.0)
    centred = np.where(says[:, None], vectors - centre, 0.0)
    found = fit_agreement(interactions, centred, looks=weights)
    return TextSimilarity(
        space=space,
        centre=centre,
        axes=np.ascontiguousarray(found.axes[:, :MAX_AXES]),
        mean=found.mean[:MAX_AXES],
        spread=found.spread[:MAX_AXES],
    )
