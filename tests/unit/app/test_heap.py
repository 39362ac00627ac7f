"""Memory that is freed goes back to the system; each case in a process of its own."""

import subprocess
import sys
import textwrap


def printed(program: str) -> list[int]:
    """Run a program and return the numbers that it prints."""
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [int(one) for one in done.stdout.split()]


def test_large_arrays_are_not_on_the_heap_though_others_were_freed() -> None:
    """The end of the heap, which a first array that is freed would let the second move."""
    without, with_bound = (
        printed(
            f"""
            import ctypes
            import numpy as np
            from app.heap import map_large_arrays

            end = ctypes.CDLL(None).sbrk
            end.restype = ctypes.c_void_p
            if {is_bound}:
                map_large_arrays()
            first = np.ones(3_000_000)
            del first
            before = end(0)
            second = np.ones(3_000_000)
            print(end(0) - before)
            """
        )[0]
        for is_bound in (False, True)
    )

    assert without >= 1_000_000
    assert with_bound == 0


def test_what_was_freed_below_an_object_that_lives_on_is_given_back() -> None:
    before, after = printed(
        """
        from pathlib import Path
        from app.heap import trim_heap

        def resident_mb():
            return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096 // 10**6

        blocks = [bytearray(2_000) for _ in range(50_000)]
        last = blocks[-1]
        del blocks
        print(resident_mb())
        trim_heap()
        print(resident_mb())
        """
    )

    assert before - after >= 80  # of 100 MB
