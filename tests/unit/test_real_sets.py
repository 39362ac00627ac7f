"""Costs of the commands that judge real sets."""

import subprocess
import sys

import pytest

from benchmarks.quality.real_sets import Step

N_MB = 500


def test_peak_memory_is_that_of_the_command_and_not_of_one_before_it() -> None:
    large = Step.run(sys.executable, "-c", f"print(len(b'x' * {N_MB << 20}))")
    small = Step.run(sys.executable, "-c", "print('{}')")

    assert int(large.printed) == N_MB << 20
    assert large.peak_mb >= N_MB > small.peak_mb
    assert small.report == {}


def test_a_command_that_fails_is_no_figure() -> None:
    with pytest.raises(subprocess.CalledProcessError, match="exit status 3"):
        Step.run(sys.executable, "-c", "raise SystemExit(3)")
