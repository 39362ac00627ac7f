"""The catalogue of a worker, and the writers of sales."""
