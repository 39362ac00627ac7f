"""Bundles of this machine, and the active bundle."""
