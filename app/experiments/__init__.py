"""The plan of experiments in use, its edits, and exported results."""
