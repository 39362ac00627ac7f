"""Training examples: slates, their queries, and the state before each."""
