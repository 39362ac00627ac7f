"""Training: makes bundles from datasets; run as ``python -m training``."""
