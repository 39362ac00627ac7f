"""Fits image similarity: only the smoothing of conversion rates is learned."""

from models.recommenders.image_similarity import ImageSimilarity
from models.recommenders.popularity import Popularity


def fit_image_similarity(popularity: Popularity) -> ImageSimilarity:
    """Smooth the conversion rates of look-alikes as popularity does.

    Args:
        popularity: Fitted on the same interactions.
    """
    return ImageSimilarity(popularity)
