"""Array files and ragged arrays."""
