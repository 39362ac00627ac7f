"""Metrics of rankings, and bootstrap intervals."""
