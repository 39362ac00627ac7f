"""Scoring: bundles, and the scorers loaded from them."""
