"""Makes models from files; run as ``python -m training``."""
