"""Analysis of experiments: estimates, intervals, tests."""
