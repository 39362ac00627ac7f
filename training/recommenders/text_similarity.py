"""Fits the comparison of texts."""

from typing import Final

import numpy as np

from models.recommenders.text_similarity import Text, words_of
from training.recommenders.interactions import Interactions
from training.recommenders.pairs import fit_agreement
from training.recommenders.tfidf import fit_text_space

MAX_AXES: Final = 32
"""The dimensions that customers differ most in; a table of all sales is kept of them."""


def fit_text(interactions: Interactions) -> Text:
    """Place the texts of sales that were on offer, and find where one customer's agree.

    Sales without a text stand at the centre: they agree with none.

    Args:
        interactions: What is known.
    """
    exposure = interactions.exposure()
    words = [words_of(sale) for sale in interactions.catalogue.sales]
    offered: list[int] = np.flatnonzero(exposure > 0).tolist()
    space = fit_text_space(["\n".join(words[row]) for row in offered])
    vectors = space.place(["\n".join(one) for one in words])
    says = np.any(vectors != 0, axis=1)
    weights = exposure * says
    centre = weights @ vectors / max(float(weights.sum()), 1.0)
    centred = np.where(says[:, None], vectors - centre, 0.0)
    found = fit_agreement(interactions, centred, exposure=weights)
    return Text(
        space=space,
        centre=centre,
        axes=np.ascontiguousarray(found.axes[:, :MAX_AXES]),
        mean=found.mean[:MAX_AXES],
        spread=found.spread[:MAX_AXES],
    )
