"""Fits the recommenders that ``models.recommenders`` describes."""
