"""Slates of ten: order, diversity, exploration."""
