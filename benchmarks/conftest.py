"""The small shop of the tests, for benchmarks."""

pytest_plugins = ["tests.worlds"]
