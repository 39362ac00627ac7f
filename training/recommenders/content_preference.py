"""Fits content preference: mean and spread over customers of their preferences for content."""

from models.recommenders.content_encoder import Projection
from models.recommenders.content_preference import ContentPreference
from training.recommenders.content_encoder import fit_encoder
from training.recommenders.interactions import Interactions
from training.recommenders.pairs import fit_agreement


def fit_content_preference(interactions: Interactions) -> ContentPreference:
    """Estimate mean and spread of preferences from pairs of sales of one customer.

    Exposed sales are scaled to mean 0 and covariance ``I``; the preference of a customer is what
    two of their sales have in common, see `training.recommenders.pairs.fit_agreement`. The share
    of shown sales that is opened is estimated once for all customers. There are no dimensions
    where no customer has two sales.
    """
    looks = interactions.looks_by_sale()
    encoder = fit_encoder(interactions.catalogue, looks)
    found = fit_agreement(interactions, encoder.encode(interactions.catalogue), looks=looks)
    rate = interactions.opened_share()
    return ContentPreference(
        Projection(encoder, found.axes), found.mean, spread=found.spread, rate=rate
    )
