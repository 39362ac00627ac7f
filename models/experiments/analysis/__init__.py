"""Results of experiments: estimates, intervals, tests."""
