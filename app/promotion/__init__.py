"""Promotion of a candidate bundle through shadow and canary."""
