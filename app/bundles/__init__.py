"""Bundles of this machine, and the one that answers."""
