"""One self-contained HTML page out of a few kinds of blocks."""
