"""Compiled parts of scoring, in C."""
