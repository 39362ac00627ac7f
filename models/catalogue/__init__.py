"""The catalogue of sales as columns, its counts and its snapshots."""
