"""The catalogue that a worker serves, and how sales are written to it."""
