"""Slates: order, diversity, exploration."""
