"""Promotion of a bundle to all customers: shadow, estimate, canary, active, or stopped."""
