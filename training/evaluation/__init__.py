"""Judges a bundle on what happened after its training."""
