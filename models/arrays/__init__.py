"""Arrays of files and of unequal lengths."""
