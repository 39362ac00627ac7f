"""The way of a bundle to its customers: shadow, estimate, canary, full, or stopped."""
