"""Fits the ranker: offset, trees, calibration, drift baseline."""
