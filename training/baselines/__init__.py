"""Baselines: orders that a shop has without a model, computed from the log alone."""
