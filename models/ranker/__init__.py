"""The meta-model: trees upon a linear offset, objectives, explanations, drift."""
