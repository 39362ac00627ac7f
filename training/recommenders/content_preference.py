"""Fits tastes: which contents attract, and how much customers differ in what attracts them."""

from models.recommenders.content_encoder import Projection
from models.recommenders.content_preference import ContentPreference
from training.recommenders.content_encoder import fit_encoder
from training.recommenders.interactions import Interactions
from training.recommenders.pairs import fit_agreement


def fit_taste(interactions: Interactions) -> ContentPreference:
    """Estimate the mean and the spread of tastes from pairs of sales of one customer.

    See `training.recommenders.pairs.fit_agreement`: sales on offer, shown and not opened
    included, are placed around 0 with covariance ``I``; what two sales touched by one customer
    have in common is his taste. How much he opens of what he is shown is not estimated of each
    customer: the average one's share stands for all.

    Args:
        interactions: What is known.

    Returns:
        Tastes; without any dimension where there is too little to learn from.
    """
    exposure = interactions.exposure()
    encoder = fit_encoder(interactions.catalogue, exposure)
    found = fit_agreement(interactions, encoder.encode(interactions.catalogue), exposure=exposure)
    rate = interactions.opened_share()
    return ContentPreference(
        Projection(encoder, found.axes), found.mean, spread=found.spread, rate=rate
    )
