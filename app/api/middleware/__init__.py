"""Middlewares in front of the routes."""
