"""Experiments: what is tried on whom, who sees what, and what came of it."""
