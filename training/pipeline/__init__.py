"""A training run from a dataset to a bundle."""
