"""Fits tastes: which contents attract, and how much customers differ in what attracts them."""

from models.encoder import Projection
from models.recommenders.taste import Taste
from training.recommenders.encoder import fit_encoder
from training.recommenders.interactions import Interactions
from training.recommenders.pairs import fit_agreement


def fit_taste(interactions: Interactions) -> Taste:
    """Estimate the mean and the spread of tastes from pairs of sales of one customer.

    See `training.recommenders.pairs.fit_agreement`: sales on offer, shown and not opened
    included, are placed around 0 with covariance ``I``; what two sales touched by one customer
    have in common is his taste.

    Args:
        interactions: What is known.

    Returns:
        Tastes; without any dimension where there is too little to learn from.
    """
    exposure = interactions.exposure()
    encoder = fit_encoder(interactions.catalogue, exposure)
    found = fit_agreement(interactions, encoder.encode(interactions.catalogue), exposure=exposure)
    return Taste(Projection(encoder, found.axes), found.mean, found.spread)
