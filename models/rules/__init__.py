"""Rules of a merchandiser: conditions on sales, and what they do to a slate."""
