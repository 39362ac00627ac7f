"""Plans of experiments, and the assignment of units to variants."""
