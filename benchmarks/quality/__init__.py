"""The quality of rankings beside that of other libraries, each in its own environment."""
