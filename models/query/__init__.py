"""Queries: customer, context and candidate sales of a request."""
