"""Experiments (A/B tests): plans, assignment, exposures and analysis."""
