"""Fits the content profile, which has no parameters."""

from models.recommenders.content_profile import ContentProfile


def fit_content_profile() -> ContentProfile:
    """Return the recommender; it compares content without fitted weights."""
    return ContentProfile()
