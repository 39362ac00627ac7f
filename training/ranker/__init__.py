"""Fits the parts of the meta-model."""
