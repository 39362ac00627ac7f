"""Bundles and the scorer that they hold."""
