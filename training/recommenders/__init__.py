"""Fits of the recommenders, by the file names of ``models.recommenders``."""
