"""Bundles and their scorers."""
