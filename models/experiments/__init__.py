"""Experiments: plans, exposures, and their analysis."""
