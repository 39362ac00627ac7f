"""Costs of the commands that judge real sets."""

import subprocess
import sys

import pytest

from benchmarks.quality.real_sets import Step
from tests.proofs import ROOT

N_MB = 500


def test_peak_memory_is_that_of_the_command_and_not_of_one_before_it() -> None:
    """In a small process: a new one begins with the peak of the one that it comes from."""
    program = f"""
import sys
from benchmarks.quality.real_sets import Step
large = Step.run(sys.executable, "-c", "print(len(b'x' * {N_MB << 20}))")
small = Step.run(sys.executable, "-c", "print('{{}}')")
print(large.report, large.peak_mb, small.report, small.peak_mb)
"""
    command = [sys.executable, "-c", program]
    printed = subprocess.run(command, check=True, capture_output=True, cwd=ROOT).stdout

    n_bytes, large_mb, nothing, small_mb = printed.split()
    assert (int(n_bytes), nothing) == (N_MB << 20, b"{}")
    assert float(large_mb) >= N_MB > float(small_mb)


def test_a_command_that_fails_is_no_figure() -> None:
    with pytest.raises(subprocess.CalledProcessError, match="exit status 3"):
        Step.run(sys.executable, "-c", "raise SystemExit(3)")
