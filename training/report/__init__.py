"""Reports: self-contained HTML pages, made of a few kinds of blocks."""
