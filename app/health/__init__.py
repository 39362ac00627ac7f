"""Readiness, store monitoring, and supervised background tasks."""
