"""Commands of ``python -m app`` other than the service itself."""
