"""The ranker: trees on a linear offset, objectives, explanations, drift baseline."""
