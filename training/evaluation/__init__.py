"""Evaluation of a bundle on visits after its training."""
